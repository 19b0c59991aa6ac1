#include "api/router.h"

#include <gtest/gtest.h>

namespace millrace::api {
namespace {

using Path = std::vector<std::string>;

TEST(Router, FindsTheRouteAndItsArgument) {
  const auto routed = route_of("GET", Path{"api", "orders", "abc"});
  EXPECT_EQ(routed.route, Route::kOrder);
  EXPECT_EQ(routed.argument, "abc");
  EXPECT_EQ(route_of("GET", Path{}).route, Route::kRoot);
  EXPECT_EQ(route_of("GET", Path{"api", "analytics", "stats"}).route, Route::kStats);
  EXPECT_EQ(route_of("PATCH", Path{"api", "inventory", "prod-1"}).route, Route::kSetStock);
}

TEST(Router, AnswersOrderRoutesWithAndWithoutThePrefix) {
  const std::vector<std::pair<std::string, Path>> requests{{"POST", {"orders"}},
                                                           {"GET", {"orders", "1"}},
                                                           {"GET", {"orders", "user", "u"}},
                                                           {"DELETE", {"admin", "orders", "1"}}};
  for (const auto& [method, path] : requests) {
    Path prefixed{"api"};
    prefixed.insert(prefixed.end(), path.begin(), path.end());
    EXPECT_NE(route_of(method, path).route, Route::kNone) << path_text(path);
    EXPECT_EQ(route_of(method, path).route, route_of(method, prefixed).route) << path_text(path);
  }
  EXPECT_EQ(route_of("GET", Path{"products"}).route, Route::kNone);
}

TEST(Router, TellsAWrongMethodFromAnUnknownPath) {
  const auto wrong = route_of("DELETE", Path{"api", "inventory", "prod-1"});
  EXPECT_EQ(wrong.route, Route::kWrongMethod);
  EXPECT_EQ(wrong.allowed, "GET, HEAD, PATCH, OPTIONS");
  EXPECT_EQ(route_of("OPTIONS", Path{"api", "orders"}).route, Route::kAllowedMethods);
  for (const Path& unknown : {Path{"api"}, Path{"api", "orders", "1", "2"}, Path{"api", "", "orders"},
                              Path{""}, Path{"API", "orders"}, Path{"console", "x"}})
    EXPECT_EQ(route_of("GET", unknown).route, Route::kNone) << path_text(unknown);
}

TEST(Router, ShowsAPathWithItsEscapes) {
  EXPECT_EQ(path_text(Path{}), "/");
  EXPECT_EQ(path_text(Path{"api", "a b/c", "é", "x@y.z"}), "/api/a%20b%2Fc/%C3%A9/x@y.z");
}

}  // namespace
}  // namespace millrace::api
