// The API over a real order store and the real server; the warehouse is unavailable on purpose.
#include <atomic>
#include <thread>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/clickhouse/clickhouse_warehouse.h"
#include "adapters/curl/curl_http_client.h"
#include "adapters/http/http_server.h"
#include "adapters/mysql/mysql_order_store.h"
#include "adapters/system/system_clock.h"
#include "api/api.h"
#include "base/json.h"
#include "base/uuid.h"
#include "domain/order_event.h"
#include "support/mariadb_fixture.h"
#include "support/raw_http.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;
using support::ask;
using support::RawAnswer;

constexpr std::string_view kAdmin = "X-Admin-Id: admin-7\r\n";
constexpr std::string_view kTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

class OrdersApi : public ::testing::Test {
 protected:
  OrdersApi() {
    adapters::http::HttpServerOptions options;
    options.port = 0;
    server_ = std::move(adapters::http::HttpServer::start(api_, options).value());
  }

  RawAnswer get(std::string_view target) { return ask(server_->port(), "GET", target); }
  RawAnswer post(std::string_view target, std::string_view body, std::string_view headers = {}) {
    std::string all(headers);
    if (headers.find("Content-Type:") == std::string_view::npos) all += "Content-Type: application/json\r\n";
    return ask(server_->port(), "POST", target, body, all);
  }
  RawAnswer remove(const std::string& id, std::string_view headers = kAdmin) {
    return ask(server_->port(), "DELETE", "/admin/orders/" + id, {}, headers);
  }
  RawAnswer patch(std::string_view target, std::string_view body) {
    return ask(server_->port(), "PATCH", target, body, "Content-Type: application/json\r\n");
  }
  std::string id_of_new_order(
      std::string_view body = R"({"userId":"user-1","items":[{"productId":"prod-2","quantity":1}]})") {
    const RawAnswer answer = post("/api/orders", body);
    EXPECT_EQ(answer.status, 201) << answer.body;
    return std::string(object(answer).at("id").as_string());
  }

  static json::object object(const RawAnswer& answer) {
    auto parsed = base::parse_json(answer.body);
    EXPECT_TRUE(parsed && parsed->is_object()) << answer.body;
    return parsed && parsed->is_object() ? parsed->get_object() : json::object();
  }
  static json::array array(const RawAnswer& answer) {
    auto parsed = base::parse_json(answer.body);
    EXPECT_TRUE(parsed && parsed->is_array()) << answer.body;
    return parsed && parsed->is_array() ? parsed->get_array() : json::array();
  }
  static void expect_problem(const RawAnswer& answer, int status, std::string_view says = {}) {
    EXPECT_EQ(answer.status, status) << answer.body;
    if (answer.status != status) return;
    EXPECT_EQ(answer.headers.at("content-type"), "application/problem+json");
    const json::object problem = object(answer);
    EXPECT_EQ(problem.at("status"), status);
    EXPECT_NE(answer.body.find(says), std::string::npos) << answer.body;
  }

  support::TestDatabase database_;
  adapters::system::SystemClock clock_;
  adapters::mysql::MysqlOrderStore store_{database_.address()};
  adapters::curl::CurlHttpClient client_{{}};
  adapters::clickhouse::ClickhouseWarehouse no_warehouse_{
      client_, {.url = "http://127.0.0.1:1", .user = "u", .password = "p"}};
  analytics::Analytics analytics_{no_warehouse_};
  ordering::OrderService orders_{store_, clock_, {.command_timeout = 3s}, [] {}};
  api::Api api_{orders_, store_, analytics_, clock_, {.read_timeout = 5s}};
  std::unique_ptr<adapters::http::HttpServer> server_;
};

