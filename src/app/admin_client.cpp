#include "app/admin_client.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"
#include "base/text.h"
#include "base/url.h"

namespace millrace::app {
namespace {

constexpr std::size_t kUserNameBytesMax = 40;
constexpr std::size_t kDetailBytesMax = 500;
constexpr std::chrono::milliseconds kProbeTimeout{2'000};

base::ErrorKind kind_of_status(int status) {
  switch (status) {
    case 400:
    case 405:
    case 413:
    case 415:
      return base::ErrorKind::kInvalid;
    case 404:
      return base::ErrorKind::kNotFound;
    case 409:
      return base::ErrorKind::kConflict;
    case 422:
      return base::ErrorKind::kRejected;
    case 503:
      return base::ErrorKind::kUnavailable;
    default:
      return base::ErrorKind::kFatal;
  }
}

/// The `detail` of problem+json, or what else can be said.
std::string sentence_of(const ports::HttpResponse& answer) {
  if (const auto document = base::parse_json(answer.body); document && document->is_object())
    if (const auto detail = base::string_member(document->as_object(), "detail"); detail)
      return base::printable(*detail, kDetailBytesMax);
  return fmt::format("the API answered {} {}", answer.status, ports::reason_phrase(answer.status));
}

std::string admin_id() {
  const char* user = std::getenv("USER");
  const std::string name = base::printable(user == nullptr ? "" : user, kUserNameBytesMax);
  return name.empty() ? "command-line" : "command-line:" + name;
}

}  // namespace

AdminClient::AdminClient(const Settings& settings, std::chrono::milliseconds call_timeout)
    : settings_(settings),
      url_(base::http_url(base::connect_host(settings.api_host), settings.api_port)),
      admin_id_(admin_id()),
      call_timeout_(call_timeout),
      client_({.connections_max = 1, .ca_file = {}}) {}

base::Result<void> AdminClient::find_api() {
  const ports::HttpCall call{.method = "GET", .url = url_ + "/healthz", .headers = {}, .body = {}};
  const auto answer = client_.send(call, base::Deadline::in(std::min(kProbeTimeout, call_timeout_)));
  if (!answer && settings_.event_log_kind == "embedded")
    return base::unavailable(fmt::format(
        "no answer from {}: is `millrace up` running there, with the same api.host and api.port? ({})", url_,
        answer.error().message));
  if (!answer) {
    auto local = LocalAdmin::start(settings_);
    if (!local)
      return base::fail(local.error().kind, fmt::format("no answer from {} ({}), and without the API: {}",
                                                        url_, answer.error().message, local.error().message));
    local_ = std::move(*local);
  }
  is_found_ = true;
  return {};
}

base::Result<ports::HttpResponse> AdminClient::send_to_api(std::string_view method, std::string_view path,
                                                           std::string_view body) {
  ports::HttpCall call{.method = std::string(method),
                       .url = url_ + std::string(path),
                       .headers = {{"X-Admin-Id", admin_id_}},
                       .body = body};
  if (!body.empty()) call.headers.emplace_back("Content-Type", "application/json");
  auto answer = client_.send(call, base::Deadline::in(call_timeout_));
  if (!answer) return base::unavailable(fmt::format("no answer from {}: {}", url_, answer.error().message));
  return answer;
}

base::Result<std::string> AdminClient::send(std::string_view method, std::string_view path,
                                            std::string_view body) {
  if (!is_found_) MILLRACE_TRY(find_api());
  const auto answer = local_ ? local_->send(method, path, admin_id_, body, base::Deadline::in(call_timeout_))
                             : send_to_api(method, path, body);
  if (!answer) return std::unexpected(answer.error());
  if (answer->status >= 200 && answer->status < 300) return answer->body;
  return base::fail(kind_of_status(answer->status), sentence_of(*answer));
}

base::Result<std::string> AdminClient::get(std::string_view path) {
  return send("GET", path, {});
}

base::Result<std::string> AdminClient::post(std::string_view path, std::string_view json_body) {
  return send("POST", path, json_body);
}

base::Result<std::string> AdminClient::remove(std::string_view path) {
  return send("DELETE", path, {});
}

}  // namespace millrace::app
