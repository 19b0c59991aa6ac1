#include "adapters/http/target.h"

#include <gtest/gtest.h>

namespace millrace::adapters::http {
namespace {

using Segments = std::vector<std::string>;

Segments path_of(std::string_view target) {
  auto parsed = parse_target(target);
  EXPECT_TRUE(parsed) << target;
  return parsed ? parsed->path : Segments{"failed"};
}

TEST(Target, SplitsThePathIntoDecodedSegments) {
  EXPECT_EQ(path_of("/"), Segments{});
  EXPECT_EQ(path_of("/api/orders/1"), (Segments{"api", "orders", "1"}));
  EXPECT_EQ(path_of("/api/users/email/a%40b.example"), (Segments{"api", "users", "email", "a@b.example"}));
  EXPECT_EQ(path_of("/caf%C3%A9"), Segments{"café"});
}

TEST(Target, IgnoresOneSlashAtTheEndAndKeepsEmptySegmentsInside) {
  EXPECT_EQ(path_of("/api/orders/"), (Segments{"api", "orders"}));
  EXPECT_EQ(path_of("/api//orders"), (Segments{"api", "", "orders"}));
}

TEST(Target, KeepsAnEncodedSlashInsideItsSegmentAndAPlusInThePath) {
  EXPECT_EQ(path_of("/products/category/Home%2FGarden"), (Segments{"products", "category", "Home/Garden"}));
  EXPECT_EQ(path_of("/a+b"), Segments{"a+b"});
}

TEST(Target, TakesTheAbsoluteForm) {
  EXPECT_EQ(path_of("http://localhost:3000/api/orders"), (Segments{"api", "orders"}));
  EXPECT_EQ(path_of("http://localhost:3000"), Segments{});
  EXPECT_EQ(path_of("*"), Segments{});
}

TEST(Target, ReadsParametersInTheirOrder) {
  const auto parsed = parse_target("/x?startDate=2026-01-01&limit=5&&empty=&bare&text=a+b%2Bc");
  ASSERT_TRUE(parsed);
  const std::vector<std::pair<std::string, std::string>> expected{
      {"startDate", "2026-01-01"}, {"limit", "5"}, {"empty", ""}, {"bare", ""}, {"text", "a b+c"}};
  EXPECT_EQ(parsed->query, expected);
  EXPECT_EQ(parsed->path, Segments{"x"});
}

TEST(Target, RefusesWhatItCannotDecode) {
  for (const std::string_view bad :
       {"/a%", "/a%4", "/a%zz", "/a%00b", "/a%0Ab", "/%ff", "/x?a=%", "/x?%80=1", "no-slash", "/a#b", ""})
    EXPECT_FALSE(parse_target(bad)) << bad;
}

}  // namespace
}  // namespace millrace::adapters::http