TEST_F(OrdersApi, PlacesAnOrderAndFindsItAgain) {
  const auto created = post(
      "/api/orders",
      R"({"userId":"user-1","items":[{"productId":"prod-1","quantity":1},{"productId":"prod-2","quantity":3,"price":29.99}],
                               "shippingAddress":"Main St 1, Zürich","totalAmount":1389.96})");
  ASSERT_EQ(created.status, 201) << created.body;
  const json::object order = object(created);
  const std::string id(order.at("id").as_string());
  EXPECT_TRUE(base::is_uuid(id));
  EXPECT_EQ(order.at("orderId"), order.at("id"));
  EXPECT_EQ(order.at("userId"), "user-1");
  EXPECT_NE(created.body.find("\"totalAmount\":1389.96,"), std::string::npos) << created.body;
  EXPECT_EQ(order.at("status"), "PENDING");
  EXPECT_EQ(order.at("shippingAddress"), "Main St 1, Zürich");
  EXPECT_EQ(order.at("createdAt"), order.at("updatedAt"));
  EXPECT_EQ(order.at("items").as_array().size(), 2U);
  EXPECT_EQ(created.headers.at("location"), "/api/orders/" + id);

  for (const std::string prefix : {"/api/orders/", "/orders/"}) {
    const auto read = get(prefix + id);
    EXPECT_EQ(read.status, 200);
    EXPECT_EQ(read.body, created.body);
  }
  const auto stock = object(get("/api/inventory/prod-2"));
  EXPECT_EQ(stock.at("reserved"), 3);
  EXPECT_EQ(stock.at("available"), 97);
}

