// Measurements in the text format that Prometheus scrapes.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "ports/metrics.h"

namespace millrace::adapters::prometheus {

/// Prometheus' text format 0.0.4. Source: prometheus.io, "Exposition formats".
inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

/// Families without samples are left out.
[[nodiscard]] std::string to_metrics_text(std::span<const ports::MetricFamily> families);

}  // namespace millrace::adapters::prometheus
