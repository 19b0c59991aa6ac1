#include "api/api.h"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "api/call.h"
#include "api/problems.h"
#include "api/requests.h"
#include "api/routes.h"
#include "base/request_id.h"
#include "base/text.h"
#include "web/router.h"

namespace millrace::api {
namespace {

using ports::HttpRequest;
using ports::HttpResponse;

/// For a path that no route has, or not with this verb.
HttpResponse no_route(const Call& call, std::string allowed) {
  const std::string path = base::printable(call.path, 200);
  if (allowed.empty())
    return ports::problem_response(404, fmt::format("there is no route {}", path), call.path);
  HttpResponse response;
  if (call.request.method == "OPTIONS")
    response.status = 204;
  else
    response = ports::problem_response(405, fmt::format("{} allows {}", path, allowed), call.path);
  response.headers.emplace_back("Allow", std::move(allowed));
  return response;
}

}  // namespace

class Api::Impl {
 public:
  Impl(Context context, const Options& options)
      : context_(std::move(context)),
        tracer_(options.tracer),
        read_timeout_(options.read_timeout),
        pools_(options) {}

  void handle(HttpRequest request, ports::HttpReply reply) {
    auto match = web::find_route(routes(), request.method, request.path);
    const auto call = std::make_shared<Call>();
    call->path = path_text(request.path);
    call->request_id = base::request_id(request.header("x-request-id"));
    call->request = std::move(request);
    call->reply = std::move(reply);
    call->arguments = std::move(match.arguments);
    if (match.route != nullptr) call->route = match.route->pattern;
    start_span(*call);
    answer_whatever_happens(*call, [&] {
      const auto encoding = call->request.header("content-encoding");
      if (encoding && base::to_lower(*encoding) != "identity")
        return call->answer(
            ports::problem_response(415, "send the body without a content encoding", call->path));
      if (match.route == nullptr) return call->answer(no_route(*call, std::move(match.allowed)));
      if (match.route->access == Access::kAdmin) {
        auto admin = parse_admin_id(call->request.header("x-admin-id"));
        if (!admin) return call->fail(admin.error());
        call->admin = std::move(*admin);
      }
      start(*match.route, call);
    });
  }

 private:
  /// The events of the request carry its span as their parent; without one the client's.
  void start_span(Call& call) const {
    call.traceparent = telemetry::accepted_traceparent(call.request.header("traceparent"));
    const auto client = tracer_.sampled(call.traceparent);
    if (!client) return;
    call.span = std::make_unique<ServerSpan>(tracer_, *client, call.request.method, call.route, call.path);
    call.traceparent = call.span->traceparent();
  }

  void start(const Route& route, const CallPointer& call) {
    if (route.handler.submits != nullptr) {
      if (const auto submitted = route.handler.submits(context_, call); !submitted)
        call->fail(submitted.error());
      return;
    }
    const auto deadline = base::Deadline::in(read_timeout_);
    const auto work = [this, &route, call, deadline] {
      auto response = route.handler.answers(context_, *call, deadline);
      response ? call->answer(std::move(*response)) : call->fail(response.error());
    };
    if (route.pool == nullptr) return work();
    const bool is_queued = (pools_.*route.pool).submit([call, deadline, work] {
      answer_whatever_happens(*call, [&] {
        // It waited too long in the queue.
        if (deadline.passed()) return call->answer(overloaded(call->path));
        work();
      });
    });
    if (!is_queued) call->answer(overloaded(call->path));
  }

  Context context_;
  const telemetry::Tracer tracer_;
  const std::chrono::milliseconds read_timeout_;
  Pools pools_;  // last: its threads use the rest until they are joined
};

Api::Api(ordering::OrderService& orders, ports::OrderStore& store, analytics::Analytics& analytics,
         const ports::Clock& clock, Options options, PipelineParts parts)
    : impl_(std::make_unique<Impl>(Context{.orders = orders,
                                           .store = store,
                                           .analytics = analytics,
                                           .clock = clock,
                                           .started_at = clock.now(),
                                           .parts = std::move(parts)},
                                   options)) {}

Api::~Api() = default;

void Api::handle(HttpRequest request, ports::HttpReply reply) {
  impl_->handle(std::move(request), std::move(reply));
}

}  // namespace millrace::api
