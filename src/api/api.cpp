#include "api/api.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "api/job_shapes.h"
#include "api/letter_shapes.h"
#include "api/log_routes.h"
#include "api/pages.h"
#include "api/problems.h"
#include "api/requests.h"
#include "api/router.h"
#include "api/shapes.h"
#include "api/trace_context.h"
#include "api/worker_pool.h"
#include "base/json.h"
#include "base/request_id.h"
#include "base/text.h"

namespace millrace::api {
namespace {

constexpr std::uint32_t kOrdersOfUserOtherwise = 100;
constexpr std::uint32_t kOrdersOfUserMost = 1'000;
constexpr std::uint32_t kUsersOtherwise = 1'000;
constexpr std::uint32_t kUsersMost = 10'000;
constexpr std::uint32_t kLettersOtherwise = 100;
constexpr std::uint32_t kLettersMost = 1'000;
constexpr std::uint32_t kJobsOtherwise = 20;
constexpr std::uint32_t kJobsMost = 1'000;
constexpr std::size_t kAdminThreads = 1;
constexpr std::size_t kAdminQueueMax = 32;
constexpr std::size_t kLogThreads = 2;
constexpr std::size_t kLogQueueMax = 64;
constexpr std::size_t kMetricsThreads = 1;
constexpr std::size_t kMetricsQueueMax = 4;

using ports::HttpRequest;
using ports::HttpResponse;

/// One request on its way to its answer.
struct Call {
  HttpRequest request;
  ports::HttpReply reply;
  std::string argument;  ///< Of the route.
  std::vector<std::string> arguments;
  std::string path;
  std::string request_id;

  void answer(HttpResponse response) const {
    ports::name_request(response, request_id);
    reply(std::move(response));
  }
  void answer_json(std::string body, int status = 200) const {
    HttpResponse response;
    response.status = status;
    response.body = std::move(body);
    answer(std::move(response));
  }
  void fail(const base::Error& error) const {
    log_what_is_not_told(error, request.method, path, request_id);
    answer(problem_of(error, path));
  }
};

using CallPointer = std::shared_ptr<const Call>;

/// Answers 500 if `work` throws: it runs on threads that serve others, too. If it had answered already, the
/// first answer counts.
template <class Work>
void answer_whatever_happens(const Call& call, Work&& work) {
  try {
    try {
      work();
    } catch (const std::exception& failure) {
      call.fail({base::ErrorKind::kFatal, fmt::format("an exception: {}", failure.what()), 0});
    }
  } catch (const std::exception& failure) {
    // The server answers such a request itself when its time is up.
    spdlog::error("a request is left without an answer: {}", failure.what());
  }
}

/// What becomes of a command: `show(outcome)` answers a success.
template <class Show>
auto outcome_of(const CallPointer& call, Show show) {
  return [call, show = std::move(show)](base::Result<ordering::Outcome> outcome) {
    answer_whatever_happens(*call, [&] { outcome ? show(*outcome) : call->fail(outcome.error()); });
  };
}

HttpResponse order_response(int status, const ports::StoredOrder& order) {
  HttpResponse response;
  response.status = status;
  response.body = order_json(order);
  return response;
}

}  // namespace

class Api::Impl {
 public:
  Impl(ordering::OrderService& orders, ports::OrderStore& store, analytics::Analytics& analytics,
       const ports::Clock& clock, Options options, PipelineParts parts)
      : orders_(orders),
        store_(store),
        analytics_(analytics),
        started_at_(clock.now()),
        clock_(clock),
        options_(options),
        parts_(std::move(parts)),
        store_pool_(options.store_threads, options.store_queue_max),
        analytics_pool_(options.analytics_threads, options.analytics_queue_max),
        admin_pool_(kAdminThreads, kAdminQueueMax),
        log_pool_(kLogThreads, kLogQueueMax),
        metrics_pool_(kMetricsThreads, kMetricsQueueMax) {}

