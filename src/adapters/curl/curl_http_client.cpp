#include "adapters/curl/curl_http_client.h"

#include <algorithm>
#include <memory>
#include <optional>

#include <curl/curl.h>
#include <fmt/format.h>

#include "base/text.h"

namespace millrace::adapters::curl {
namespace {

constexpr std::chrono::milliseconds kConnectTimeout{5'000};
constexpr std::size_t kRefusalBytesMax = 4'096;

struct CurlGlobal {
  CurlGlobal() { curl_global_init(CURL_GLOBAL_DEFAULT); }
};

struct Transfer {
  const ports::HttpClient::BodySink& sink;
  CURL* handle;
  ports::HttpResponse response;
  std::optional<base::Error> sink_error;
  bool head_complete = false;  // of the answer that came last: "100 Continue" has a head too
};

std::size_t on_data(char* data, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::string_view piece(data, size * count);
  long status = 0;
  curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
  if (status < 200 || status > 299) {
    const std::size_t room = kRefusalBytesMax - std::min(kRefusalBytesMax, transfer.response.body.size());
    transfer.response.body += piece.substr(0, room);
    return piece.size();
  }
  auto taken = transfer.sink(piece);
  if (taken) return piece.size();
  transfer.sink_error = std::move(taken).error();
  return CURL_WRITEFUNC_ERROR;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::string_view line(data, size * count);
  transfer.head_complete = line == "\r\n" || line == "\n";
  if (const auto colon = line.find(':'); colon != std::string_view::npos)
    transfer.response.headers.emplace_back(base::to_lower(line.substr(0, colon)),
                                           base::trim(line.substr(colon + 1)));
  return line.size();
}

}  // namespace

CurlHttpClient::CurlHttpClient(Options options) : options_(std::move(options)) {
  static const CurlGlobal global;
}

CurlHttpClient::~CurlHttpClient() {
  for (void* handle : idle_) curl_easy_cleanup(handle);
}

base::Result<ports::HttpResponse> CurlHttpClient::send(const ports::HttpCall& call, const BodySink& sink,
                                                       base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(CURL* const handle, acquire(deadline));
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(nullptr, &curl_slist_free_all);
  // Without a pause for "100 Continue" before larger bodies.
  headers.reset(curl_slist_append(headers.release(), "Expect:"));
  for (const auto& [name, value] : call.headers)
    headers.reset(curl_slist_append(headers.release(), fmt::format("{}: {}", name, value).c_str()));

  Transfer transfer{.sink = sink, .handle = handle, .response = {}, .sink_error = {}, .head_complete = false};
  curl_easy_reset(handle);
  curl_easy_setopt(handle, CURLOPT_URL, call.url.c_str());
  curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, call.method.c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
  if (!call.body.empty() || call.method == "POST") {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, call.body.empty() ? "" : call.body.data());
  }
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, std::max<long>(1, static_cast<long>(deadline.left().count())));
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(kConnectTimeout.count()));
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_PROXY, "");
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &on_data);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &on_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
  if (!options_.ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, options_.ca_file.c_str());
  const CURLcode outcome = curl_easy_perform(handle);
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  release(handle, outcome == CURLE_OK && transfer.head_complete);

  if (transfer.sink_error) return std::unexpected(std::move(*transfer.sink_error));
  if (outcome != CURLE_OK) return base::unavailable(curl_easy_strerror(outcome), static_cast<int>(outcome));
  // libcurl takes a connection that ends within the head for an answer without a body: a question whose
  // answer was cut off there would look like one with nothing to tell.
  if (!transfer.head_complete) return base::unavailable("the answer was cut off within its head");
  transfer.response.status = static_cast<int>(status);
  return std::move(transfer.response);
}

base::Result<void*> CurlHttpClient::acquire(base::Deadline deadline) {
  std::unique_lock lock(mutex_);
  if (!freed_.wait_until(lock, deadline.moment(), [this] { return in_use_ < options_.connections_max; }))
    return base::unavailable("all connections are busy");
  if (deadline.passed()) return base::unavailable("the deadline passed before the request was sent");
  ++in_use_;
  if (!idle_.empty()) {
    void* const handle = idle_.back();
    idle_.pop_back();
    return handle;
  }
  void* const handle = curl_easy_init();
  if (handle != nullptr) return handle;
  --in_use_;
  return base::unavailable("libcurl could not start a request");
}

void CurlHttpClient::release(void* handle, bool healthy) {
  {
    const std::lock_guard lock(mutex_);
    --in_use_;
    if (healthy) idle_.push_back(handle);
  }
  if (!healthy) curl_easy_cleanup(handle);
  freed_.notify_one();
}

}  // namespace millrace::adapters::curl