TEST_F(OrdersApi, ListsAUsersOrdersNewestFirst) {
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(id_of_new_order());
  const auto all = array(get("/api/orders/user/user-1"));
  ASSERT_EQ(all.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(all[i].at("id").as_string(), ids[2 - i]);
  EXPECT_EQ(array(get("/orders/user/user-1?limit=2")).size(), 2U);
  EXPECT_TRUE(array(get("/api/orders/user/user-2")).empty());
  expect_problem(get("/api/orders/user/user-1?limit=0"), 400, "'limit'");
}

TEST_F(OrdersApi, TrustsNoPriceOfTheClient) {
  expect_problem(post("/api/orders",
                      R"({"userId":"user-1","items":[{"productId":"prod-1","quantity":1,"price":0.01}]})"),
                 400, "1299.99");
  expect_problem(post("/api/orders",
                      R"({"userId":"user-1","items":[{"productId":"prod-1","quantity":1}],"totalAmount":1})"),
                 400, "1299.99");
  EXPECT_EQ(database_.value("SELECT COUNT(*) FROM orders"), "0");
  EXPECT_EQ(database_.value("SELECT COUNT(*) FROM outbox"), "0");
}

TEST_F(OrdersApi, RefusesOrdersOfWhatIsNotThere) {
  expect_problem(post("/api/orders", R"({"userId":"nobody","items":[{"productId":"prod-1","quantity":1}]})"),
                 404, "nobody");
  expect_problem(post("/api/orders", R"({"userId":"user-1","items":[{"productId":"nothing","quantity":1}]})"),
                 404, "nothing");
  expect_problem(
      post("/api/orders", R"({"userId":"user-1","items":[{"productId":"prod-1","quantity":101}]})"), 409,
      "prod-1");
  expect_problem(
      post(
          "/api/orders",
          R"({"userId":"user-1","items":[{"productId":"prod-1","quantity":60},{"productId":"prod-1","quantity":60}]})"),
      409);
  EXPECT_EQ(object(get("/api/inventory/prod-1")).at("available"), 100);
  EXPECT_EQ(database_.value("SELECT COUNT(*) FROM orders"), "0");
}

TEST_F(OrdersApi, TakesBodiesAsJsonAndWithoutAnEncoding) {
  constexpr std::string_view kBody = R"({"userId":"user-1","items":[{"productId":"prod-2","quantity":1}]})";
  EXPECT_EQ(post("/orders", kBody, "Content-Type: text/plain\r\n").status, 415);
  EXPECT_EQ(post("/orders", kBody, "Content-Type: application/json; charset=utf-8\r\n").status, 201);
  expect_problem(post("/orders", kBody, "Content-Encoding: gzip\r\n"), 415);
  expect_problem(post("/orders", "userId=user-1"), 400, "not valid JSON");
  expect_problem(ask(server_->port(), "POST", "/orders"), 400, "empty");
}

TEST_F(OrdersApi, CarriesAValidTraceContextIntoTheEvent) {
  constexpr std::string_view kBody = R"({"userId":"user-1","items":[{"productId":"prod-2","quantity":1}]})";
  EXPECT_EQ(post("/orders", kBody, fmt::format("traceparent: {}\r\n", kTrace)).status, 201);
  EXPECT_EQ(post("/orders", kBody, "traceparent: 00-zz-1-01\r\n").status, 201);
  const auto traced =
      domain::parse_order_event(database_.value("SELECT payload FROM outbox ORDER BY id LIMIT 1"));
  ASSERT_TRUE(traced) << traced.error().message;
  EXPECT_EQ(traced->traceparent, kTrace);
  const auto untraced =
      domain::parse_order_event(database_.value("SELECT payload FROM outbox ORDER BY id DESC LIMIT 1"));
  ASSERT_TRUE(untraced) << untraced.error().message;
  EXPECT_EQ(untraced->traceparent, "");
}

TEST_F(OrdersApi, DeletesAnOrderOnceHoweverOftenItIsAsked) {
  const std::string id = id_of_new_order();
  expect_problem(remove(id, {}), 400, "X-Admin-Id");
  expect_problem(remove(id, fmt::format("X-Admin-Id: {}\r\n", std::string(101, 'a'))), 400, "X-Admin-Id");
  EXPECT_EQ(get("/orders/" + id).status, 200);

  const auto deleted = remove(id);
  EXPECT_EQ(deleted.status, 204);
  EXPECT_EQ(deleted.body, "");
  EXPECT_EQ(remove(id).status, 204);
  EXPECT_EQ(ask(server_->port(), "DELETE", "/api/admin/orders/" + id, {}, kAdmin).status, 204);
  EXPECT_EQ(database_.value("SELECT COUNT(*) FROM outbox WHERE event_type = 'OrderDeleted'"), "1");
  EXPECT_EQ(domain::parse_order_event(database_.value("SELECT payload FROM outbox ORDER BY id DESC LIMIT 1"))
                ->deleted_by,
            "admin-7");

  expect_problem(get("/api/orders/" + id), 404);
  EXPECT_TRUE(array(get("/api/orders/user/user-1")).empty());
  EXPECT_EQ(object(get("/api/inventory/prod-2")).at("available"), 100);
  expect_problem(remove("019aaaaa-0000-7000-8000-000000000000"), 404);
}

TEST_F(OrdersApi, ServesTheCatalogueAndTheUsers) {
  const auto products = array(get("/api/products"));
  EXPECT_EQ(products.size(), 6U);
  const auto laptop = get("/api/products/prod-1");
  EXPECT_NE(laptop.body.find("\"price\":1299.99,"), std::string::npos) << laptop.body;
  const json::object product = object(laptop);
  for (const auto* key :
       {"id", "name", "description", "price", "category", "imageUrl", "isActive", "createdAt", "updatedAt"})
    EXPECT_TRUE(product.contains(key)) << key;
  EXPECT_EQ(product.at("name"), "Laptop");
  EXPECT_EQ(product.at("isActive"), true);
  const std::string category(product.at("category").as_string());
  EXPECT_FALSE(array(get("/api/products/category/" + category)).empty());
  EXPECT_TRUE(array(get("/api/products/category/no%20such")).empty());
  expect_problem(get("/api/products/prod-7"), 404);

  const auto users = array(get("/api/users"));
  EXPECT_EQ(users.size(), 3U);
  EXPECT_EQ(array(get("/api/users?limit=2")).size(), 2U);
  const auto user = get("/api/users/user-1");
  EXPECT_EQ(user.body.find("password"), std::string::npos);
  std::string email(object(user).at("email").as_string());
  EXPECT_EQ(get("/api/users/email/" + email).body, user.body);
  email.replace(email.find('@'), 1, "%40");
  EXPECT_EQ(get("/api/users/email/" + email).body, user.body);
  expect_problem(get("/api/users/user-9"), 404);
  expect_problem(get("/api/users/email/nobody@nowhere.example"), 404);
}

TEST_F(OrdersApi, SetsTheStockButNotBelowWhatIsReserved) {
  id_of_new_order(R"({"userId":"user-1","items":[{"productId":"prod-3","quantity":10}]})");
  const auto set = patch("/api/inventory/prod-3", R"({"quantity":25})");
  ASSERT_EQ(set.status, 200) << set.body;
  EXPECT_EQ(object(set).at("quantity"), 25);
  EXPECT_EQ(object(set).at("reserved"), 10);
  EXPECT_EQ(object(set).at("available"), 15);
  EXPECT_EQ(object(get("/api/inventory/prod-3")).at("quantity"), 25);
  expect_problem(patch("/api/inventory/prod-3", R"({"quantity":9})"), 409);
  expect_problem(patch("/api/inventory/prod-3", R"({"quantity":-1})"), 400);
  expect_problem(patch("/api/inventory/prod-9", R"({"quantity":1})"), 404);
  expect_problem(get("/api/inventory/prod-9"), 404);
}

TEST_F(OrdersApi, CompletesAPaymentOnceAndSaysSo) {
  const std::string id = id_of_new_order();
  EXPECT_EQ(array(get("/api/payments/" + id)).at(0).at("status"), "PENDING");
  expect_problem(post("/api/payments", fmt::format(R"({{"orderId":"{}","amount":1}})", id)), 400, "29.99");
  const auto failed = post("/api/payments", fmt::format(R"({{"orderId":"{}","status":"FAILED"}})", id));
  EXPECT_EQ(failed.status, 201) << failed.body;
  EXPECT_EQ(object(get("/orders/" + id)).at("status"), "PENDING");
  EXPECT_EQ(array(get("/api/payments/" + id)).at(0).at("status"), "FAILED");
  const auto paid =
      post("/api/payments", fmt::format(R"({{"orderId":"{}","amount":29.99,"method":"credit_card"}})", id));
  EXPECT_EQ(paid.status, 201) << paid.body;
  EXPECT_EQ(object(paid).at("status"), "COMPLETED");
  EXPECT_EQ(object(get("/orders/" + id)).at("status"), "PAYMENT_CONFIRMED");
  expect_problem(post("/api/payments", fmt::format(R"({{"orderId":"{}"}})", id)), 409, "already");
  expect_problem(post("/api/payments", R"({"orderId":"nothing"})"), 404);
  expect_problem(get("/api/payments/nothing"), 404);
}

TEST_F(OrdersApi, SaysWhichRoutesAndMethodsThereAre) {
  expect_problem(get("/api/nothing"), 404, "/api/nothing");
  expect_problem(get("/API/orders/1"), 404);
  const auto wrong = ask(server_->port(), "DELETE", "/api/orders/1");
  expect_problem(wrong, 405, "GET");
  EXPECT_EQ(wrong.headers.at("allow"), "GET, HEAD, OPTIONS");
  const auto options = ask(server_->port(), "OPTIONS", "/api/orders");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.headers.at("allow"), "POST, OPTIONS");
  expect_problem(get("/api/orders/" + std::string(37, 'a')), 400, "36");
  expect_problem(get("/api/orders/unknown"), 404);
  EXPECT_EQ(ask(server_->port(), "HEAD", "/api/products").status, 200);
}

