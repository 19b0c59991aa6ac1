// The HTTP contract over the stages. Shapes and status codes: docs/specs/api.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "analytics/analytics.h"
#include "api/readiness.h"
#include "dead_letters/dead_letters.h"
#include "inspect/log_view.h"
#include "jobs/job_service.h"
#include "ordering/order_service.h"
#include "ports/clock.h"
#include "ports/http.h"
#include "ports/order_store.h"
#include "telemetry/tracer.h"

namespace millrace::api {

struct Options {
  // Blocking calls run on two pools, so that a warehouse that is unavailable does not hold up reads of
  // orders. A full queue: 503.
  std::size_t store_threads = 4;
  std::size_t store_queue_max = 256;
  std::size_t analytics_threads = 2;
  std::size_t analytics_queue_max = 128;
  std::chrono::milliseconds read_timeout{
      5'000};                     ///< From the request to the answer, waiting in the queue included.
  telemetry::Tracer tracer = {};  ///< Of the requests.
};

/// What only a process that reaches the event log has; without it these routes answer 503.
struct PipelineParts {
  dead_letters::DeadLetters* letters = nullptr;
  jobs::JobService* jobs = nullptr;
  inspect::LogView* log = nullptr;
  /// The body of GET /metrics, in `metrics_content_type`; may take seconds. Empty: there are none.
  std::function<std::string()> metrics = {};
  std::string metrics_content_type = {};
  /// Of the stages that run here. Empty: there are none.
  std::function<PipelineReadiness()> readiness = {};
};

/// All routes. What it is given must outlive it. Stop the HTTP server first; the destructor then lets queued
/// reads finish (they end by `read_timeout`). Commands on their way need it no more: they answer their
/// request when they are done.
class Api : public ports::HttpHandler {
 public:
  Api(ordering::OrderService& orders, ports::OrderStore& store, analytics::Analytics& analytics,
      const ports::Clock& clock, Options options = {}, PipelineParts parts = {});
  ~Api() override;
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  void handle(ports::HttpRequest request, ports::HttpReply reply) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::api
