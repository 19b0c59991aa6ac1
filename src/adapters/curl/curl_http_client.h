// ports::HttpClient by libcurl.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "ports/http.h"

namespace millrace::adapters::curl {

struct Options {
  std::size_t connections_max = 8;  ///< Calls at once; more wait for their turn until their deadline.
  std::string ca_file;              ///< For https; empty: the system's.
};

class CurlHttpClient final : public ports::HttpClient {
 public:
  explicit CurlHttpClient(Options options);
  ~CurlHttpClient() override;
  CurlHttpClient(const CurlHttpClient&) = delete;
  CurlHttpClient& operator=(const CurlHttpClient&) = delete;

  using ports::HttpClient::send;
  base::Result<ports::HttpResponse> send(const ports::HttpCall& call, const BodySink& sink,
                                         base::Deadline deadline) override;

 private:
  [[nodiscard]] base::Result<void*> acquire(base::Deadline deadline);
  void release(void* handle, bool healthy);

  const Options options_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<void*> idle_;  // guarded by mutex_; CURL*, each with its open connection
  std::size_t in_use_ = 0;   // guarded by mutex_
};

}  // namespace millrace::adapters::curl
