// Which route a request names.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::api {

enum class Route {
  kNone,            ///< No route has this path: 404.
  kWrongMethod,     ///< The path is one of ours, the method is not: 405.
  kAllowedMethods,  ///< OPTIONS of a path of ours.
  kRoot,
  kConsole,
  kHealth,
  kReadiness,
  kMetrics,
  kPlaceOrder,
  kOrder,
  kOrdersOfUser,
  kDeleteOrder,
  kProducts,
  kProduct,
  kProductsInCategory,
  kUsers,
  kUser,
  kUserByEmail,
  kPay,
  kPayments,
  kStock,
  kSetStock,
  kDailySales,
  kHourlySales,
  kOrderStatus,
  kStats,
  kAnalyticsHealth,
  kDeadLetters,
  kDeadLetter,
  kReplayDeadLetter,
  kDropDeadLetter,
  kSubmitJob,
  kJobs,
  kJob,
  kCancelJob,
  kLogCluster,
  kLogTopics,
  kLogTopic,
  kLogMessages,
  kCreateTopic,
  kLogGroups,
  kLogGroup,
};

struct Routed {
  Route route = Route::kNone;
  std::string argument;                ///< The first segment that stands for {…}.
  std::vector<std::string> arguments;  ///< All of them, in order.
  std::string
      allowed;  ///< What the path allows, as the Allow header spells it; empty if the path is not ours.
};

struct RouteLine {
  std::string_view method;
  std::string_view pattern;  ///< "{}" stands for one segment.
  Route route;
};

/// All routes there are.
[[nodiscard]] std::span<const RouteLine> route_lines();

/// A pure function of the method and the decoded path. Order routes and /admin answer with and without /api.
[[nodiscard]] Routed route_of(std::string_view method, std::span<const std::string> path);

/// "/api/orders/1" of its decoded segments, for messages.
[[nodiscard]] std::string path_text(std::span<const std::string> path);

}  // namespace millrace::api
