#include "ordering/transaction_spans.h"

#include <string>
#include <string_view>
#include <variant>

#include <spdlog/spdlog.h>

#include "base/exceptions.h"

namespace millrace::ordering {
namespace {

std::string_view traceparent_of(const Command& command) {
  return std::visit(
      [](const auto& what) -> std::string_view {
        if constexpr (requires { what.traceparent; })
          return what.traceparent;
        else
          return {};
      },
      command);
}

}  // namespace

TransactionSpans::TransactionSpans(const telemetry::Tracer& tracer, std::span<Job* const> jobs)
    : tracer_(tracer) {
  if (!tracer_.is_on()) return;
  const telemetry::SpanTime start = telemetry::span_now();
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto parent = tracer_.sampled(traceparent_of(jobs[i]->command));
    if (!parent) continue;
    auto span = telemetry::child_of(*parent, "order transaction", telemetry::SpanKind::kInternal);
    span.start = start;
    span.attributes = {{"millrace.order.id", jobs[i]->order_id.value()},
                       {"millrace.transaction.commands", static_cast<std::int64_t>(jobs.size())}};
    spans_.emplace_back(i, std::move(span));
  }
}

void TransactionSpans::end_each(const std::function<const base::Error*(std::size_t)>& error_of) {
  if (spans_.empty()) return;
  const telemetry::SpanTime end = telemetry::span_now();
  const auto thrown = base::exception_of([&] {
    for (auto& [index, span] : spans_) {
      span.end = end;
      if (const base::Error* error = error_of(index)) span.error_type = to_string(error->kind);
      tracer_.record(std::move(span));
    }
  });
  if (thrown) spdlog::error("ordering: spans were lost by an exception: {}", *thrown);
  spans_.clear();
}

void TransactionSpans::end_all(const base::Error& error) {
  end_each([&](std::size_t) { return &error; });
}

}  // namespace millrace::ordering
