#include "web/router.h"

#include <array>

#include <gtest/gtest.h>

namespace millrace::web {
namespace {

using Path = std::vector<std::string>;

struct Row {
  std::string_view verb;
  std::string_view pattern;
};

constexpr std::array kRows{
    Row{"GET", "/"},
    Row{"POST", "/orders"},
    Row{"GET", "/orders/{id}"},
    Row{"PATCH", "/orders/{id}"},
    Row{"GET", "/letters/{topic}/{partition}/{offset}"},
};

RouteMatch<Row> find(std::string_view verb, const Path& path) {
  return find_route(std::span<const Row>(kRows), verb, path);
}

TEST(Router, FindsTheRowAndItsArguments) {
  EXPECT_EQ(find("GET", {}).route, &kRows[0]);
  const auto order = find("GET", {"orders", "abc"});
  EXPECT_EQ(order.route, &kRows[2]);
  EXPECT_EQ(order.arguments, Path{"abc"});
  EXPECT_EQ(find("PATCH", {"orders", "a/b"}).route, &kRows[3]);
  EXPECT_EQ(find("GET", {"letters", "t", "1", "2"}).arguments, (Path{"t", "1", "2"}));
}

TEST(Router, TellsAWrongVerbFromAnUnknownPath) {
  const auto wrong = find("DELETE", {"orders", "1"});
  EXPECT_EQ(wrong.route, nullptr);
  EXPECT_EQ(wrong.allowed, "GET, HEAD, PATCH, OPTIONS");
  EXPECT_EQ(find("OPTIONS", {"orders"}).allowed, "POST, OPTIONS");
  for (const Path& unknown :
       {Path{"order"}, Path{"orders", "1", "2"}, Path{"", "orders"}, Path{""}, Path{"ORDERS"}}) {
    EXPECT_EQ(find("GET", unknown).route, nullptr);
    EXPECT_EQ(find("GET", unknown).allowed, "");
  }
}

}  // namespace
}  // namespace millrace::web
