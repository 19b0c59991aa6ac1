#include "api/router.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

namespace millrace::api {
namespace {

constexpr std::array kLines{
    RouteLine{"GET", "/", Route::kRoot},
    RouteLine{"GET", "/console", Route::kConsole},
    RouteLine{"GET", "/healthz", Route::kHealth},
    RouteLine{"GET", "/readyz", Route::kReadiness},
    RouteLine{"GET", "/metrics", Route::kMetrics},
    RouteLine{"POST", "/api/orders", Route::kPlaceOrder},
    RouteLine{"POST", "/orders", Route::kPlaceOrder},
    RouteLine{"GET", "/api/orders/{}", Route::kOrder},
    RouteLine{"GET", "/orders/{}", Route::kOrder},
    RouteLine{"GET", "/api/orders/user/{}", Route::kOrdersOfUser},
    RouteLine{"GET", "/orders/user/{}", Route::kOrdersOfUser},
    RouteLine{"DELETE", "/api/admin/orders/{}", Route::kDeleteOrder},
    RouteLine{"DELETE", "/admin/orders/{}", Route::kDeleteOrder},
    RouteLine{"GET", "/api/products", Route::kProducts},
    RouteLine{"GET", "/api/products/{}", Route::kProduct},
    RouteLine{"GET", "/api/products/category/{}", Route::kProductsInCategory},
    RouteLine{"GET", "/api/users", Route::kUsers},
    RouteLine{"GET", "/api/users/{}", Route::kUser},
    RouteLine{"GET", "/api/users/email/{}", Route::kUserByEmail},
    RouteLine{"POST", "/api/payments", Route::kPay},
    RouteLine{"GET", "/api/payments/{}", Route::kPayments},
    RouteLine{"GET", "/api/inventory/{}", Route::kStock},
    RouteLine{"PATCH", "/api/inventory/{}", Route::kSetStock},
    RouteLine{"GET", "/api/analytics/daily-sales", Route::kDailySales},
    RouteLine{"GET", "/api/analytics/hourly-sales", Route::kHourlySales},
    RouteLine{"GET", "/api/analytics/order-status", Route::kOrderStatus},
    RouteLine{"GET", "/api/analytics/stats", Route::kStats},
    RouteLine{"GET", "/api/analytics/health", Route::kAnalyticsHealth},
    RouteLine{"GET", "/admin/dead-letters", Route::kDeadLetters},
    RouteLine{"GET", "/api/admin/dead-letters", Route::kDeadLetters},
    RouteLine{"GET", "/admin/dead-letters/{}/{}/{}", Route::kDeadLetter},
    RouteLine{"GET", "/api/admin/dead-letters/{}/{}/{}", Route::kDeadLetter},
    RouteLine{"DELETE", "/admin/dead-letters/{}/{}/{}", Route::kDropDeadLetter},
    RouteLine{"DELETE", "/api/admin/dead-letters/{}/{}/{}", Route::kDropDeadLetter},
    RouteLine{"POST", "/admin/dead-letters/{}/{}/{}/replay", Route::kReplayDeadLetter},
    RouteLine{"POST", "/api/admin/dead-letters/{}/{}/{}/replay", Route::kReplayDeadLetter},
    RouteLine{"POST", "/admin/jobs", Route::kSubmitJob},
    RouteLine{"POST", "/api/admin/jobs", Route::kSubmitJob},
    RouteLine{"GET", "/admin/jobs", Route::kJobs},
    RouteLine{"GET", "/api/admin/jobs", Route::kJobs},
    RouteLine{"GET", "/admin/jobs/{}", Route::kJob},
    RouteLine{"GET", "/api/admin/jobs/{}", Route::kJob},
    RouteLine{"POST", "/admin/jobs/{}/cancel", Route::kCancelJob},
    RouteLine{"POST", "/api/admin/jobs/{}/cancel", Route::kCancelJob},
    RouteLine{"GET", "/api/kafka/cluster", Route::kLogCluster},
    RouteLine{"GET", "/api/kafka/topics", Route::kLogTopics},
    RouteLine{"POST", "/api/kafka/topics", Route::kCreateTopic},
    RouteLine{"GET", "/api/kafka/topics/{}", Route::kLogTopic},
    RouteLine{"GET", "/api/kafka/topics/{}/messages", Route::kLogMessages},
    RouteLine{"GET", "/api/kafka/groups", Route::kLogGroups},
    RouteLine{"GET", "/api/kafka/groups/{}", Route::kLogGroup},
};

/// The segments in the places of {}; nothing if the path does not match.
std::optional<std::vector<std::string>> matched(std::string_view pattern, std::span<const std::string> path) {
  std::vector<std::string> arguments;
  pattern.remove_prefix(1);
  for (const std::string& segment : path) {
    const std::string_view expected = pattern.substr(0, pattern.find('/'));
    if (expected.empty()) return std::nullopt;
    if (expected == "{}")
      arguments.push_back(segment);
    else if (expected != segment)
      return std::nullopt;
    pattern.remove_prefix(std::min(expected.size() + 1, pattern.size()));
  }
  if (!pattern.empty()) return std::nullopt;
  return arguments;
}

}  // namespace

std::span<const RouteLine> route_lines() {
  return kLines;
}

Routed route_of(std::string_view method, std::span<const std::string> path) {
  Routed routed;
  const auto allow = [&routed](std::string_view one) {
    if (!routed.allowed.empty()) routed.allowed += ", ";
    routed.allowed += one;
  };
  for (const RouteLine& line : kLines) {
    auto arguments = matched(line.pattern, path);
    if (!arguments) continue;
    if (line.method == method) {
      routed.route = line.route;
      routed.arguments = std::move(*arguments);
      if (!routed.arguments.empty()) routed.argument = routed.arguments.front();
    }
    allow(line.method);
    if (line.method == "GET") allow("HEAD");
  }
  if (routed.allowed.empty()) return routed;
  allow("OPTIONS");
  if (routed.route == Route::kNone)
    routed.route = method == "OPTIONS" ? Route::kAllowedMethods : Route::kWrongMethod;
  return routed;
}

std::string path_text(std::span<const std::string> path) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  // RFC 3986, section 2.3: these need no escape.
  static constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~@";
  std::string text;
  for (const std::string& segment : path) {
    text += '/';
    for (const char c : segment) {
      const auto byte = static_cast<unsigned char>(c);
      if (kPlain.find(c) != std::string_view::npos)
        text += c;
      else
        (text += '%') += {kHex[byte >> 4U], kHex[byte & 15U]};
    }
  }
  return text.empty() ? "/" : text;
}

}  // namespace millrace::api
