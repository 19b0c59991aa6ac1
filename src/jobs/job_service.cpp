#include "jobs/job_service.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/text.h"

namespace millrace::jobs {

base::Result<ports::Job> JobService::submit(std::string_view body, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto document, base::parse_json(body));
  if (!document.is_object()) return base::invalid("the body must be a JSON object with a 'kind'");
  const auto& request = document.get_object();
  MILLRACE_TRY_ASSIGN(const std::string_view kind, base::string_member(request, "kind"));
  const auto check = checks_.find(std::string(kind));
  if (check == checks_.end()) {
    std::string known;
    for (const auto& [name, unused] : checks_) known += (known.empty() ? "" : ", ") + name;
    return base::invalid(
        fmt::format("there is no kind of job '{}'; there are: {}", base::printable(kind, 40), known));
  }
  MILLRACE_TRY_ASSIGN(const std::string parameters, check->second(request));
  MILLRACE_TRY_ASSIGN(ports::Job job, store_.submit(check->first, parameters, deadline));
  on_submitted_();
  return job;
}

}  // namespace millrace::jobs