TEST_F(OrdersApi, LeadsPeopleToTheConsole) {
  const auto root = get("/");
  EXPECT_EQ(root.status, 302);
  EXPECT_EQ(root.headers.at("location"), "/console");
  const auto console = get("/console");
  EXPECT_EQ(console.status, 200);
  EXPECT_TRUE(console.headers.at("content-type").starts_with("text/html"));
}

TEST_F(OrdersApi, SurvivesExceptionsOfItsParts) {
  api::PipelineParts parts;
  parts.metrics = []() -> std::string { throw std::runtime_error("secret-7"); };
  parts.readiness = []() -> api::PipelineReadiness { throw std::runtime_error("secret-7"); };
  api::Api broken(orders_, store_, analytics_, clock_, {.read_timeout = 5s}, std::move(parts));
  adapters::http::HttpServerOptions options;
  options.port = 0;
  const auto server = adapters::http::HttpServer::start(broken, options).value();
  for (const char* path : {"/metrics", "/readyz", "/metrics"}) {
    const auto answer = ask(server->port(), "GET", path);
    expect_problem(answer, 500, "requestId");
    EXPECT_EQ(answer.body.find("secret-7"), std::string::npos) << answer.body;
  }
  EXPECT_EQ(ask(server->port(), "GET", "/api/products").status, 200);
}