  void handle(HttpRequest request, ports::HttpReply reply) {
    Routed routed = route_of(request.method, request.path);
    std::string path = path_text(request.path);
    std::string request_id = base::request_id(request.header("x-request-id"));
    const auto call = std::make_shared<const Call>(Call{.request = std::move(request),
                                                        .reply = std::move(reply),
                                                        .argument = std::move(routed.argument),
                                                        .arguments = std::move(routed.arguments),
                                                        .path = std::move(path),
                                                        .request_id = std::move(request_id)});
    if (const auto encoding = call->request.header("content-encoding");
        encoding && base::to_lower(*encoding) != "identity")
      return call->answer(
          ports::problem_response(415, "send the body without a content encoding", call->path));
    switch (routed.route) {
      case Route::kNone:
        return call->answer(ports::problem_response(
            404, fmt::format("there is no route {}", base::printable(call->path, 200)), call->path));
      case Route::kWrongMethod:
        return wrong_method(*call, std::move(routed.allowed));
      case Route::kAllowedMethods:
        return allowed_methods(*call, std::move(routed.allowed));
      case Route::kRoot:
        return root(*call);
      case Route::kConsole:
        return console(*call);
      case Route::kHealth:
        return health(*call);
      case Route::kReadiness:
        return readiness(call);
      case Route::kMetrics:
        return metrics(call);
      case Route::kPlaceOrder:
        return place_order(call);
      case Route::kOrder:
        return order(call);
      case Route::kOrdersOfUser:
        return orders_of_user(call);
      case Route::kDeleteOrder:
        return delete_order(call);
      case Route::kProducts:
        return read(
            store_pool_, call, [this](base::Deadline d) { return store_.all_products(d); },
            [](const auto& all) { return products_json(all); });
      case Route::kProduct:
        return product(call);
      case Route::kProductsInCategory:
        return products_in_category(call);
      case Route::kUsers:
        return users(call);
      case Route::kUser:
        return user(call);
      case Route::kUserByEmail:
        return user_by_email(call);
      case Route::kPay:
        return pay(call);
      case Route::kPayments:
        return payments(call);
      case Route::kStock:
        return stock(call);
      case Route::kSetStock:
        return set_stock(call);
      case Route::kDailySales:
        return sales(call, &analytics::Analytics::daily_sales,
                     [](const auto& rows) { return daily_sales_json(rows); });
      case Route::kHourlySales:
        return sales(call, &analytics::Analytics::hourly_sales,
                     [](const auto& rows) { return hourly_sales_json(rows); });
      case Route::kOrderStatus:
        return sales(call, &analytics::Analytics::order_status,
                     [](const auto& rows) { return order_status_json(rows); });
      case Route::kStats:
        return read(
            analytics_pool_, call, [this](base::Deadline d) { return analytics_.stats(d); },
            [](const auto& stats) { return stats_json(stats); });
      case Route::kAnalyticsHealth:
        return analytics_health(call);
      case Route::kLetters:
        return list_letters(call);
      case Route::kLetter:
        return show_letter(call);
      case Route::kReplayLetter:
        return replay_letter(call);
      case Route::kDropLetter:
        return drop_letter(call);
      case Route::kSubmitJob:
        return submit_job(call);
      case Route::kJobs:
        return list_jobs(call);
      case Route::kJob:
        return show_job(call);
      case Route::kCancelJob:
        return cancel_job(call);
      case Route::kLogCluster:
      case Route::kLogTopics:
      case Route::kLogTopic:
      case Route::kLogMessages:
      case Route::kCreateTopic:
      case Route::kLogGroups:
      case Route::kLogGroup:
        return event_log(call, routed.route);
    }
  }

 private:
  // Pages and probes.

