#include "base/request_id.h"

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

TEST(RequestId, IsTheClientsOwnIfThatIsPlain) {
  EXPECT_EQ(request_id("a-Z_0.9"), "a-Z_0.9");
  EXPECT_EQ(request_id(std::string(64, 'x')), std::string(64, 'x'));
}

TEST(RequestId, IsANewOneEachTimeOtherwise) {
  const std::string too_long(65, 'x');
  for (const std::optional<std::string_view> given : {std::optional<std::string_view>{},
                                                      {""},
                                                      {"a b"},
                                                      {"a\"b"},
                                                      {"a\r\nX: y"},
                                                      {"\xc3\xa9"},
                                                      {too_long}}) {
    const std::string id = request_id(given);
    EXPECT_EQ(id.size(), 32U);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_NE(id, request_id(given));
  }
}

}  // namespace
}  // namespace millrace::base
