// Every metric of every program, in one table.
#pragma once

#include <span>
#include <string_view>

namespace millrace::telemetry {

enum class Kind {
  kCounter,  ///< Only grows while the process lives; its name ends in _total.
  kGauge,
  kHistogram,
};

/// The buckets of a histogram: upper bounds, rising.
enum class Buckets { kNone, kSeconds, kRows };

struct Definition {
  std::string_view name;  ///< By Prometheus' conventions: millrace_…, base units, the unit last.
  Kind kind;
  std::string_view labels;  ///< Their names, separated by commas; empty: none.
  std::string_view help;
  Buckets buckets = Buckets::kNone;
};

/// By name. docs/specs/metrics.md lists the same names.
[[nodiscard]] std::span<const Definition> definitions();
/// The metric of that name; nothing else may be exported.
[[nodiscard]] const Definition& definition_of(std::string_view name);
[[nodiscard]] std::span<const double> bounds_of(Buckets buckets);

}  // namespace millrace::telemetry