  static void wrong_method(const Call& call, std::string allowed) {
    HttpResponse response = ports::problem_response(
        405, fmt::format("{} allows {}", base::printable(call.path, 200), allowed), call.path);
    response.headers.emplace_back("Allow", std::move(allowed));
    call.answer(std::move(response));
  }
  static void allowed_methods(const Call& call, std::string allowed) {
    HttpResponse response;
    response.status = 204;
    response.headers.emplace_back("Allow", std::move(allowed));
    call.answer(std::move(response));
  }
  static void root(const Call& call) {
    HttpResponse response;
    response.status = 302;
    response.headers.emplace_back("Location", "/console");
    call.answer(std::move(response));
  }
  static void console(const Call& call) {
    HttpResponse response;
    response.content_type = "text/html; charset=utf-8";
    response.body = console_page();
    call.answer(std::move(response));
  }
  void health(const Call& call) const {
    std::string body;
    base::JsonWriter json(body);
    json.begin_object();
    json.key("status").string("up");
    json.key("startedAt").string(base::to_iso8601(started_at_));
    json.key("now").string(base::to_iso8601(clock_.now()));
    json.end_object();
    call.answer_json(std::move(body));
  }
  void readiness(const CallPointer& call) {
    run(analytics_pool_, call, [this, call](base::Deadline deadline) {
      // Any answer will do, also that there is no such user.
      const auto asked = store_.user(domain::UserId("readiness"), deadline);
      const bool has_store = asked || asked.error().kind == base::ErrorKind::kNotFound;
      const bool has_warehouse = analytics_.health(deadline).has_value();
      const bool runs = !parts_.pipeline_runs || parts_.pipeline_runs();
      const bool is_ready = has_store && has_warehouse && runs;
      std::string body;
      base::JsonWriter json(body);
      json.begin_object();
      json.key("status").string(is_ready ? "ready" : "not ready");
      json.key("orderStore").boolean(has_store);
      json.key("warehouse").boolean(has_warehouse);
      if (parts_.pipeline_runs) json.key("pipeline").boolean(runs);
      json.end_object();
      call->answer_json(std::move(body), is_ready ? 200 : 503);
    });
  }

  void metrics(const CallPointer& call) {
    if (!parts_.metrics)
      return call->answer(ports::problem_response(
          503, "measurements are served where the pipeline runs: ask `millrace up`", call->path));
    run(metrics_pool_, call, [this, call](base::Deadline) {
      HttpResponse response;
      response.content_type = parts_.metrics_content_type;
      response.body = parts_.metrics();
      call->answer(std::move(response));
    });
  }

  // Orders.

  void place_order(const CallPointer& call) {
    auto command =
        parse_place_order(call->request.body, accepted_traceparent(call->request.header("traceparent")));
    if (!command) return call->fail(command.error());
    orders_.submit(std::move(*command), outcome_of(call, [call](const ordering::Outcome& outcome) {
                     HttpResponse response = order_response(201, outcome.order);
                     response.headers.emplace_back("Location",
                                                   "/api/orders/" + outcome.order.image.order_id.value());
                     call->answer(std::move(response));
                   }));
  }
  void order(const CallPointer& call) {
    auto id = parse_segment(call->argument, "an order id", domain::kIdLengthMax);
    if (!id) return call->fail(id.error());
    read(
        store_pool_, call,
        [this, id = domain::OrderId(std::move(*id))](base::Deadline d) { return store_.order(id, d); },
        [](const auto& order) { return order_json(order); });
  }
  void orders_of_user(const CallPointer& call) {
    auto id = parse_segment(call->argument, "a user id", domain::kIdLengthMax);
    if (!id) return call->fail(id.error());
    const auto limit = parse_limit(call->request, kOrdersOfUserOtherwise, kOrdersOfUserMost);
    if (!limit) return call->fail(limit.error());
    read(
        store_pool_, call,
        [this, id = domain::UserId(std::move(*id)), count = *limit](base::Deadline d) {
          return store_.orders_of_user(id, count, d);
        },
        [](const auto& orders) { return orders_json(orders); });
  }
  void delete_order(const CallPointer& call) {
    auto admin = parse_admin_id(call->request.header("x-admin-id"));
    if (!admin) return call->fail(admin.error());
    auto id = parse_segment(call->argument, "an order id", domain::kIdLengthMax);
    if (!id) return call->fail(id.error());
    ordering::DeleteOrder command;
    command.order_id = domain::OrderId(std::move(*id));
    command.admin_id = std::move(*admin);
    command.traceparent = accepted_traceparent(call->request.header("traceparent"));
    orders_.submit(std::move(command), outcome_of(call, [call](const ordering::Outcome&) {
                     HttpResponse response;
                     response.status = 204;
                     call->answer(std::move(response));
                   }));
  }

  // Catalogue and users.

