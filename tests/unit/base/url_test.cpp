#include "base/url.h"

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

TEST(Url, PutsIpv6AddressesInBrackets) {
  EXPECT_EQ(host_and_port("127.0.0.1", 3000), "127.0.0.1:3000");
  EXPECT_EQ(host_and_port("db.example", 3306), "db.example:3306");
  EXPECT_EQ(host_and_port("::1", 3000), "[::1]:3000");
  EXPECT_EQ(host_and_port("fe80::1%eth0", 1), "[fe80::1%eth0]:1");
  EXPECT_EQ(host_and_port("[::1]", 3000), "[::1]:3000");
  EXPECT_EQ(http_url("::1", 3000), "http://[::1]:3000");
}

TEST(Url, ConnectsToTheLoopbackAddressOfAServerThatListensOnAll) {
  EXPECT_EQ(connect_host("0.0.0.0"), "127.0.0.1");
  EXPECT_EQ(connect_host("::"), "::1");
  EXPECT_EQ(connect_host("::1"), "::1");
  EXPECT_EQ(connect_host("localhost"), "localhost");
}

TEST(Url, EncodesAllButUnreservedCharacters) {
  EXPECT_EQ(percent_encoded("aZ09-_.~"), "aZ09-_.~");
  EXPECT_EQ(percent_encoded("a b/c+d@é"), "a%20b%2Fc%2Bd%40%C3%A9");
  EXPECT_EQ(percent_encoded("x@y z", "@"), "x@y%20z");
}

TEST(Url, DecodesEscapesAndRefusesHalfOnes) {
  EXPECT_EQ(percent_decoded("a%20b+c%2fd", false).value_or("?"), "a b+c/d");
  EXPECT_EQ(percent_decoded("a+b%2Bc", true).value_or("?"), "a b+c");
  EXPECT_EQ(percent_decoded("%00%ff", false).value_or("?"), std::string("\0\xff", 2));
  EXPECT_EQ(percent_decoded("", true).value_or("?"), "");
  for (const std::string_view bad : {"%", "a%4", "%zz", "%%41"}) {
    const auto decoded = percent_decoded(bad, false);
    ASSERT_FALSE(decoded) << bad;
    EXPECT_EQ(decoded.error().kind, ErrorKind::kInvalid);
  }
}

TEST(Url, ReadsQueriesAsClientsSendThem) {
  const auto query = parse_query("a=1&&b=x+y&c&=d&e=f=g&q=SELECT \"[{\"%0A");
  ASSERT_TRUE(query) << query.error().message;
  const QueryParameters expected{{"a", "1"}, {"b", "x y"}, {"c", ""},
                                 {"", "d"},  {"e", "f=g"}, {"q", "SELECT \"[{\"\n"}};
  EXPECT_EQ(*query, expected);
  EXPECT_EQ(parse_query("")->size(), 0U);
  EXPECT_FALSE(parse_query("a=%"));
}

TEST(Url, IsOfHttpWithAHostAndAPortThatExists) {
  for (const char* url : {"http://localhost", "HTTP://localhost:4318/", "https://collector.example/otlp?a=b",
                          "http://127.0.0.1:65535", "http://[::1]:4318"})
    EXPECT_TRUE(is_http_url(url)) << url;
  for (const char* other :
       {"", "localhost:4318", "ftp://localhost", "http://", "http:///path", "http:localhost", "http://a b",
        "http://host:0", "http://host:", "http://host:65536", "http://host:99999"})
    EXPECT_FALSE(is_http_url(other)) << other;
}

}  // namespace
}  // namespace millrace::base
