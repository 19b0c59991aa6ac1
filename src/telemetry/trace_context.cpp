#include "telemetry/trace_context.h"

#include "base/random_hex.h"

namespace millrace::telemetry {
namespace {

bool is_lower_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}
bool is_all_zero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

std::string accepted_traceparent(std::optional<std::string_view> header) {
  // version "-" trace-id "-" parent-id "-" flags: 2, 32, 16 and 2 digits.
  constexpr std::size_t kLength = 55;
  if (!header || header->size() < kLength) return {};
  const std::string_view text = *header;
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace_id = text.substr(3, 32);
  const std::string_view parent_id = text.substr(36, 16);
  const std::string_view flags = text.substr(53, 2);
  if (text[2] != '-' || text[35] != '-' || text[52] != '-') return {};
  if (!is_lower_hex(version) || !is_lower_hex(trace_id) || !is_lower_hex(parent_id) || !is_lower_hex(flags))
    return {};
  if (version == "ff" || is_all_zero(trace_id) || is_all_zero(parent_id)) return {};
  if (text.size() > kLength && (version == "00" || text[kLength] != '-')) return {};
  return "00" + std::string(text.substr(2, kLength - 2));
}

std::optional<TraceContext> sampled_context(std::string_view traceparent) {
  if (traceparent.empty()) return std::nullopt;
  const std::string accepted = accepted_traceparent(traceparent);
  if (accepted.empty()) return std::nullopt;
  // The lowest bit of the last digit.
  constexpr std::string_view kSampled = "13579bdf";
  if (kSampled.find(accepted.back()) == std::string_view::npos) return std::nullopt;
  return TraceContext{.trace_id = accepted.substr(3, 32), .span_id = accepted.substr(36, 16)};
}

std::string to_traceparent(const TraceContext& context) {
  return "00-" + context.trace_id + "-" + context.span_id + "-01";
}

std::string new_span_id() {
  std::string id;
  do {
    id = base::random_hex(8);
  } while (is_all_zero(id));
  return id;
}

}  // namespace millrace::telemetry
