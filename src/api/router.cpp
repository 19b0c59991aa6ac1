#include "api/router.h"

#include <algorithm>
#include <array>
#include <vector>

namespace millrace::api {
namespace {

struct Line {
  std::string_view method;
  std::string_view pattern;  ///< "{}" stands for one segment.
  Route route;
};

constexpr std::array kLines{
    Line{"GET", "/", Route::kRoot},
    Line{"GET", "/console", Route::kConsole},
    Line{"GET", "/healthz", Route::kHealth},
    Line{"GET", "/readyz", Route::kReadiness},
    Line{"POST", "/api/orders", Route::kPlaceOrder},
    Line{"POST", "/orders", Route::kPlaceOrder},
    Line{"GET", "/api/orders/{}", Route::kOrder},
    Line{"GET", "/orders/{}", Route::kOrder},
    Line{"GET", "/api/orders/user/{}", Route::kOrdersOfUser},
    Line{"GET", "/orders/user/{}", Route::kOrdersOfUser},
    Line{"DELETE", "/api/admin/orders/{}", Route::kDeleteOrder},
    Line{"DELETE", "/admin/orders/{}", Route::kDeleteOrder},
    Line{"GET", "/api/products", Route::kProducts},
    Line{"GET", "/api/products/{}", Route::kProduct},
    Line{"GET", "/api/products/category/{}", Route::kProductsInCategory},
    Line{"GET", "/api/users", Route::kUsers},
    Line{"GET", "/api/users/{}", Route::kUser},
    Line{"GET", "/api/users/email/{}", Route::kUserByEmail},
    Line{"POST", "/api/payments", Route::kPay},
    Line{"GET", "/api/payments/{}", Route::kPayments},
    Line{"GET", "/api/inventory/{}", Route::kStock},
    Line{"PATCH", "/api/inventory/{}", Route::kSetStock},
    Line{"GET", "/api/analytics/daily-sales", Route::kDailySales},
    Line{"GET", "/api/analytics/hourly-sales", Route::kHourlySales},
    Line{"GET", "/api/analytics/order-status", Route::kOrderStatus},
    Line{"GET", "/api/analytics/stats", Route::kStats},
    Line{"GET", "/api/analytics/health", Route::kAnalyticsHealth},
};

/// The segment in the place of {}, "" if the pattern has none; nothing if the path does not match.
const std::string* matched(std::string_view pattern, std::span<const std::string> path) {
  static const std::string kNoArgument;
  const std::string* argument = &kNoArgument;
  pattern.remove_prefix(1);
  for (const std::string& segment : path) {
    const std::string_view expected = pattern.substr(0, pattern.find('/'));
    if (expected.empty()) return nullptr;
    if (expected == "{}")
      argument = &segment;
    else if (expected != segment)
      return nullptr;
    pattern.remove_prefix(std::min(expected.size() + 1, pattern.size()));
  }
  return pattern.empty() ? argument : nullptr;
}

}  // namespace

Routed route_of(std::string_view method, std::span<const std::string> path) {
  Routed routed;
  const auto allow = [&routed](std::string_view one) {
    if (!routed.allowed.empty()) routed.allowed += ", ";
    routed.allowed += one;
  };
  for (const Line& line : kLines) {
    const std::string* argument = matched(line.pattern, path);
    if (argument == nullptr) continue;
    if (line.method == method) {
      routed.route = line.route;
      routed.argument = *argument;
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
