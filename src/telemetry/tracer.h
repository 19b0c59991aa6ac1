// Spans of sampled traces, kept until they are exported. What OpenTelemetry calls them and their parts.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/deadline.h"
#include "telemetry/registry.h"
#include "telemetry/trace_context.h"

namespace millrace::telemetry {

/// The numbers are those of OTLP. Source: opentelemetry-proto, trace/v1/trace.proto, Span.SpanKind.
enum class SpanKind : std::uint8_t { kInternal = 1, kServer = 2, kClient = 3, kProducer = 4, kConsumer = 5 };

/// By the wall clock. Moments that come from events and rows are whole milliseconds.
using SpanTime = std::chrono::sys_time<std::chrono::nanoseconds>;

[[nodiscard]] inline SpanTime span_now() {
  return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

/// The key is a literal. Values hold ids, counts and names of ours: no credentials, nothing that people
/// typed.
using Attribute = std::pair<std::string_view, std::variant<std::string, std::int64_t>>;

struct Span {
  TraceContext context;  ///< The span itself.
  std::string parent_span_id;
  std::string name;
  SpanKind kind = SpanKind::kInternal;
  SpanTime start{};
  SpanTime end{};
  std::vector<Attribute> attributes = {};
  std::string error_type = {};  ///< What kind of error it ended with; empty: none.
};

/// A new span of the trace below `parent`, with an id of its own.
[[nodiscard]] Span child_of(const TraceContext& parent, std::string name, SpanKind kind);

/// Where spans wait for the exporter, at most `spans_max` of them. Thread-safe.
class SpanRecorder {
 public:
  /// `dropped` counts the spans for which there was no room.
  SpanRecorder(std::size_t spans_max, Counter dropped) : spans_max_(spans_max), dropped_(dropped) {}

  /// Never waits for the exporter. A span that comes when it is full or closed is dropped and counted.
  void record(Span span);

  /// Waits until `count` spans are there, it is closed, or `deadline`; then takes what there is, at most
  /// `count`, the oldest first.
  [[nodiscard]] std::vector<Span> take(std::size_t count, base::Deadline deadline);

  /// Takes no more spans; `take` no longer waits.
  void close();

 private:
  const std::size_t spans_max_;
  const Counter dropped_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Span> spans_;  // guarded by mutex_
  std::size_t wanted_ = 0;  // by who waits in `take`; 0: nobody does; guarded by mutex_
  bool is_closed_ = false;  // guarded by mutex_
};

/// A handle for what makes spans: small, may be copied, and does nothing when nobody gave it a recorder.
/// Thread-safe. The recorder must outlive it.
class Tracer {
 public:
  Tracer() = default;
  explicit Tracer(SpanRecorder& recorder) : recorder_(&recorder) {}

  [[nodiscard]] bool is_on() const { return recorder_ != nullptr; }

  /// The parent of the spans to be recorded for a row or a request with this traceparent; nothing if none are
  /// to be: there is no recorder, no traceparent, or it is malformed or not sampled.
  [[nodiscard]] std::optional<TraceContext> sampled(std::string_view traceparent) const {
    return is_on() && !traceparent.empty() ? sampled_context(traceparent) : std::nullopt;
  }

  void record(Span span) const {
    if (is_on()) recorder_->record(std::move(span));
  }

 private:
  SpanRecorder* recorder_ = nullptr;
};

}  // namespace millrace::telemetry
