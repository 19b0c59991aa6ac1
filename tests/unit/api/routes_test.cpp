#include "api/routes.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "web/router.h"

namespace millrace::api {
namespace {

using Path = std::vector<std::string>;

const Route* route_of(std::string_view verb, const Path& path) {
  return web::find_route(routes(), verb, path).route;
}

TEST(Routes, AnswerOrderRoutesWithAndWithoutThePrefix) {
  const std::vector<std::pair<std::string, Path>> requests{{"POST", {"orders"}},
                                                           {"GET", {"orders", "1"}},
                                                           {"GET", {"orders", "user", "u"}},
                                                           {"DELETE", {"admin", "orders", "1"}}};
  for (const auto& [verb, path] : requests) {
    Path prefixed{"api"};
    prefixed.insert(prefixed.end(), path.begin(), path.end());
    const Route* plain = route_of(verb, path);
    const Route* with_prefix = route_of(verb, prefixed);
    ASSERT_NE(plain, nullptr) << path_text(path);
    ASSERT_NE(with_prefix, nullptr) << path_text(prefixed);
    EXPECT_EQ(plain->handler.answers, with_prefix->handler.answers);
    EXPECT_EQ(plain->handler.submits, with_prefix->handler.submits);
    EXPECT_EQ(plain->access, with_prefix->access);
  }
  EXPECT_EQ(route_of("GET", {"products"}), nullptr);
}

TEST(Routes, AreForAdminsBelowAdminAndWhereTheLogChangesOrShowsItsMessages) {
  for (const Route& route : routes()) {
    const bool is_admin = route.pattern.find("/admin/") != std::string_view::npos ||
                          route.pattern.ends_with("/messages") ||
                          (route.verb == "POST" && route.pattern == "/api/kafka/topics");
    EXPECT_EQ(route.access == Access::kAdmin, is_admin) << route.verb << " " << route.pattern;
  }
}

TEST(Routes, HaveOneHandlerEachAndNoTwoTheSamePath) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const Route& route : routes()) {
    EXPECT_NE(route.handler.answers == nullptr, route.handler.submits == nullptr) << route.pattern;
    EXPECT_TRUE(seen.emplace(route.verb, route.pattern).second) << route.pattern;
  }
}

TEST(Call, ShowsAPathWithItsEscapes) {
  EXPECT_EQ(path_text(Path{}), "/");
  EXPECT_EQ(path_text(Path{"api", "a b/c", "é", "x@y.z"}), "/api/a%20b%2Fc/%C3%A9/x@y.z");
}

}  // namespace
}  // namespace millrace::api
