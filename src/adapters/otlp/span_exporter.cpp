#include "adapters/otlp/span_exporter.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/otlp/encoding.h"
#include "base/exceptions.h"
#include "base/text.h"
#include "base/thread_name.h"

namespace millrace::adapters::otlp {
namespace {

constexpr std::size_t kAnswerBytesMax = 64 * 1024;  // of an answer is looked at no more
constexpr std::chrono::milliseconds kRetryAfterMax{30'000};
constexpr std::chrono::milliseconds kFaultPause{1'000};

/// Source: OTLP Specification 1.9.0, "OTLP/HTTP Response", "Retryable Response Codes".
bool may_be_repeated(int status) {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

std::string url_of(std::string_view endpoint) {
  while (endpoint.ends_with('/')) endpoint.remove_suffix(1);
  return std::string(endpoint) + "/v1/traces";
}

/// The pause that the answer asks for, if it does in seconds. Source: RFC 9110, section 10.2.3.
std::chrono::milliseconds retry_after(const ports::HttpResponse& answer) {
  for (const auto& [name, value] : answer.headers)
    if (const auto seconds = name == "retry-after" ? base::parse_int<std::uint32_t>(value) : std::nullopt)
      return std::min<std::chrono::milliseconds>(std::chrono::seconds(*seconds), kRetryAfterMax);
  return std::chrono::milliseconds(0);
}

double count_of(const std::vector<telemetry::Span>& batch) {
  return static_cast<double>(batch.size());
}

}  // namespace

SpanExporter::SpanExporter(ports::HttpClient& http, telemetry::SpanRecorder& recorder, Options options,
                           Counters counters)
    : http_(http),
      recorder_(recorder),
      options_(std::move(options)),
      counters_(counters),
      url_(url_of(options_.endpoint)),
      backoff_(options_.retry_first, options_.retry_max),
      thread_([this] { run(); }) {}

SpanExporter::~SpanExporter() {
  if (thread_.joinable()) stop(base::Deadline::in(std::chrono::milliseconds(0)));
}

void SpanExporter::stop(base::Deadline deadline) {
  stop_by_ = deadline;
  recorder_.close();
  stop_.request();
  thread_.join();
}

void SpanExporter::run() {
  base::name_this_thread("spans");
  while (!stop_.requested()) {
    std::vector<telemetry::Span> batch;
    bool is_done = true;
    const auto thrown = base::exception_of([&] {
      batch = recorder_.take(options_.batch_spans_max, base::Deadline::in(options_.batch_delay));
      is_done = batch.empty() || deliver(batch);
    });
    if (thrown || !is_done) counters_.dropped.add(count_of(batch));
    if (!thrown) continue;
    spdlog::error("otlp: an exception ended the export of a batch of spans: {}", *thrown);
    stop_.wait_for(kFaultPause);
  }
  if (const auto thrown = base::exception_of([&] { drain(); }))
    spdlog::error("otlp: an exception ended the export of the last spans: {}", *thrown);
}

/// After the stop request: the recorder is closed, so nothing comes any more and nothing waits.
void SpanExporter::drain() {
  bool goes_on = true;
  double left = 0;
  for (;;) {
    const auto batch = recorder_.take(options_.batch_spans_max, stop_by_);
    if (batch.empty()) break;
    goes_on = goes_on && !stop_by_.passed() && deliver(batch);
    if (!goes_on) left += count_of(batch);
  }
  if (left == 0) return;
  counters_.dropped.add(left);
  spdlog::warn("otlp: {} spans were left when the process stopped, and are dropped", left);
}

bool SpanExporter::deliver(const std::vector<telemetry::Span>& batch) {
  for (;;) {
    const bool is_last = stop_.requested();
    const auto deadline = base::Deadline::in(is_last ? std::min(options_.call_timeout, stop_by_.left())
                                                     : options_.call_timeout);
    const auto taken = send(batch, deadline);
    if (taken) {
      backoff_.reset();
      if (!*taken) counters_.dropped.add(count_of(batch));
      return true;
    }
    on_failure(taken.error());
    if (is_last) return false;
    stop_.wait_for(std::max(backoff_.next(), std::exchange(retry_after_, std::chrono::milliseconds(0))));
  }
}

base::Result<bool> SpanExporter::send(const std::vector<telemetry::Span>& batch, base::Deadline deadline) {
  const std::string body = to_request(options_.resource, batch);
  const ports::HttpCall call{
      .method = "POST", .url = url_, .headers = {{"Content-Type", "application/json"}}, .body = body};
  std::string text;
  const auto take = [&text](std::string_view piece) -> base::Result<void> {
    text += piece.substr(0, kAnswerBytesMax - std::min(kAnswerBytesMax, text.size()));
    return {};
  };
  MILLRACE_TRY_ASSIGN(const ports::HttpResponse answer, http_.send(call, take, deadline));
  if (may_be_repeated(answer.status)) {
    retry_after_ = retry_after(answer);
    return base::unavailable(fmt::format("the collector answered {}", answer.status), answer.status);
  }
  if (answer.status < 200 || answer.status > 299) {
    on_failure({base::ErrorKind::kRejected, fmt::format("the collector refused spans with {}", answer.status),
                answer.status});
    return false;
  }
  const auto rejected = std::min<std::uint64_t>(rejected_spans(text), batch.size());
  counters_.sent.add(static_cast<double>(batch.size() - rejected));
  if (rejected > 0) {
    counters_.dropped.add(static_cast<double>(rejected));
    on_failure({base::ErrorKind::kRejected, fmt::format("the collector rejected {} spans", rejected)});
    return true;
  }
  if (const auto lasted = outage_.over())
    spdlog::info("otlp: the collector takes spans again after {} s", lasted->count());
  return true;
}

void SpanExporter::on_failure(const base::Error& error) {
  if (outage_.should_log(error))
    spdlog::warn("otlp: {}: {} ({} s so far); spans that find no room meanwhile are dropped and counted",
                 url_, error.message, outage_.lasting().count());
}

}  // namespace millrace::adapters::otlp
