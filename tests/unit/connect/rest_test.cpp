#include "connect/rest.h"

#include <atomic>
#include <future>
#include <optional>

#include <gtest/gtest.h>

#include "base/json.h"

namespace millrace::connect {
namespace {

using namespace std::chrono_literals;

/// Keeps one connector in memory, or is unavailable.
class MemoryRegistry : public Registry {
 public:
  base::Result<Connector> read(base::Deadline) override {
    const std::lock_guard lock(mutex_);
    if (throws) throw std::runtime_error("secret-7");
    if (failure_) return std::unexpected(*failure_);
    return connector_;
  }
  base::Result<void> write(const Connector& connector, base::Deadline) override {
    const std::lock_guard lock(mutex_);
    if (failure_) return std::unexpected(*failure_);
    connector_ = connector;
    return {};
  }
  void fail(base::Error failure) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(failure);
  }
  std::atomic<bool> throws{false};
  Connector stored() {
    const std::lock_guard lock(mutex_);
    return connector_;
  }

 private:
  std::mutex mutex_;
  Connector connector_{.config = {{"name", "clickhouse-sink-orders"}, {"topics", "orders_analytics"}}};
  std::optional<base::Error> failure_;
};

class RestTest : public testing::Test {
 protected:
  ports::HttpResponse ask(const std::string& method, const std::string& target, std::string body = {}) {
    ports::HttpRequest request;
    request.method = method;
    request.body = std::move(body);
    std::string_view path = target;
    if (const auto question = path.find('?'); question != std::string_view::npos) {
      for (std::string_view rest = path.substr(question + 1); !rest.empty();) {
        const std::string_view pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
        request.query.emplace_back(pair.substr(0, pair.find('=')), pair.substr(pair.find('=') + 1));
      }
      path = path.substr(0, question);
    }
    for (path.remove_prefix(1); !path.empty();) {
      const std::string_view segment = path.substr(0, path.find('/'));
      request.path.emplace_back(segment);
      path.remove_prefix(std::min(path.size(), segment.size() + 1));
    }
    return rest_.answer(request);
  }
  std::string body(const std::string& method, const std::string& target, int status,
                   std::string content = {}) {
    const auto response = ask(method, target, std::move(content));
    EXPECT_EQ(response.status, status) << method << ' ' << target << ": " << response.body;
    return response.body;
  }

