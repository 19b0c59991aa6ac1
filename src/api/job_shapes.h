// JSON of jobs. Shapes: docs/specs/jobs.md.
#pragma once

#include <string>
#include <vector>

#include "ports/job_store.h"

namespace millrace::api {

[[nodiscard]] std::string job_json(const ports::Job& job);
/// {"jobs": […]}
[[nodiscard]] std::string jobs_json(const std::vector<ports::Job>& jobs);

}  // namespace millrace::api
