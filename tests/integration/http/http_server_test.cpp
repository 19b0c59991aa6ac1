#include "adapters/http/http_server.h"

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/raw_http.h"

namespace millrace::adapters::http {
namespace {

using namespace std::chrono_literals;
using support::ask;
using support::RawHttp;

/// Answers with what it was asked: a real handler for a real server.
class Echo : public ports::HttpHandler {
 public:
  ~Echo() override {
    release();
    for (std::thread& thread : threads_) thread.join();
  }

  void handle(ports::HttpRequest request, ports::HttpReply reply) override {
    ++requests;
    if (request.path == std::vector<std::string>{"throw"}) throw std::runtime_error("on purpose");
    if (request.path == std::vector<std::string>{"silent"}) return;
    ports::HttpResponse response;
    response.content_type = "text/plain";
    response.route = "/echo";
    response.body = request.method + " ";
    for (const std::string& segment : request.path) response.body += "/" + segment;
    for (const auto& [name, value] : request.query) response.body += fmt::format(" {}={}", name, value);
    if (!request.body.empty())
      response.body += fmt::format(
          " [{}]", request.body.size() > 100 ? fmt::format("{} bytes", request.body.size()) : request.body);
    if (request.path == std::vector<std::string>{"gone"}) response.status = 204;
    if (request.path == std::vector<std::string>{"large"}) response.body.assign(64'000'000, 'a');
    if (request.path == std::vector<std::string>{"split"})
      response.headers = {{"X-Bad", "a\r\nX-Evil: 1"}, {"X-Good", "b"}};
    const bool is_held = request.path == std::vector<std::string>{"held"};
    if (!is_held && request.path != std::vector<std::string>{"elsewhere"}) return reply(std::move(response));
    const std::lock_guard lock(mutex_);
    threads_.emplace_back([this, is_held, reply = std::move(reply), response = std::move(response)] {
      if (is_held) {
        std::unique_lock waiting(mutex_);
        released_.wait_for(waiting, 30s, [this] { return is_released_; });
      }
      reply(response);
    });
  }

  void release() {
    {
      const std::lock_guard lock(mutex_);
      is_released_ = true;
    }
    released_.notify_all();
  }

  std::atomic<int> requests{0};

 private:
  std::mutex mutex_;
  std::condition_variable released_;
  bool is_released_ = false;
  std::vector<std::thread> threads_;
};

class HttpServerTest : public ::testing::Test {
 protected:
  void start(HttpServerOptions options = {}) {
    options.port = 0;
    options.access.allowed_hosts = {{.name = "x", .port = ""}};
    options.json_bodies_only = false;
    auto started = HttpServer::start(echo_, options);
    ASSERT_TRUE(started) << started.error().message;
    server_ = std::move(*started);
  }
  [[nodiscard]] std::uint16_t port() const { return server_->port(); }
  void await_requests(int count) const {
    const auto deadline = base::Deadline::in(10s);
    while (echo_.requests < count && !deadline.passed()) std::this_thread::yield();
    ASSERT_GE(echo_.requests, count);
  }

