#include "api/problems.h"

#include <gtest/gtest.h>

namespace millrace::api {
namespace {

constexpr std::string_view kSaid =
    "admin@127.0.0.1:3306/ecommerce: SELECT phone FROM users: Unknown column 'phone' in 'SELECT'";

TEST(Problem, HoldsNothingThatADatabaseSaid) {
  for (const auto kind :
       {base::ErrorKind::kInvalid, base::ErrorKind::kNotFound, base::ErrorKind::kConflict,
        base::ErrorKind::kUnavailable, base::ErrorKind::kRejected, base::ErrorKind::kFatal}) {
    const auto response = problem_of({kind, std::string(kSaid), 1054}, "/api/users");
    EXPECT_EQ(response.status, status_of(kind));
    for (const char* part : {"admin@", "127.0.0.1", "SELECT", "phone", "ecommerce"})
      EXPECT_EQ(response.body.find(part), std::string::npos) << response.body;
  }
}

TEST(Problem, KeepsASentenceOfOurs) {
  const auto response =
      problem_of({base::ErrorKind::kInvalid, "the quantity must be from 1", 0}, "/api/orders");
  EXPECT_NE(response.body.find("the quantity must be from 1"), std::string::npos) << response.body;
}

TEST(Problem, IsNamedByItsRequest) {
  auto response = problem_of({base::ErrorKind::kNotFound, "no order", 0}, "/api/orders/1");
  ports::name_request(response, "r-1");
  EXPECT_EQ(response.body, R"({"type":"about:blank","title":"Not Found","status":404,"detail":"no order",)"
                           R"("instance":"/api/orders/1","requestId":"r-1"})");
  EXPECT_EQ(response.headers.back(), (std::pair<std::string, std::string>("X-Request-Id", "r-1")));
  ports::HttpResponse other;
  other.body = "{}";
  ports::name_request(other, "r-2");
  EXPECT_EQ(other.body, "{}") << "what is no problem keeps its shape";
}

}  // namespace
}  // namespace millrace::api
