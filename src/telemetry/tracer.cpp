#include "telemetry/tracer.h"

#include <algorithm>
#include <iterator>

namespace millrace::telemetry {

Span child_of(const TraceContext& parent, std::string name, SpanKind kind) {
  return {.context = {.trace_id = parent.trace_id, .span_id = new_span_id()},
          .parent_span_id = parent.span_id,
          .name = std::move(name),
          .kind = kind};
}

void SpanRecorder::record(Span span) {
  bool is_enough = false;
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_ || spans_.size() >= spans_max_) {
      dropped_.add();
      return;
    }
    spans_.push_back(std::move(span));
    is_enough = wanted_ > 0 && spans_.size() >= wanted_;
  }
  if (is_enough) changed_.notify_one();
}

std::vector<Span> SpanRecorder::take(std::size_t count, base::Deadline deadline) {
  std::unique_lock lock(mutex_);
  wanted_ = count;
  changed_.wait_until(lock, deadline.moment(), [&] { return is_closed_ || spans_.size() >= count; });
  wanted_ = 0;
  const auto end = spans_.begin() + static_cast<std::ptrdiff_t>(std::min(count, spans_.size()));
  std::vector<Span> taken(std::move_iterator(spans_.begin()), std::move_iterator(end));
  spans_.erase(spans_.begin(), end);
  return taken;
}

void SpanRecorder::close() {
  {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
  }
  changed_.notify_all();
}

}  // namespace millrace::telemetry
