// The command line's admin calls against an HTTP server of the test's own.
#include "app/admin_client.h"

#include <memory>

#include <gtest/gtest.h>

#include "adapters/http/http_server.h"
#include "support/free_port.h"

namespace millrace::app {
namespace {

class Answering final : public ports::HttpHandler {
 public:
  void handle(ports::HttpRequest request, ports::HttpReply reply) override {
    const bool admin = request.header("x-admin-id").has_value();
    if (!admin) return reply(ports::problem_response(400, "X-Admin-Id is missing"));
    if (request.path.size() == 2 && request.path[1] == "taken")
      return reply(ports::problem_response(409, "job 7 is running"));
    ports::HttpResponse response;
    response.status = request.method == "POST" ? 202 : 200;
    response.body = request.method + " " + request.body;
    reply(response);
  }
};

class AdminClientTest : public testing::Test {
 protected:
  void SetUp() override {
    settings_.api_port = support::free_port();
    adapters::http::HttpServerOptions options;
    options.host = settings_.api_host;
    options.port = static_cast<std::uint16_t>(settings_.api_port);
    auto server = adapters::http::HttpServer::start(handler_, options);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  Answering handler_;
  Settings settings_;
  std::unique_ptr<adapters::http::HttpServer> server_;
};

TEST_F(AdminClientTest, ReachesAnApiOnAnIpv6Address) {
  for (const std::string host : {"::1", "::"}) {
    server_.reset();
    settings_.api_host = host;
    adapters::http::HttpServerOptions options;
    options.host = host;
    options.port = static_cast<std::uint16_t>(settings_.api_port);
    auto server = adapters::http::HttpServer::start(handler_, options);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    AdminClient client(settings_);
    const auto answer = client.get("/admin/jobs");
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(*answer, "GET ");
  }
}

TEST_F(AdminClientTest, NamesAnAdminAndGivesTheBody) {
  AdminClient client(settings_);
  EXPECT_EQ(client.get("/admin/jobs").value_or(""), "GET ");
  EXPECT_EQ(client.post("/admin/jobs", "{}").value_or(""), "POST {}");
}

TEST_F(AdminClientTest, MakesAnErrorOfARefusal) {
  AdminClient client(settings_);
  const auto answer = client.post("/admin/taken", "{}");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, base::ErrorKind::kConflict);
  EXPECT_EQ(answer.error().message, "job 7 is running");
}

TEST_F(AdminClientTest, AsksWhetherUpRunsWhenNobodyAnswers) {
  server_->stop(base::Deadline::in(std::chrono::seconds(1)));
  server_.reset();
  AdminClient client(settings_);
  const auto answer = client.get("/admin/jobs");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, base::ErrorKind::kUnavailable);
  EXPECT_NE(answer.error().message.find("is `millrace up` running there"), std::string::npos);
}

}  // namespace
}  // namespace millrace::app
