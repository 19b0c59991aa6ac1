// The roles: what `millrace api`, `relay`, `transform`, `sink` and `up` run.
#pragma once

#include <string>

#include "app/config/settings.h"
#include "base/result.h"
#include "base/stop.h"

namespace millrace::app {

struct UpOptions {
  bool demo = false;     ///< Sends a gentle stream of orders.
  double demo_rate = 2;  ///< Orders per second.
  bool rebuild = false;  ///< Begins with a rebuild, unless one is under way.
  bool summary = true;   ///< The live screen on a terminal; a line now and then elsewhere.
  bool dev_credentials =
      false;            ///< The known passwords instead of generated ones (app/config/credentials.h).
  bool detach = false;  ///< In the background, logging to a file in the data directory.
};

/// All roles in one process, with the embedded servers started and supervised. Ends by `stop`, after
/// draining. Errors: kConflict (port taken, data directory in use), kNotFound (a program is missing),
/// kInvalid, kUnavailable, kFatal.
[[nodiscard]] base::Result<void> run_up(const Settings& settings, const UpOptions& options,
                                        base::StopSignal& stop);

/// The HTTP API alone, beside an order store and a warehouse that are there already.
[[nodiscard]] base::Result<void> run_api(const Settings& settings, const base::StopSignal& stop);

/// One stage ("relay", "transform", "sink") on an event log that several processes share, until `stop`.
/// A stage that fails is tried again now and then. Errors: kInvalid with the embedded log, kUnavailable,
/// kFatal.
[[nodiscard]] base::Result<void> run_stage(const Settings& settings, const std::string& role,
                                           base::StopSignal& stop);

}  // namespace millrace::app