  void product(const CallPointer& call) {
    auto id = parse_segment(call->argument, "a product id", domain::kIdLengthMax);
    if (!id) return call->fail(id.error());
    read(
        store_pool_, call,
        [this, id = domain::ProductId(std::move(*id))](base::Deadline d) { return store_.product(id, d); },
        [](const auto& product) { return product_json(product); });
  }
  void products_in_category(const CallPointer& call) {
    auto category = parse_segment(call->argument, "a category", kCategoryBytesMax);
    if (!category) return call->fail(category.error());
    read(
        store_pool_, call,
        [this, category = std::move(*category)](base::Deadline d) {
          return store_.products_in_category(category, d);
        },
        [](const auto& products) { return products_json(products); });
  }
  void users(const CallPointer& call) {
    const auto limit = parse_limit(call->request, kUsersOtherwise, kUsersMost);
    if (!limit) return call->fail(limit.error());
    read(
        store_pool_, call, [this, count = *limit](base::Deadline d) { return store_.all_users(count, d); },
        [](const auto& users) { return users_json(users); });
  }
  void user(const CallPointer& call) {
    auto id = parse_segment(call->argument, "a user id", domain::kIdLengthMax);
    if (!id) return call->fail(id.error());
    read(
        store_pool_, call,
        [this, id = domain::UserId(std::move(*id))](base::Deadline d) { return store_.user(id, d); },
        [](const auto& user) { return user_json(user); });
  }
  void user_by_email(const CallPointer& call) {
    auto email = parse_segment(call->argument, "an e-mail address", kEmailBytesMax);
    if (!email) return call->fail(email.error());
    read(
        store_pool_, call,
        [this, email = std::move(*email)](base::Deadline d) { return store_.user_by_email(email, d); },
        [](const auto& user) { return user_json(user); });
  }

  // Stock.

  void stock(const CallPointer& call) {
    auto id = parse_segment(call->argument, "a product id", domain::kIdLengthMax);
    if (!id) return call->fail(id.error());
    read(
        store_pool_, call,
        [this, id = domain::ProductId(std::move(*id))](base::Deadline d) { return store_.stock(id, d); },
        [](const auto& stock) { return stock_json(stock); });
  }
  void set_stock(const CallPointer& call) {
    auto id = parse_segment(call->argument, "a product id", domain::kIdLengthMax);
    if (!id) return call->fail(id.error());
    auto command = parse_set_stock(*id, call->request.body);
    if (!command) return call->fail(command.error());
    orders_.submit(std::move(*command), outcome_of(call, [call](const ordering::Outcome& outcome) {
                     if (!outcome.stock)
                       return call->fail({base::ErrorKind::kFatal, "the stock was set, but not reported", 0});
                     call->answer_json(stock_json(*outcome.stock));
                   }));
  }

  // Payments.

  void payments(const CallPointer& call) {
    auto id = parse_segment(call->argument, "an order id", domain::kIdLengthMax);
    if (!id) return call->fail(id.error());
    read(
        store_pool_, call,
        [this, id = domain::OrderId(std::move(*id))](base::Deadline d) { return store_.order(id, d); },
        [](const auto& order) { return payments_json(order); });
  }
  void pay(const CallPointer& call) {
    auto payment = parse_payment(call->request.body);
    if (!payment) return call->fail(payment.error());
    run(store_pool_, call, [this, call, payment = std::move(*payment)](base::Deadline deadline) {
      const auto order = store_.order(payment.order_id, deadline);
      if (!order) return call->fail(order.error());
      auto command = payment_command(payment, order->image);
      if (!command) return call->fail(command.error());
      command->traceparent = accepted_traceparent(call->request.header("traceparent"));
      orders_.submit(std::move(*command), outcome_of(call, [call](const ordering::Outcome& outcome) {
                       call->answer_json(payment_json(outcome.order), outcome.changed ? 201 : 200);
                     }));
    });
  }

  // Analytics.

  template <class Rows, class Show>
  void sales(const CallPointer& call,
             base::Result<Rows> (analytics::Analytics::*question)(const analytics::SalesRange&,
                                                                  base::Deadline),
             Show show) {
    const auto range = parse_sales_range(call->request);
    if (!range) return call->fail(range.error());
    read(
        analytics_pool_, call,
        [this, question, range = *range](base::Deadline d) { return (analytics_.*question)(range, d); },
        show);
  }
  void analytics_health(const CallPointer& call) {
    run(analytics_pool_, call, [this, call](base::Deadline deadline) {
      const auto answer = analytics_.health(deadline);
      if (!answer) log_what_is_not_told(answer.error(), call->request.method, call->path, call->request_id);
      std::string body;
      base::JsonWriter json(body);
      json.begin_object();
      json.key("status").string(answer ? "healthy" : "unhealthy");
      json.key("clickhouse").boolean(answer.has_value());
      json.end_object();
      call->answer_json(std::move(body), answer ? 200 : 503);
    });
  }

