// Takes spans from a recorder and sends them to a collector by OTLP/HTTP.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/backoff.h"
#include "base/deadline.h"
#include "base/outage_logger.h"
#include "base/result.h"
#include "base/stop.h"
#include "ports/http.h"
#include "telemetry/registry.h"
#include "telemetry/tracer.h"

namespace millrace::adapters::otlp {

struct Options {
  std::string endpoint;                          ///< "http://localhost:4318"; /v1/traces is appended to it.
  std::vector<telemetry::Attribute> resource;    ///< Who sends: service.name and so on.
  std::size_t batch_spans_max = 512;             ///< In one request.
  std::chrono::milliseconds batch_delay{1'000};  ///< How long a span may wait for others.
  std::chrono::milliseconds call_timeout{5'000};
  std::chrono::milliseconds retry_first{100};  ///< The pause after a failure, growing to the longest.
  std::chrono::milliseconds retry_max{5'000};
};

struct Counters {
  telemetry::Counter sent;     ///< Spans that the collector took.
  telemetry::Counter dropped;  ///< Spans that it refused, or that were left when the process stopped.
};

/// Sends on a thread of its own until it is stopped. A batch that the collector does not take for now (it is
/// away, or answers 429, 502, 503 or 504) is sent again after a pause, as often as it takes, while the
/// recorder bounds what comes meanwhile; one that it refuses is dropped. An outage is logged once.
class SpanExporter {
 public:
  /// `http` and `recorder` must outlive it, as must what `counters` refer to.
  SpanExporter(ports::HttpClient& http, telemetry::SpanRecorder& recorder, Options options,
               Counters counters);
  /// Stops at once, if it was not stopped.
  ~SpanExporter();
  SpanExporter(const SpanExporter&) = delete;
  SpanExporter& operator=(const SpanExporter&) = delete;

  /// Closes the recorder and sends what it holds, until the deadline or the first failure; the rest is
  /// dropped. A call under way may outlast the deadline by `call_timeout`. Call once; not thread-safe.
  void stop(base::Deadline deadline);

 private:
  void run();
  void drain();
  /// Sends a batch until the collector has taken or refused it, or a stop is requested: false, it is left.
  bool deliver(const std::vector<telemetry::Span>& batch);
  /// One attempt, by `deadline`. True: taken. False: refused for good. Errors: kUnavailable (try again).
  base::Result<bool> send(const std::vector<telemetry::Span>& batch, base::Deadline deadline);
  void on_failure(const base::Error& error);

  ports::HttpClient& http_;
  telemetry::SpanRecorder& recorder_;
  const Options options_;
  const Counters counters_;
  const std::string url_;
  base::StopSignal stop_;
  base::Deadline stop_by_ = base::Deadline::in(std::chrono::milliseconds(0));  // set before stop_ is
  // Of the thread.
  base::Backoff backoff_;
  base::OutageLogger outage_;
  std::chrono::milliseconds retry_after_{0};  // that the collector asked for with its last answer
  std::thread thread_;
};

}  // namespace millrace::adapters::otlp
