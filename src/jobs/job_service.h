// Submits, shows and cancels jobs; a Runner executes them, in this process or another.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/result.h"
#include "ports/job_store.h"

namespace millrace::jobs {

/// Reads the parameters of a kind of job strictly, and gives them as the JSON that its handler gets. Errors:
/// kInvalid with one sentence.
using Check = std::function<base::Result<std::string>(const boost::json::object& request)>;

/// Thread-safe. What it is given must outlive it.
class JobService {
 public:
  /// `checks`: the kinds there are. `on_submitted` is called after a job was added.
  JobService(
      ports::JobStore& store, std::map<std::string, Check> checks, std::function<void()> on_submitted = [] {})
      : store_(store), checks_(std::move(checks)), on_submitted_(std::move(on_submitted)) {}

  /// {"kind": "rebuild", …parameters of the kind}. Errors: kInvalid, kConflict (a job is running),
  /// kUnavailable.
  [[nodiscard]] base::Result<ports::Job> submit(std::string_view body, base::Deadline deadline);
  [[nodiscard]] base::Result<ports::Job> job(std::uint64_t id, base::Deadline deadline) {
    return store_.job(id, deadline);
  }
  [[nodiscard]] base::Result<std::vector<ports::Job>> jobs(std::size_t count_max, base::Deadline deadline) {
    return store_.jobs(count_max, deadline);
  }
  [[nodiscard]] base::Result<ports::Job> cancel(std::uint64_t id, base::Deadline deadline) {
    return store_.request_cancel(id, deadline);
  }

 private:
  ports::JobStore& store_;
  const std::map<std::string, Check> checks_;
  const std::function<void()> on_submitted_;
};

}  // namespace millrace::jobs
