// The exporter over the real client, against a receiver that answers as the test says.
#include "adapters/otlp/span_exporter.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <regex>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/curl/curl_http_client.h"
#include "adapters/http/http_server.h"

namespace millrace::adapters::otlp {
namespace {

using namespace std::chrono_literals;
using base::Deadline;

constexpr auto kPatience = 60s;

/// Takes spans, and answers what it was told to, or 200.
class Receiver final : public ports::HttpHandler {
 public:
  Receiver() {
    http::HttpServerOptions options;
    options.port = 0;
    auto started = http::HttpServer::start(*this, options);
    EXPECT_TRUE(started) << started.error().message;
    server_ = std::move(*started);
  }
  ~Receiver() override { server_->stop(Deadline::in(1s)); }

  [[nodiscard]] std::string url() const { return fmt::format("http://127.0.0.1:{}/", server_->port()); }

  void handle(ports::HttpRequest request, ports::HttpReply reply) override {
    ports::HttpResponse response;
    response.body = "{}";
    {
      const std::lock_guard lock(mutex_);
      if (!answers_.empty()) {
        response = answers_.front();
        answers_.pop_front();
      }
      requests_.push_back(std::move(request));
    }
    changed_.notify_all();
    if (response.status != 0) reply(std::move(response));
  }

  /// To the next requests. Status 0: no answer.
  void answer_with(std::deque<ports::HttpResponse> answers) {
    const std::lock_guard lock(mutex_);
    answers_ = std::move(answers);
  }
  /// The first `count` requests.
  std::vector<ports::HttpRequest> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kPatience, [&] { return requests_.size() >= count; }));
    return requests_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ports::HttpResponse> answers_;   // guarded by mutex_
  std::vector<ports::HttpRequest> requests_;  // guarded by mutex_
  std::unique_ptr<http::HttpServer> server_;
};

ports::HttpResponse status(int code) {
  ports::HttpResponse response;
  response.status = code;
  return response;
}

std::size_t spans_in(const ports::HttpRequest& request) {
  const std::regex one("\"spanId\":\"[0-9a-f]{16}\"");
  return static_cast<std::size_t>(std::distance(
      std::sregex_iterator(request.body.begin(), request.body.end(), one), std::sregex_iterator()));
}

class SpanExporterTest : public testing::Test {
 protected:
  SpanExporterTest() {
    options_.endpoint = receiver_.url();
    options_.batch_spans_max = 4;
    options_.batch_delay = 20ms;
    options_.call_timeout = 30s;
    options_.retry_first = 5ms;
    options_.retry_max = 20ms;
  }
  void start() {
    exporter_ = std::make_unique<SpanExporter>(
        client_, recorder_, options_,
        Counters{.sent = registry_.counter("millrace_otlp_spans_sent_total"), .dropped = dropped_});
  }
  void record(int count) {
    const telemetry::TraceContext parent{.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
                                         .span_id = "00f067aa0ba902b7"};
    for (int i = 0; i < count; ++i)
      recorder_.record(telemetry::child_of(parent, "one", telemetry::SpanKind::kInternal));
  }
  /// "sent/dropped".
  std::string counted() {
    const std::string text = registry_.text();
    const auto value = [&](const std::string& name) {
      std::smatch match;
      return std::regex_search(text, match, std::regex("\n" + name + " ([0-9]+)\n")) ? match[1].str() : "?";
    };
    return value("millrace_otlp_spans_sent_total") + "/" + value("millrace_otlp_spans_dropped_total");
  }
  std::string counted_at_the_end() {
    exporter_->stop(Deadline::in(kPatience));
    return counted();
  }

  Receiver receiver_;
  curl::CurlHttpClient client_{{.connections_max = 1, .ca_file = {}}};
  telemetry::Registry registry_;
  telemetry::Counter dropped_ = registry_.counter("millrace_otlp_spans_dropped_total");
  telemetry::SpanRecorder recorder_{10, dropped_};
  Options options_;
  std::unique_ptr<SpanExporter> exporter_;
};

TEST_F(SpanExporterTest, SendsInBatchesAndTheRestAtTheStop) {
  start();
  record(9);
  EXPECT_EQ(counted_at_the_end(), "9/0");
  const auto requests = receiver_.wait_for(3);
  std::size_t spans = 0;
  for (const auto& request : requests) {
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.path, (std::vector<std::string>{"v1", "traces"}));
    EXPECT_EQ(request.header("content-type"), "application/json");
    EXPECT_LE(spans_in(request), 4U);
    spans += spans_in(request);
  }
  EXPECT_EQ(spans, 9U);
}

TEST_F(SpanExporterTest, SendsABatchAgainThatTheCollectorDoesNotTakeForNow) {
  receiver_.answer_with({status(503), status(429), status(502), status(504)});
  start();
  record(4);
  const auto requests = receiver_.wait_for(5);
  for (const auto& request : requests) EXPECT_EQ(request.body, requests[0].body);
  EXPECT_EQ(counted_at_the_end(), "4/0");
}

TEST_F(SpanExporterTest, DropsABatchThatTheCollectorRefusesAndGoesOn) {
  receiver_.answer_with({status(400)});
  start();
  record(4);
  receiver_.wait_for(1);
  record(2);
  EXPECT_EQ(counted_at_the_end(), "2/4");
}

TEST_F(SpanExporterTest, CountsWhatACollectorRejectedOfABatch) {
  ports::HttpResponse partial;
  partial.body = R"({"partialSuccess":{"rejectedSpans":"3"}})";
  receiver_.answer_with({partial});
  start();
  record(4);
  receiver_.wait_for(1);
  EXPECT_EQ(counted_at_the_end(), "1/3");
}

TEST_F(SpanExporterTest, DropsWhatIsLeftWhenTheCollectorIsAwayAtTheStop) {
  options_.endpoint = "http://127.0.0.1:1";
  start();
  record(10);
  EXPECT_EQ(counted_at_the_end(), "0/10");
}

TEST_F(SpanExporterTest, IsNotHeldUpByACollectorThatHangs) {
  receiver_.answer_with({status(0), status(0), status(0)});
  options_.call_timeout = 200ms;
  start();
  record(4);
  receiver_.wait_for(1);
  const auto begun = std::chrono::steady_clock::now();
  exporter_->stop(Deadline::in(200ms));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 20s);
  EXPECT_EQ(counted(), "0/4");
}

}  // namespace
}  // namespace millrace::adapters::otlp
