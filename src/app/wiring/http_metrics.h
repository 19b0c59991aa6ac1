// Durations of HTTP answers.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "adapters/http/http_server.h"
#include "telemetry/registry.h"

namespace millrace::app {

/// Thread-safe. There are as many time series as there are routes, methods and statuses of ours: what a
/// client makes up is counted as "other".
class HttpMetrics {
 public:
  explicit HttpMetrics(telemetry::Registry& registry) : registry_(registry) {}
  void on_answered(const adapters::http::Answered& answered);

 private:
  telemetry::Registry& registry_;
  std::mutex mutex_;
  std::map<std::tuple<std::string, std::string, int>, telemetry::Histogram> durations_;  // guarded by mutex_
};

}  // namespace millrace::app
