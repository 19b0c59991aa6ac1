#include "app/wiring/http_metrics.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace millrace::app {
namespace {

constexpr std::array<std::string_view, 7> kMethods = {"GET",   "HEAD",   "POST",   "PUT",
                                                      "PATCH", "DELETE", "OPTIONS"};
constexpr std::string_view kOther = "other";

}  // namespace

void HttpMetrics::on_answered(const adapters::http::Answered& answered) {
  const bool is_known = std::ranges::find(kMethods, answered.verb) != kMethods.end();
  std::tuple<std::string, std::string, int> key(answered.route.empty() ? kOther : answered.route,
                                                is_known ? answered.verb : kOther, answered.status);
  telemetry::Histogram duration;
  {
    const std::lock_guard lock(mutex_);
    auto known = durations_.find(key);
    if (known == durations_.end()) {
      const auto& [route, method, status] = key;
      const auto made =
          registry_.histogram("millrace_http_request_duration_seconds",
                              {{"method", method}, {"route", route}, {"status", std::to_string(status)}});
      known = durations_.emplace(std::move(key), made).first;
    }
    duration = known->second;
  }
  duration.observe(answered.duration);
}

}  // namespace millrace::app
