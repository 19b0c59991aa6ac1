// Runs seeds of the simulation, and says how to repeat one that fails.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/text.h"
#include "simulation/world.h"

namespace millrace::simulation {
namespace {

struct Arguments {
  std::uint64_t from = 1;
  std::uint64_t to = 1'000;
  bool expect_failure = false;  ///< The exit status says whether a seed failed: for planted bugs.
  bool verbose = false;
  bool counts_wanted = true;  ///< Fail when a kind of fault never hit anything.
};

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const std::string_view value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--expect-failure") {
      arguments.expect_failure = true;
    } else if (name == "--verbose") {
      arguments.verbose = true;
    } else if (name == "--seed") {
      const auto seed = base::parse_int<std::uint64_t>(value);
      if (!seed) return std::nullopt;
      arguments.from = arguments.to = *seed;
      arguments.counts_wanted = false;
      ++i;
    } else if (name == "--seeds") {
      const auto dots = value.find("..");
      if (dots == std::string_view::npos) return std::nullopt;
      const auto from = base::parse_int<std::uint64_t>(value.substr(0, dots));
      const auto to = base::parse_int<std::uint64_t>(value.substr(dots + 2));
      if (!from || !to || *from > *to) return std::nullopt;
      arguments.from = *from;
      arguments.to = *to;
      ++i;
    } else {
      return std::nullopt;
    }
  }
  return arguments;
}

/// False if something that must be tried was not.
bool report(const Counts& counts, std::uint64_t seeds, std::uint64_t steps) {
  constexpr const char* kNames[kFaults] = {"",
                                           "errors",
                                           "answers lost",
                                           "writes half done",
                                           "writes done late",
                                           "commits refused",
                                           "crashes before a call",
                                           "crashes after a call",
                                           "crashes with a write under way",
                                           "pauses before a call",
                                           "pauses after a call"};
  bool all = true;
  const auto line = [&](const char* name, std::uint64_t count) {
    fmt::print("  {:<62}{:>12}\n", name, count);
    all = all && count > 0;
  };
  fmt::print("{} seeds, {} steps, {} calls. What the faults hit:\n", seeds, steps, counts.calls);
  for (std::size_t i = 1; i < kFaults; ++i) line(kNames[i], counts.faults[i]);
  line("crashes, pauses and take-overs between calls", counts.incidents);
  line("inserts half done", counts.half_inserts);
  line("inserts of a former sink written late", counts.late_former);
  line("inserts written late beside newer sums", counts.late_outdated);
  line("appends written late", counts.late_appends);
  line("sinks that found sums beyond the position", counts.beyond_position);
  line("sums read back", counts.sums_read);
  line("marks of a former relay refused", counts.marks_refused);
  line("outbox rows removed", counts.outbox_rows_removed);
  line("records of a former relay dropped", counts.former_relay_dropped);
  line("repeats of the relay dropped", counts.repeats_of_relay);
  line("repeats of the transformer dropped", counts.repeats_of_transformer);
  return all;
}

int run(int argc, char** argv) {
  const auto arguments = parse(argc, argv);
  if (!arguments) {
    fmt::print(stderr, "usage: {} [--seed N | --seeds FROM..TO] [--expect-failure] [--verbose]\n", argv[0]);
    return 64;
  }
  spdlog::set_level(arguments->verbose ? spdlog::level::debug : spdlog::level::off);
  Counts counts;
  std::uint64_t steps = 0;
  const auto began = std::chrono::steady_clock::now();
  for (std::uint64_t seed = arguments->from; seed <= arguments->to; ++seed) {
    Settings settings;
    settings.seed = seed;
    const Outcome outcome = simulate(settings);
    if (!outcome.failure.empty()) {
      fmt::print("seed {} failed: {}\nrepeat it with: {} --seed {} --verbose\n", seed, outcome.failure,
                 argv[0], seed);
      return arguments->expect_failure ? 0 : 1;
    }
    if (outcome.struck == 0) {
      fmt::print("seed {} struck nothing: a run without a fault tries nothing\n", seed);
      return 1;
    }
    if (arguments->from == arguments->to)
      fmt::print("the steps taken have the hash {:016x}\n", outcome.schedule);
    counts.add(outcome.counts);
    steps += outcome.steps;
  }
  const std::uint64_t seeds = arguments->to - arguments->from + 1;
  const bool all = report(counts, seeds, steps);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  fmt::print("{:.0f} seeds a minute\n", 60.0 * static_cast<double>(seeds) / took.count());
  if (arguments->expect_failure) {
    fmt::print("no seed failed, though one had to\n");
    return 1;
  }
  if (!all && arguments->counts_wanted) {
    fmt::print("something above was never hit: the run does not try what it is for\n");
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace millrace::simulation

int main(int argc, char** argv) {
  return millrace::simulation::run(argc, argv);
}