  Echo echo_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersWithDateServerAndLength) {
  start();
  const auto answer = ask(port(), "GET", "/api/orders/a%20b?limit=5&x=1+2");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "GET /api/orders/a b limit=5 x=1 2");
  EXPECT_EQ(answer.headers.at("server"), "millrace");
  EXPECT_EQ(answer.headers.at("content-length"), std::to_string(answer.body.size()));
  EXPECT_EQ(answer.headers.at("connection"), "close");
  EXPECT_TRUE(answer.headers.at("date").ends_with(" GMT"));
}

TEST_F(HttpServerTest, TellsWhatItAnsweredByRouteVerbAndStatus) {
  std::mutex mutex;
  std::vector<std::string> answered;
  HttpServerOptions options;
  options.reply_timeout = 20ms;
  options.on_answered = [&](const Answered& one) {
    const std::lock_guard lock(mutex);
    EXPECT_GE(one.duration.count(), 0);
    answered.push_back(fmt::format("{} {} {}", one.route, one.verb, one.status));
    throw std::runtime_error("on purpose: it ends no request");
  };
  start(options);
  EXPECT_EQ(ask(port(), "GET", "/a").status, 200);
  EXPECT_EQ(ask(port(), "HEAD", "/a").status, 200);
  EXPECT_EQ(ask(port(), "GET", "/throw").status, 500);
  EXPECT_EQ(ask(port(), "GET", "/silent").status, 503);
  EXPECT_EQ(ask(port(), "GET", "/a%").status, 400);
  EXPECT_EQ(ask(port(), "BREW", "/a").status, 501);
  const std::lock_guard lock(mutex);
  EXPECT_EQ(answered, (std::vector<std::string>{"/echo GET 200", "/echo HEAD 200", " GET 500", " GET 503",
                                                " GET 400", "  501"}));
}

TEST_F(HttpServerTest, ListensOnAnIpv6Address) {
  HttpServerOptions options;
  options.host = "::1";
  start(options);
  EXPECT_GT(port(), 0);
  HttpServerOptions second;
  second.host = "::1";
  second.port = port();
  const auto taken = HttpServer::start(echo_, second);
  ASSERT_FALSE(taken);
  EXPECT_NE(taken.error().message.find(fmt::format("[::1]:{}", port())), std::string::npos)
      << taken.error().message;
}

TEST_F(HttpServerTest, KeepsTheConnectionForTheNextRequest) {
  start();
  RawHttp client(port());
  for (int i = 0; i < 3; ++i) {
    client.send(fmt::format("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", i));
    EXPECT_EQ(client.read().body, fmt::format("GET /{}", i));
  }
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInTheirOrder) {
  start();
  RawHttp client(port());
  std::string requests;
  for (int i = 0; i < 50; ++i) {
    if (i % 3 == 0)
      requests += "GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n";
    else
      requests += fmt::format("POST /{} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody", i);
  }
  client.send(requests);
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(client.read().body,
              i % 3 == 0 ? std::string("GET /elsewhere") : fmt::format("POST /{} [body]", i));
}

TEST_F(HttpServerTest, ReadsChunkedBodies) {
  start();
  RawHttp client(port());
  client.send("POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  client.send("4;ext=1\r\ndefg\r\n0\r\nTrailer: 1\r\n\r\n");
  EXPECT_EQ(client.read().body, "POST /c [abcdefg]");
}

TEST_F(HttpServerTest, AsksForTheBodyWhenTheClientExpectsIt) {
  start();
  RawHttp client(port());
  client.send("POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(client.read().status, 100);
  client.send("abc");
  EXPECT_EQ(client.read().body, "POST /e [abc]");
}

TEST_F(HttpServerTest, RefusesAnExpectedBodyThatIsTooLargeBeforeItIsSent) {
  start({.body_bytes_max = 100});
  RawHttp client(port());
  client.send("POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n");
  EXPECT_EQ(client.read().status, 413);
}

TEST_F(HttpServerTest, AnswersHeadWithoutTheBody) {
  start();
  RawHttp client(port());
  client.send("HEAD /h HTTP/1.1\r\nHost: x\r\n\r\nGET /after HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto head = client.read(false);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-length"), "6");
  EXPECT_EQ(client.read().body, "GET /after");
}

TEST_F(HttpServerTest, SendsNoLengthWithNoContent) {
  start();
  RawHttp client(port());
  client.send("GET /gone HTTP/1.1\r\nHost: x\r\n\r\nGET /after HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto gone = client.read();
  EXPECT_EQ(gone.status, 204);
  EXPECT_FALSE(gone.headers.contains("content-length"));
  EXPECT_EQ(client.read().body, "GET /after");
}

TEST_F(HttpServerTest, ServesOldClientsAndClosesUnlessTheyAskOtherwise) {
  start();
  RawHttp client(port());
  client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(client.read().headers.at("connection"), "keep-alive");
  client.send("GET /b HTTP/1.0\r\n\r\n");
  EXPECT_EQ(client.read().body, "GET /b");
  EXPECT_TRUE(client.ended());
}

TEST_F(HttpServerTest, DropsHeadersOfAnAnswerThatHoldLineBreaks) {
  start();
  const auto answer = ask(port(), "GET", "/split");
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.headers.contains("x-evil"));
  EXPECT_EQ(answer.headers.at("x-good"), "b");
}

TEST_F(HttpServerTest, RefusesWhatIsNoProperRequestAsAProblem) {
  start();
  struct Case {
    std::string_view request;
    int status;
  };
  for (const Case& one : {
           Case{"hello\r\n\r\n", 400},
           Case{"\x16\x03\x01\x02 tls\r\n\r\n", 400},
           Case{"GET /a% HTTP/1.1\r\nHost: x\r\n\r\n", 400},
           Case{"GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n", 400},
           Case{"GET / HTTP/1.1\r\n\r\n", 400},
           Case{"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
           Case{"GET / HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n", 400},
           Case{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400},
           Case{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
           Case{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: "
                "chunked\r\n\r\n0\r\n\r\n",
                400},
           Case{"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
           Case{"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
           Case{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
           Case{"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501},
           Case{"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 501},
           Case{"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", 501},
           Case{"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
           Case{"POST / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\na", 417},
       }) {
    RawHttp client(port());
    client.send(one.request);
    const auto answer = client.read();
    EXPECT_EQ(answer.status, one.status) << one.request;
    if (answer.status == 0) continue;
    EXPECT_EQ(answer.headers.at("content-type"), "application/problem+json") << one.request;
    EXPECT_EQ(answer.headers.at("connection"), "close") << one.request;
    EXPECT_NE(answer.body.find(fmt::format("\"status\":{}", one.status)), std::string::npos) << answer.body;
  }
  EXPECT_EQ(echo_.requests, 0);
  EXPECT_EQ(ask(port(), "GET", "/still-there").status, 200);
}

TEST_F(HttpServerTest, RefusesHugeHeadersAndTargets) {
  start();
  RawHttp header(port());
  header.send("GET / HTTP/1.1\r\nHost: x\r\nX-Big: " + std::string(100'000, 'a') + "\r\n\r\n");
  EXPECT_EQ(header.read().status, 431);
  RawHttp target(port());
  target.send("GET /" + std::string(100'000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(target.read().status, 414);
}

TEST_F(HttpServerTest, RefusesHugeBodiesAndTheClientHearsIt) {
  start({.body_bytes_max = 1000});
  EXPECT_EQ(ask(port(), "POST", "/", std::string(1000, 'a')).status, 200);
  EXPECT_EQ(ask(port(), "POST", "/", std::string(1001, 'a')).status, 413);
  EXPECT_EQ(ask(port(), "POST", "/", std::string(8'000'000, 'a')).status, 413);
  RawHttp chunked(port());
  chunked.send("POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 20; ++i) chunked.send("64\r\n" + std::string(100, 'b') + "\r\n");
  EXPECT_EQ(chunked.read().status, 413);
  RawHttp extension(port());
  extension.send("POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
                 std::string(60'000, 'e'));
  EXPECT_EQ(extension.read().status, 400);
}

TEST_F(HttpServerTest, TellsASlowClientThatItsTimeIsUp) {
  start({.header_timeout = 200ms, .body_timeout = 200ms});
  RawHttp header(port());
  header.send("GET / HTTP/1.1\r\nHos");
  EXPECT_EQ(header.read().status, 408);
  RawHttp body(port());
  body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(body.read().status, 408);
}

TEST_F(HttpServerTest, DripsDoNotExtendTheDeadline) {
  start({.header_timeout = 300ms});
  RawHttp client(port());
  std::atomic<bool> is_over = false;
  std::thread drip([&] {
    client.send("GET / HTTP/1.1\r\n");
    while (!is_over && client.send("a: b\r\n")) std::this_thread::sleep_for(20ms);
  });
  EXPECT_EQ(client.read().status, 408);
  is_over = true;
  drip.join();
}

TEST_F(HttpServerTest, ClosesIdleConnections) {
  start({.idle_timeout = 100ms});
  RawHttp client(port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read().status, 200);
  EXPECT_TRUE(client.ended());
}

TEST_F(HttpServerTest, AnswersForAHandlerThatThrowsOrStaysSilent) {
  start({.reply_timeout = 200ms});
  EXPECT_EQ(ask(port(), "GET", "/throw").status, 500);
  EXPECT_EQ(ask(port(), "GET", "/silent").status, 503);
  EXPECT_EQ(ask(port(), "GET", "/fine").status, 200);
}

TEST_F(HttpServerTest, SurvivesClientsThatLeaveInTheMiddle) {
  start();
  for (const std::string_view part :
       {"", "G", "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        "GET /held HTTP/1.1\r\nHost: x\r\n\r\n"}) {
    RawHttp client(port());
    client.send(part);
  }
  await_requests(1);
  echo_.release();
  EXPECT_EQ(ask(port(), "GET", "/fine").status, 200);
}

TEST_F(HttpServerTest, DropsAClientThatDoesNotReadItsAnswer) {
  start({.connections_max = 1, .write_timeout = 200ms});
  RawHttp client(port());
  client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  await_requests(1);
  const auto deadline = base::Deadline::in(10s);
  int status = 503;  // Until the one place is free again.
  while (status == 503 && !deadline.passed()) status = ask(port(), "GET", "/fine").status;
  EXPECT_EQ(status, 200);
  EXPECT_EQ(client.read().status, 0);
}

TEST_F(HttpServerTest, SurvivesDamagedRequests) {
  start({.body_bytes_max = 1000, .idle_timeout = 200ms, .header_timeout = 200ms, .body_timeout = 200ms});
  const std::vector<std::string> seeds{
      "GET /a/b%20c?x=1&y=%41 HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
      "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"};
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 300; ++i) {
    std::string request = seeds[random() % seeds.size()];
    for (auto changes = 1 + random() % 3; changes > 0; --changes) {
      const std::size_t at = random() % request.size();
      switch (random() % 3) {
        case 0:
          request[at] = static_cast<char>(random() % 256);
          break;
        case 1:
          request.erase(at, 1 + random() % 4);
          break;
        default:
          request.insert(at, request.substr(random() % request.size(), random() % 20));
          break;
      }
    }
    RawHttp client(port());
    client.send(request + "\r\n\r\n");
    const int status = client.read().status;
    EXPECT_TRUE(status == 0 || status == 100 || status == 200 || (status >= 400 && status < 506))
        << status << "\n"
        << request;
  }
  EXPECT_EQ(ask(port(), "GET", "/fine").status, 200);
}

TEST_F(HttpServerTest, ServesAHundredClientsAtOnceOnSeveralThreads) {
  start({.threads = 3});
  std::vector<std::future<int>> clients;
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  threads.reserve(100);
  for (int i = 0; i < 100; ++i) {
    threads.emplace_back([&, i] {
      RawHttp client(port());
      for (int k = 0; k < 20; ++k) {
        client.send(fmt::format("POST /{} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{:02}", i, k));
        if (client.read().body == fmt::format("POST /{} [{:02}]", i, k)) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 2000);
}

TEST_F(HttpServerTest, TellsClientsBeyondTheBoundToComeBack) {
  start({.connections_max = 2});
  RawHttp first(port());
  RawHttp second(port());
  for (RawHttp* client : {&first, &second}) {
    client->send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client->read().status, 200);
  }
  const auto refused = ask(port(), "GET", "/b");
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(refused.headers.contains("retry-after"));
  first.send("GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(first.read().status, 200);
  EXPECT_TRUE(first.ended());
  const auto deadline = base::Deadline::in(10s);
  int status = 0;
  while (status != 200 && !deadline.passed()) status = ask(port(), "GET", "/d").status;
  EXPECT_EQ(status, 200);
}

TEST_F(HttpServerTest, FinishesRunningRequestsWhenStopped) {
  start();
  RawHttp idle(port());
  idle.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(idle.read().status, 200);
  RawHttp busy(port());
  busy.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
  await_requests(2);
  auto stopped = std::async(std::launch::async, [this] { return server_->stop(base::Deadline::in(20s)); });
  EXPECT_TRUE(idle.ended());
  echo_.release();
  const auto answer = busy.read();
  EXPECT_EQ(answer.body, "GET /held");
  EXPECT_EQ(answer.headers.at("connection"), "close");
  EXPECT_TRUE(stopped.get());
}

TEST_F(HttpServerTest, GivesUpOnRequestsThatOutliveTheStopsDeadline) {
  start();
  RawHttp busy(port());
  busy.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
  await_requests(1);
  EXPECT_FALSE(server_->stop(base::Deadline::in(50ms)));
  server_.reset();
  EXPECT_EQ(busy.read().status, 0);
  echo_.release();  // The reply comes after the end of the server and must find nothing to break.
}

TEST_F(HttpServerTest, SaysThatThePortIsTaken) {
  start();
  HttpServerOptions options;
  options.port = port();
  const auto second = HttpServer::start(echo_, options);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, base::ErrorKind::kConflict);
  EXPECT_EQ(
      second.error().message,
      fmt::format(
          "cannot listen on 127.0.0.1:{}: the port is in use; stop the other program or set another port",
          port()));
}

TEST_F(HttpServerTest, RefusesAHostThatIsNoAddress) {
  const auto server = HttpServer::start(echo_, {.host = "nowhere.invalid"});
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().kind, base::ErrorKind::kInvalid);
}

}  // namespace
}  // namespace millrace::adapters::http