  const std::string right_ = R"("connector.class":"com.clickhouse.kafka.connect.ClickHouseSinkConnector",)"
                             R"("topics":"orders_analytics","database":"analytics","password":"test123")";
  MemoryRegistry registry_;
  Control control_{registry_, {.poll_interval = 1h}};
  Rest rest_{control_, {.version = "1.2.3", .worker_id = "127.0.0.1:8083"}};
};

std::string at(const std::string& path) {
  return "/connectors/clickhouse-sink-orders" + path;
}

TEST_F(RestTest, ShowsTheBuiltInConnectorWhenNobodyRegisteredOne) {
  EXPECT_EQ(body("GET", "/", 200), R"({"version":"1.2.3","commit":"millrace","kafka_cluster_id":null})");
  EXPECT_EQ(body("GET", "/connectors", 200), R"(["clickhouse-sink-orders"])");
  EXPECT_EQ(
      body("GET", at(""), 200),
      R"({"name":"clickhouse-sink-orders","config":{"name":"clickhouse-sink-orders","topics":)"
      R"("orders_analytics"},"tasks":[{"connector":"clickhouse-sink-orders","task":0}],"type":"sink"})");
  EXPECT_EQ(body("GET", at("/config"), 200),
            R"({"name":"clickhouse-sink-orders","topics":"orders_analytics"})");
  EXPECT_EQ(
      body("GET", at("/status"), 200),
      R"({"name":"clickhouse-sink-orders","connector":{"state":"RUNNING","worker_id":"127.0.0.1:8083"},)"
      R"("tasks":[{"id":0,"state":"UNASSIGNED","worker_id":"127.0.0.1:8083"}],"type":"sink"})");
  EXPECT_EQ(body("GET", at("/tasks"), 200),
            R"([{"id":{"connector":"clickhouse-sink-orders","task":0},"config":)"
            R"({"name":"clickhouse-sink-orders","topics":"orders_analytics"}}])");
  EXPECT_EQ(body("GET", at("/tasks/0/status"), 200),
            R"({"id":0,"state":"UNASSIGNED","worker_id":"127.0.0.1:8083"})");
  EXPECT_EQ(body("GET", at("/topics"), 200), R"({"clickhouse-sink-orders":{"topics":["orders_analytics"]}})");
  EXPECT_EQ(body("GET", "/connector-plugins", 200),
            R"([{"class":"com.clickhouse.kafka.connect.ClickHouseSinkConnector","type":"sink",)"
            R"("version":"undefined"}])");
  const std::string expanded = body("GET", "/connectors?expand=status&expand=info", 200);
  EXPECT_TRUE(expanded.starts_with(R"({"clickhouse-sink-orders":{"status":{"name")")) << expanded;
  EXPECT_NE(expanded.find(R"(,"info":{"name":)"), std::string::npos) << expanded;
}

TEST_F(RestTest, PausesResumesStopsAndRestarts) {
  EXPECT_EQ(body("PUT", at("/pause"), 202), "");
  EXPECT_NE(body("GET", at("/status"), 200).find(R"("state":"PAUSED")"), std::string::npos);
  EXPECT_EQ(registry_.stored().target, TargetState::kPaused);
  EXPECT_TRUE(control_.rests());
  EXPECT_EQ(body("PUT", at("/resume"), 202), "");
  EXPECT_FALSE(control_.rests());
  EXPECT_EQ(body("PUT", at("/stop"), 204), "");
  EXPECT_NE(
      body("GET", at("/status"), 200).find(R"("state":"STOPPED","worker_id":"127.0.0.1:8083"},"tasks":[])"),
      std::string::npos);
  EXPECT_EQ(body("GET", at("/tasks"), 200), "[]");
  EXPECT_EQ(body("PUT", at("/resume"), 202), "");
  EXPECT_EQ(body("POST", at("/restart"), 204), "");
  EXPECT_EQ(registry_.stored().restarts, 1U);
  EXPECT_NE(body("POST", at("/restart?includeTasks=true"), 202).find(R"("name":"clickhouse-sink-orders")"),
            std::string::npos);
  EXPECT_EQ(body("POST", at("/tasks/0/restart"), 204), "");
  EXPECT_EQ(registry_.stored().restarts, 3U);
  body("POST", at("/restart?onlyFailed=true"), 202);
  EXPECT_EQ(registry_.stored().restarts, 3U) << "nothing has failed";
}

TEST_F(RestTest, ForgetsADeletedConnectorUntilOneIsRegistered) {
  EXPECT_EQ(body("DELETE", at(""), 204), "");
  EXPECT_EQ(body("GET", "/connectors", 200), "[]");
  EXPECT_EQ(body("GET", "/connectors?expand=info", 200), "{}");
  const std::string gone = R"({"error_code":404,"message":"Connector clickhouse-sink-orders not found"})";
  for (const char* path : {"", "/config", "/status", "/tasks"}) EXPECT_EQ(body("GET", at(path), 404), gone);
  EXPECT_EQ(body("DELETE", at(""), 404), gone);
  EXPECT_EQ(body("PUT", at("/pause"), 404), gone);
  EXPECT_EQ(body("POST", at("/restart"), 404), gone);
  EXPECT_TRUE(control_.rests());

  const auto created =
      ask("POST", "/connectors", R"({"name":"clickhouse-sink-orders","config":{)" + right_ + "}}");

  EXPECT_EQ(created.status, 201);
  EXPECT_NE(created.body.find(R"("password":"[hidden]")"), std::string::npos) << created.body;
  EXPECT_EQ(created.body.find("test123"), std::string::npos);
  EXPECT_EQ(registry_.stored().config.at("password"), "[hidden]");
  EXPECT_EQ(created.headers.at(0), (std::pair<std::string, std::string>("Location", at(""))));
  EXPECT_FALSE(control_.rests());
}

TEST_F(RestTest, RegistersAgainByPutAndRefusesASecondPost) {
  EXPECT_EQ(
      body("POST", "/connectors", 409, R"({"name":"clickhouse-sink-orders","config":{)" + right_ + "}}"),
      R"({"error_code":409,"message":"Connector clickhouse-sink-orders already exists"})");
  body("PUT", at("/pause"), 202);
  body("PUT", at("/config"), 200, "{" + right_ + R"(,"tasks.max":2})");
  EXPECT_EQ(registry_.stored().config.at("tasks.max"), "2");
  EXPECT_EQ(registry_.stored().target, TargetState::kPaused) << "its state stays";
  body("DELETE", at(""), 204);
  body("PUT", at("/config"), 201, "{" + right_ + "}");
  EXPECT_EQ(registry_.stored().target, TargetState::kRunning);
}

TEST_F(RestTest, RefusesWhatTheSinkIsNotAndChangesNothing) {
  const auto before = registry_.stored().revision;
  const auto said = body("PUT", at("/config"), 400, R"({"topics":"other"})");
  EXPECT_NE(said.find("invalid and contains the following 3 error(s):"), std::string::npos) << said;
  EXPECT_NE(said.find("must be orders_analytics"), std::string::npos) << said;
  body("POST", "/connectors", 400, R"({"name":"another","config":{)" + right_ + "}}");
  body("PUT", "/connectors/another/config", 400, "{" + right_ + "}");
  body("PUT", at("/config"), 400, "{");
  body("PUT", at("/config"), 400, "");
  EXPECT_EQ(registry_.stored().revision, before);
  const auto checked =
      body("PUT", "/connector-plugins/com.clickhouse.kafka.connect.ClickHouseSinkConnector/config/validate",
           200, R"({"topics":"other","password":"test123"})");
  EXPECT_NE(checked.find(R"("error_count":3)"), std::string::npos) << checked;
  EXPECT_EQ(checked.find("test123"), std::string::npos);
  EXPECT_TRUE(base::parse_json(checked));
}

TEST_F(RestTest, AnswersErrorsInKafkaConnectsShape) {
  EXPECT_EQ(body("GET", "/connectors/nobody/status", 404),
            R"({"error_code":404,"message":"Connector nobody not found"})");
  EXPECT_EQ(body("GET", "/nothing", 404), R"({"error_code":404,"message":"HTTP 404 Not Found"})");
  EXPECT_EQ(body("GET", at("/pause"), 405), R"({"error_code":405,"message":"HTTP 405 Method Not Allowed"})");
  EXPECT_EQ(body("DELETE", "/connectors", 405),
            R"({"error_code":405,"message":"HTTP 405 Method Not Allowed"})");
  EXPECT_EQ(body("GET", at("/tasks/7/status"), 404),
            R"({"error_code":404,"message":"No status found for task clickhouse-sink-orders-7"})");
  registry_.fail({base::ErrorKind::kUnavailable, "the warehouse is away", 0});
  for (const char* path : {"", "/status"}) {
    const auto answer = body("GET", at(path), 503);
    EXPECT_TRUE(answer.starts_with(R"({"error_code":503,"message":")")) << answer;
  }
  body("PUT", at("/pause"), 503);
  EXPECT_FALSE(control_.rests());
}

TEST_F(RestTest, TellsNothingOfWhatTheWarehouseSaid) {
  for (const auto kind : {base::ErrorKind::kInvalid, base::ErrorKind::kRejected, base::ErrorKind::kNotFound,
                          base::ErrorKind::kConflict, base::ErrorKind::kFatal}) {
    registry_.fail({kind, "the warehouse at http://wh7:8123 answered 404: SELECT config", 60});
    const std::string said = body("GET", at("/status"), 503) + body("PUT", at("/pause"), 503);
    for (const char* part : {"wh7", "SELECT", "404"}) EXPECT_EQ(said.find(part), std::string::npos) << said;
  }
}

TEST_F(RestTest, SurvivesExceptionsOfItsParts) {
  const auto answer_of = [&](std::vector<std::string> path) {
    ports::HttpRequest request;
    request.method = "GET";
    request.path = std::move(path);
    std::promise<ports::HttpResponse> answered;
    rest_.handle(std::move(request),
                 [&](ports::HttpResponse answer) { answered.set_value(std::move(answer)); });
    return answered.get_future().get();
  };
  registry_.throws = true;
  const auto failed = answer_of({"connectors"});
  EXPECT_EQ(failed.status, 500);
  EXPECT_TRUE(failed.body.starts_with(R"({"error_code":500,"message":")")) << failed.body;
  EXPECT_EQ(failed.body.find("secret-7"), std::string::npos) << failed.body;
  registry_.throws = false;
  EXPECT_EQ(answer_of({"connectors"}).status, 200);
}

TEST_F(RestTest, NamesEachAnswerByItsRequest) {
  const auto id_of = [&](const std::string& given) {
    ports::HttpRequest request;
    request.method = "GET";
    request.path = {"connectors"};
    request.headers = {{"x-request-id", given}};
    std::promise<ports::HttpResponse> answered;
    rest_.handle(std::move(request),
                 [&](ports::HttpResponse answer) { answered.set_value(std::move(answer)); });
    auto answer = answered.get_future().get();
    EXPECT_EQ(answer.headers.back().first, "X-Request-Id");
    return answer.headers.back().second;
  };
  EXPECT_EQ(id_of("mine-1"), "mine-1");
  EXPECT_EQ(id_of("not\"mine").size(), 32U);
}

TEST_F(RestTest, TakesBackWhatItShowedAndKeepsNoSecretOfAnySpelling) {
  body("PUT", at("/config"), 200, "{" + right_ + R"(,"passwd":"a","apikey":"b","url":"http://u:c@h"})");
  const std::string shown = body("GET", at("/config"), 200);
  const Config stored = registry_.stored().config;
  EXPECT_EQ(stored.at("passwd"), "[hidden]");
  EXPECT_EQ(stored.at("apikey"), "[hidden]");
  EXPECT_EQ(stored.at("url"), "http://***@h");
  body("PUT", at("/config"), 200, shown);
  EXPECT_EQ(registry_.stored().config, stored);
}

}  // namespace
}  // namespace millrace::connect
