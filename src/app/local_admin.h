// The admin routes without a server: carried out in this process, on the order store, the warehouse and the
// event log.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "app/settings.h"
#include "base/deadline.h"
#include "base/result.h"
#include "ports/http.h"

namespace millrace::app {

/// One caller thread. With a job that is running and that no other process executes, it executes it as long
/// as it lives; the job stays running then, for others to go on with.
class LocalAdmin {
 public:
  /// Errors: kInvalid (the embedded log, which is in the process of `millrace up` alone), kNotFound (no
  /// passwords), kUnavailable, kFatal.
  [[nodiscard]] static base::Result<std::unique_ptr<LocalAdmin>> start(const Settings& settings);
  ~LocalAdmin();
  LocalAdmin(const LocalAdmin&) = delete;
  LocalAdmin& operator=(const LocalAdmin&) = delete;

  /// As the API would answer. Errors: kUnavailable (no answer by the deadline), kInvalid (`target`).
  [[nodiscard]] base::Result<ports::HttpResponse> send(std::string_view method, std::string_view target,
                                                       const std::string& admin_id, std::string_view body,
                                                       base::Deadline deadline);

 private:
  class Parts;
  explicit LocalAdmin(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace millrace::app
