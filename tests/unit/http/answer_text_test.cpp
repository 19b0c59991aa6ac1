#include "adapters/http/answer_text.h"

#include <gtest/gtest.h>

namespace millrace::adapters::http {
namespace {

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(AnswerText, SaysTypeLengthAndWhetherTheConnectionStays) {
  ports::HttpResponse response;
  response.body = "{}";
  const std::string stays = head_text(response, true, false);
  EXPECT_TRUE(stays.starts_with("HTTP/1.1 200 OK\r\n")) << stays;
  EXPECT_TRUE(holds(stays, "Content-Type: application/json\r\nContent-Length: 2\r\n")) << stays;
  EXPECT_FALSE(holds(stays, "Connection:")) << stays;
  EXPECT_TRUE(stays.ends_with("\r\n\r\n"));
  EXPECT_TRUE(holds(head_text(response, true, true), "Connection: keep-alive\r\n"));
  EXPECT_TRUE(holds(head_text(response, false, false), "Connection: close\r\n"));
}

TEST(AnswerText, HasNoLengthWhereThereIsNoBodyAndNoHeaderWithALineBreak) {
  ports::HttpResponse response;
  response.status = 204;
  response.headers = {{"X-Bad", "a\r\nX-Evil: 1"}, {"X-Good", "b"}};
  const std::string head = head_text(response, true, false);
  EXPECT_FALSE(holds(head, "Content-Length")) << head;
  EXPECT_FALSE(holds(head, "X-Evil")) << head;
  EXPECT_TRUE(holds(head, "X-Good: b\r\n")) << head;
}

TEST(AnswerText, NeverSendsTheRoute) {
  ports::HttpResponse response;
  response.route = "/api/orders/{id}";
  EXPECT_FALSE(holds(head_text(response, true, false), "{id}"));
}

TEST(AnswerText, TellsWhenToTryAgain) {
  const ports::HttpResponse response = unavailable_response("busy");
  EXPECT_EQ(response.status, 503);
  EXPECT_TRUE(holds(head_text(response, true, false), "Retry-After: 1\r\n"));
}

}  // namespace
}  // namespace millrace::adapters::http