  // Dead letters.

  /// Answers `work(letters, admin id, deadline)`, a JSON text, in the name of the admin.
  template <class Work>
  void with_letters(const CallPointer& call, Work work) {
    auto admin = parse_admin_id(call->request.header("x-admin-id"));
    if (!admin) return call->fail(admin.error());
    if (parts_.letters == nullptr)
      return call->answer(ports::problem_response(
          503,
          "the embedded event log can be read in the process of `millrace up` alone: ask that one for dead "
          "letters",
          call->path));
    run(admin_pool_, call,
        [this, call, admin = std::move(*admin), work = std::move(work)](base::Deadline deadline) {
          auto answer = work(*parts_.letters, admin, deadline);
          if (!answer) return call->fail(answer.error());
          call->answer_json(std::move(*answer));
        });
  }
  /// The same for one letter, the one that the path names.
  template <class Work>
  void with_letter(const CallPointer& call, Work work) {
    auto id = letters::parse_letter_id(call->arguments[0], call->arguments[1], call->arguments[2]);
    if (!id) return call->fail(id.error());
    with_letters(call, [id = std::move(*id), work = std::move(work)](
                           letters::Letters& all, const std::string& admin, base::Deadline deadline) {
      return work(all, id, admin, deadline);
    });
  }
  void list_letters(const CallPointer& call) {
    const auto limit = parse_limit(call->request, kLettersOtherwise, kLettersMost);
    if (!limit) return call->fail(limit.error());
    const auto handled_too = parse_flag(call->request, "all");
    if (!handled_too) return call->fail(handled_too.error());
    with_letters(
        call,
        [call, count = *limit, all = *handled_too](letters::Letters& letters, const std::string&,
                                                   base::Deadline deadline) -> base::Result<std::string> {
          MILLRACE_TRY_ASSIGN(
              const auto list,
              letters.list({.topic = std::string(call->request.parameter("topic").value_or("")),
                            .after = std::string(call->request.parameter("after").value_or("")),
                            .count_max = count,
                            .handled_too = all},
                           deadline));
          return letters_json(list);
        });
  }
  void show_letter(const CallPointer& call) {
    with_letter(call,
                [](letters::Letters& all, const letters::LetterId& id, const std::string&,
                   base::Deadline deadline) -> base::Result<std::string> {
                  MILLRACE_TRY_ASSIGN(const auto letter, all.find(id, deadline));
                  return letter_json(letter);
                });
  }
  void replay_letter(const CallPointer& call) {
    with_letter(call,
                [call](letters::Letters& all, const letters::LetterId& id, const std::string& admin,
                       base::Deadline deadline) -> base::Result<std::string> {
                  std::optional<std::string> corrected;
                  if (!base::trim(call->request.body).empty()) corrected = call->request.body;
                  MILLRACE_TRY_ASSIGN(const auto handled, all.replay(id, corrected, admin, deadline));
                  return handled_json(handled);
                });
  }
  void drop_letter(const CallPointer& call) {
    with_letter(call,
                [call](letters::Letters& all, const letters::LetterId& id, const std::string& admin,
                       base::Deadline deadline) -> base::Result<std::string> {
                  const std::string reason(call->request.parameter("reason").value_or(""));
                  MILLRACE_TRY_ASSIGN(const auto handled, all.drop(id, reason, admin, deadline));
                  return handled_json(handled);
                });
  }

  // Jobs.

