#include "web/access.h"

#include <gtest/gtest.h>

namespace millrace::web {
namespace {

AccessRules rules(std::string_view hosts = "", std::string_view origins = "") {
  return access_rules("192.168.1.5", hosts, origins).value();
}

RequestHead request(Headers headers, std::string method = "GET") {
  RequestHead head;
  head.method = std::move(method);
  head.headers = std::move(headers);
  return head;
}

int verdict(const RequestHead& head, const AccessRules& given = rules()) {
  const Access access = check_access(given, head);
  return access.refusal ? access.refusal->status : 200;
}

TEST(Access, ServesLoopbackNamesTheListenHostAndThoseAllowed) {
  for (const char* host :
       {"localhost", "localhost:3000", "LOCALHOST:1", "localhost.", "127.0.0.1", "127.0.0.1:80", "127.8.9.10",
        "[::1]", "[::1]:3000", "192.168.1.5", "192.168.1.5:3000"})
    EXPECT_EQ(verdict(request({{"host", host}})), 200) << host;
  for (const char* host : {"evil.example", "localhost.evil.example", "evil.localhost",
                           "127.0.0.1.evil.example", "127.0.0", "127.1", "127.0.0.256", "127.0.0.0x1",
                           "128.0.0.1", "0.0.0.0", "[::2]", "[::ffff:127.0.0.1]", "2130706433"})
    EXPECT_EQ(verdict(request({{"host", host}})), 421) << host;
  EXPECT_EQ(verdict(request({{"host", "shop.lan:3000"}}), rules("shop.lan, other:80")), 200);
  EXPECT_EQ(verdict(request({{"host", "other:80"}}), rules("shop.lan, other:80")), 200);
  EXPECT_EQ(verdict(request({{"host", "other:81"}}), rules("shop.lan, other:80")), 421);
  // Only HTTP/1.0 may come without; no browser speaks it.
  EXPECT_EQ(verdict(request({})), 200);
  EXPECT_EQ(verdict(request({{"sec-fetch-site", "none"}})), 403);
  EXPECT_EQ(verdict(request({{"origin", "http://localhost"}})), 403);
}

TEST(Access, RefusesPagesOfOtherSites) {
  const auto from = [](const char* origin) {
    return verdict(request({{"host", "localhost:3000"}, {"origin", origin}}, "POST"));
  };
  EXPECT_EQ(from("http://localhost:3000"), 200);
  for (const char* origin : {"null", "", "http://evil.example", "http://localhost", "http://localhost:3001",
                             "https://localhost:3000", "http://127.0.0.1:3000",
                             "http://localhost:3000.evil.example", "http://localhost:3000/", "file://"})
    EXPECT_EQ(from(origin), 403) << origin;
  const auto site = [](Headers headers, std::string method = "GET") {
    headers.emplace_back("host", "localhost:3000");
    return verdict(request(std::move(headers), std::move(method)));
  };
  EXPECT_EQ(site({{"sec-fetch-site", "same-origin"}}), 200);
  EXPECT_EQ(site({{"sec-fetch-site", "none"}, {"sec-fetch-mode", "navigate"}}), 200);
  EXPECT_EQ(site({{"sec-fetch-site", "cross-site"}}), 403);
  EXPECT_EQ(site({{"sec-fetch-site", "same-site"}}), 403);
  EXPECT_EQ(site({{"sec-fetch-site", "whatever"}}), 403);
  EXPECT_EQ(site({{"sec-fetch-site", "same-site"}, {"origin", "http://localhost:3000"}}, "POST"), 403);
}

TEST(Access, LetsAPersonFollowALinkButNoPageUseIt) {
  const Headers link = {{"host", "localhost"},
                        {"sec-fetch-site", "cross-site"},
                        {"sec-fetch-mode", "navigate"},
                        {"sec-fetch-dest", "document"}};
  EXPECT_EQ(verdict(request(link)), 200);
  EXPECT_EQ(verdict(request(link, "POST")), 403);
  Headers frame = link;
  frame.back().second = "iframe";
  EXPECT_EQ(verdict(request(frame)), 403);
  AccessRules warehouse = rules();
  warehouse.allows_navigation = false;
  EXPECT_EQ(verdict(request(link), warehouse), 403);
}

TEST(Access, AnswersListedOriginsAndNobodyElse) {
  const AccessRules open = rules("", "https://Shop.example:443, http://localhost:5173");
  const auto ask = [&](const char* origin, const char* method) {
    return check_access(open, request({{"host", "localhost:3000"},
                                       {"origin", origin},
                                       {"sec-fetch-site", "cross-site"},
                                       {"access-control-request-method", "POST"}},
                                      method));
  };
  const auto value = [](const Access& access, std::string_view name) {
    for (const auto& [key, text] : access.headers)
      if (key == name) return text;
    return std::string();
  };
  const Access preflight = ask("https://shop.example", "OPTIONS");
  EXPECT_TRUE(!preflight.refusal && preflight.is_preflight);
  EXPECT_EQ(value(preflight, "Access-Control-Allow-Origin"), "https://shop.example");
  EXPECT_EQ(value(preflight, "Vary"), "Origin");
  EXPECT_NE(value(preflight, "Access-Control-Allow-Methods").find("DELETE"), std::string::npos);
  EXPECT_EQ(value(preflight, "Access-Control-Allow-Credentials"), "");
  const Access post = ask("http://localhost:5173", "POST");
  EXPECT_TRUE(!post.refusal && !post.is_preflight);
  EXPECT_EQ(value(post, "Access-Control-Allow-Origin"), "http://localhost:5173");
  const Access foreign = ask("https://evil.example", "OPTIONS");
  EXPECT_EQ(foreign.refusal.value().status, 403);
  EXPECT_EQ(value(foreign, "Access-Control-Allow-Origin"), "");
  EXPECT_EQ(value(foreign, "Vary"), "Origin");
  EXPECT_EQ(check_access(open, request({{"host", "evil.example"}, {"origin", "https://shop.example"}}))
                .refusal.value()
                .status,
            421);
}

TEST(Access, SettingsAreCheckedWhereTheyEnter) {
  for (const char* origin : {"*", "null", "shop.example", "https://shop.example/", "https://a/b", "ftp://a",
                             "http://", "http://a b"})
    EXPECT_FALSE(access_rules("", "", origin)) << origin;
  for (const char* host : {"*", "http://a", "a/b", "a:b", "a b"})
    EXPECT_FALSE(access_rules("", host, "")) << host;
  EXPECT_NE(access_rules("", "", "*").error().message.find("cors.origins"), std::string::npos);
}

TEST(Access, KnowsBrowsersAndTheTypesThatPagesSendUnasked) {
  EXPECT_FALSE(is_from_browser(request({{"host", "a"}, {"user-agent", "curl/8"}})));
  EXPECT_TRUE(is_from_browser(request({{"sec-fetch-mode", "no-cors"}})));
  EXPECT_TRUE(looks_like_browser(request({{"user-agent", "Mozilla/5.0 (X11)"}})));
  EXPECT_TRUE(looks_like_browser(request({{"referer", "http://a/"}})));
  EXPECT_FALSE(looks_like_browser(request({{"user-agent", "Grafana/12"}})));
  for (const char* type :
       {"text/plain;charset=UTF-8", "Application/X-WWW-Form-Urlencoded", "multipart/form-data; boundary=x"})
    EXPECT_TRUE(is_simple_type(media_type(request({{"content-type", type}})))) << type;
  EXPECT_FALSE(is_simple_type("application/octet-stream"));
}

TEST(Access, BodiesThatChangeSomethingAreJson) {
  const auto problem = [](std::string method, const char* type, std::uint64_t size) {
    RequestHead head =
        request(type == nullptr ? Headers{} : Headers{{"content-type", type}}, std::move(method));
    head.content_length = size;
    return check_json_body(head).has_value();
  };
  EXPECT_FALSE(problem("POST", "application/json", 5));
  EXPECT_FALSE(problem("POST", "Application/JSON; charset=utf-8", 5));
  EXPECT_FALSE(problem("POST", nullptr, 0));
  EXPECT_FALSE(problem("GET", nullptr, 5));
  for (const char* method : {"POST", "PUT", "PATCH", "DELETE"})
    for (const char* type : {static_cast<const char*>(nullptr), "text/plain",
                             "application/x-www-form-urlencoded", "application/jsonx"})
      EXPECT_TRUE(problem(method, type, 5)) << method;
}

}  // namespace
}  // namespace millrace::web