TEST_F(OrdersApi, AnswersForAWarehouseThatIsAwayAndTakesOrdersAllTheSame) {
  EXPECT_EQ(get("/healthz").status, 200);
  const auto health = get("/api/analytics/health");
  EXPECT_EQ(health.status, 503);
  EXPECT_EQ(health.body, R"({"status":"unhealthy","clickhouse":false})");
  const auto ready = get("/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(ready.body, R"({"status":"not ready","orderStore":true,"warehouse":false})");
  const auto stats = get("/api/analytics/stats");
  expect_problem(stats, 503);
  EXPECT_TRUE(stats.headers.contains("retry-after"));
  EXPECT_EQ(stats.body.find("127.0.0.1"), std::string::npos) << stats.body;
  expect_problem(get("/api/analytics/daily-sales?startDate=soon"), 400, "'startDate'");
  id_of_new_order();
}

TEST_F(OrdersApi, SaysTryAgainWhileTheStoreIsAwayAndGoesOnAfterwards) {
  const std::string id = id_of_new_order();
  support::MariadbServer::get().kill();
  for (const std::string& target :
       {"/api/orders/" + id, std::string("/api/products"), std::string("/api/orders/user/user-1")}) {
    const auto answer = get(target);
    expect_problem(answer, 503);
    EXPECT_TRUE(answer.headers.contains("retry-after"));
  }
  const auto refused =
      post("/api/orders", R"({"userId":"user-1","items":[{"productId":"prod-2","quantity":1}]})");
  expect_problem(refused, 503);
  EXPECT_EQ(refused.body.find("mysql"), std::string::npos) << refused.body;
  EXPECT_EQ(get("/readyz").body, R"({"status":"not ready","orderStore":false,"warehouse":false})");
  EXPECT_EQ(get("/healthz").status, 200);

  support::MariadbServer::get().start();
  EXPECT_EQ(get("/api/orders/" + id).status, 200);
  id_of_new_order();
  EXPECT_EQ(database_.value("SELECT COUNT(*) FROM orders"), "2");
}

TEST_F(OrdersApi, TakesManyOrdersAtOnceAndSellsNothingTwice) {
  std::atomic<int> created = 0;
  std::atomic<int> sold_out = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([&] {
      support::RawHttp client(server_->port());
      constexpr std::string_view kBody =
          R"({"userId":"user-2","items":[{"productId":"prod-6","quantity":1}]})";
      for (int k = 0; k < 10; ++k) {
        client.send(
            fmt::format("POST /api/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                        "application/json\r\nContent-Length: {}\r\n\r\n{}",
                        kBody.size(), kBody));
        const int status = client.read().status;
        if (status == 201) ++created;
        if (status == 409) ++sold_out;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(created, 100);
  EXPECT_EQ(sold_out, 60);
  EXPECT_EQ(database_.value("SELECT COUNT(*) FROM outbox"), "100");
  EXPECT_EQ(object(get("/api/inventory/prod-6")).at("available"), 0);
}

}  // namespace
}  // namespace millrace
