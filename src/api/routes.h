// The table of routes, and what their handlers work with.
#pragma once

#include <span>
#include <string_view>

#include "api/api.h"
#include "api/call.h"
#include "api/worker_pool.h"
#include "base/deadline.h"
#include "base/result.h"
#include "base/utc_time.h"

namespace millrace::api {

/// Threads for calls that block. Each kind of dependency has its own, so that one that is unavailable holds
/// up only those who ask for it. A call that finds its pool's queue full is answered 503.
struct Pools {
  explicit Pools(const Options& options);

  WorkerPool store;
  WorkerPool analytics;
  WorkerPool admin;    ///< A long look through dead letters holds up nobody else.
  WorkerPool log;      ///< Brokers that are unavailable hold up only those who ask about them.
  WorkerPool metrics;  ///< Is asked above all when other parts are slow.
};

/// All that handlers use. What it refers to is thread-safe and outlives the calls.
struct Context {
  ordering::OrderService& orders;
  ports::OrderStore& store;
  analytics::Analytics& analytics;
  const ports::Clock& clock;
  const base::UtcTime started_at;
  const PipelineParts parts;
};

using Answer = base::Result<ports::HttpResponse>;
/// Gives the answer, or the error that becomes one. May block until `deadline` on the route's pool; without a
/// pool it runs on the server's I/O thread and must not.
using AnsweringHandler = Answer(Context& context, const Call& call, base::Deadline deadline);
/// Checks the request and hands it on: the call is answered later, once. An error is answered at once. Must
/// not block.
using SubmittingHandler = base::Result<void>(Context& context, const CallPointer& call);

/// One of the two kinds.
struct Handler {
  constexpr Handler(AnsweringHandler* handler) : answers(handler) {}
  constexpr Handler(SubmittingHandler* handler) : submits(handler) {}

  AnsweringHandler* answers = nullptr;
  SubmittingHandler* submits = nullptr;
};

enum class Access {
  kEveryone,
  kAdmin,  ///< The header X-Admin-Id must say who asks, else 400.
};

struct Route {
  std::string_view verb;
  std::string_view pattern;  ///< "/api/orders/{id}"; {…} stands for one segment.
  Handler handler;
  WorkerPool Pools::* pool;  ///< Null: the I/O thread.
  Access access;
};

/// The one table: what a route is called, who may ask, and what answers on which threads.
[[nodiscard]] std::span<const Route> routes();

}  // namespace millrace::api