  /// Answers `work(service, deadline)`, a JSON text, if an admin is named.
  template <class Work>
  void with_jobs(const CallPointer& call, int status, Work work) {
    if (const auto admin = parse_admin_id(call->request.header("x-admin-id")); !admin)
      return call->fail(admin.error());
    if (parts_.jobs == nullptr)
      return call->answer(ports::problem_response(
          503,
          "the embedded event log can be read in the process of `millrace up` alone: ask that one for jobs",
          call->path));
    run(admin_pool_, call, [this, call, status, work = std::move(work)](base::Deadline deadline) {
      auto answer = work(*parts_.jobs, deadline);
      if (!answer) return call->fail(answer.error());
      call->answer_json(std::move(*answer), status);
    });
  }
  /// The same for the job that the path names.
  template <class Work>
  void with_job(const CallPointer& call, int status, Work work) {
    const auto id = base::parse_int<std::uint64_t>(call->argument);
    if (!id)
      return call->fail({base::ErrorKind::kInvalid, "a job is named by its number, as in /admin/jobs/7", 0});
    with_jobs(call, status,
              [id = *id, work = std::move(work)](jobs::JobService& service,
                                                 base::Deadline deadline) -> base::Result<std::string> {
                MILLRACE_TRY_ASSIGN(const ports::Job job, work(service, id, deadline));
                return job_json(job);
              });
  }
  void submit_job(const CallPointer& call) {
    with_jobs(call, 202,
              [call](jobs::JobService& service, base::Deadline deadline) -> base::Result<std::string> {
                MILLRACE_TRY_ASSIGN(const ports::Job job, service.submit(call->request.body, deadline));
                return job_json(job);
              });
  }
  void list_jobs(const CallPointer& call) {
    const auto limit = parse_limit(call->request, kJobsOtherwise, kJobsMost);
    if (!limit) return call->fail(limit.error());
    with_jobs(
        call, 200,
        [count = *limit](jobs::JobService& service, base::Deadline deadline) -> base::Result<std::string> {
          MILLRACE_TRY_ASSIGN(const auto jobs, service.jobs(count, deadline));
          return jobs_json(jobs);
        });
  }
  void show_job(const CallPointer& call) {
    with_job(call, 200, [](jobs::JobService& service, std::uint64_t id, base::Deadline deadline) {
      return service.job(id, deadline);
    });
  }
  void cancel_job(const CallPointer& call) {
    with_job(call, 202, [](jobs::JobService& service, std::uint64_t id, base::Deadline deadline) {
      return service.cancel(id, deadline);
    });
  }

  // The event log.

  void event_log(const CallPointer& call, Route route) {
    if (needs_admin(route))
      if (const auto admin = parse_admin_id(call->request.header("x-admin-id")); !admin)
        return call->fail(admin.error());
    if (parts_.log == nullptr)
      return call->answer(ports::problem_response(
          503, "the embedded event log is shown where the pipeline runs: ask `millrace up`", call->path));
    run(log_pool_, call, [this, call, route](base::Deadline deadline) {
      call->answer(log_response(route, *parts_.log, call->request, call->arguments, call->path,
                                call->request_id, deadline));
    });
  }

  /// Runs `job(deadline)` on the pool; it answers. A call that waited too long in the queue is answered
  /// without it.
  template <class Job>
  void run(WorkerPool& pool, const CallPointer& call, Job job) {
    const auto deadline = base::Deadline::in(options_.read_timeout);
    const bool is_queued = pool.submit([call, deadline, job = std::move(job)] {
      if (deadline.passed()) return call->answer(overloaded(call->path));
      answer_whatever_happens(*call, [&] { job(deadline); });
    });
    if (!is_queued) call->answer(overloaded(call->path));
  }

  /// Answers 200 with what `question(deadline)` gives, as `show` writes it.
  template <class Question, class Show>
  void read(WorkerPool& pool, const CallPointer& call, Question question, Show show) {
    run(pool, call, [call, question = std::move(question), show](base::Deadline deadline) {
      auto found = question(deadline);
      if (!found) return call->fail(found.error());
      call->answer_json(show(*found));
    });
  }

  ordering::OrderService& orders_;
  ports::OrderStore& store_;
  analytics::Analytics& analytics_;
  const base::UtcTime started_at_;
  const ports::Clock& clock_;
  const Options options_;
  const PipelineParts parts_;
  WorkerPool store_pool_;
  WorkerPool analytics_pool_;
  WorkerPool admin_pool_;    // a long look through letters holds up nobody else
  WorkerPool log_pool_;      // brokers that are away hold up only those who ask about them
  WorkerPool metrics_pool_;  // is asked above all when other parts are slow
};

Api::Api(ordering::OrderService& orders, ports::OrderStore& store, analytics::Analytics& analytics,
         const ports::Clock& clock, Options options, PipelineParts parts)
    : impl_(std::make_unique<Impl>(orders, store, analytics, clock, options, std::move(parts))) {}

Api::~Api() = default;

void Api::handle(HttpRequest request, ports::HttpReply reply) {
  impl_->handle(std::move(request), std::move(reply));
}

}  // namespace millrace::api
