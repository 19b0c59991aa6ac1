// One run: a history of orders, the three stages, the faults, and at the end the comparison with the truth.
#pragma once

#include <cstdint>
#include <string>

#include "simulation/stores.h"

namespace millrace::simulation {

enum class StepFault : std::uint8_t { kNone, kCrash, kPause };

/// What a run is to do. All zeros but the seed: everything is drawn from the seed.
struct Settings {
  std::uint64_t seed = 1;
  /// Nothing goes wrong by chance and the script asks for nothing; only what is set below does.
  bool calm = false;
  std::uint64_t nth_call = 0;  ///< The call that goes wrong with `fault`.
  Fault fault = Fault::kNone;
  std::uint64_t nth_step = 0;  ///< The step before which `step_fault` strikes the process whose turn it is.
  StepFault step_fault = StepFault::kNone;
};

struct Outcome {
  std::string failure;  ///< Empty when everything came out right.
  Counts counts;
  std::uint64_t events = 0;
  std::uint64_t struck = 0;  ///< Faults and incidents.
  std::uint64_t steps = 0;
  std::uint64_t schedule = 0;  ///< A hash of who took which step when.
};

/// A pure function of the settings.
[[nodiscard]] Outcome simulate(const Settings& settings);

}  // namespace millrace::simulation
