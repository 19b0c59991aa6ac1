#include "api/handlers.h"
#include "api/job_shapes.h"
#include "api/requests.h"
#include "base/text.h"

namespace millrace::api {
namespace {

constexpr std::uint32_t kJobsDefault = 20;
constexpr std::uint32_t kJobsMax = 1'000;
constexpr int kAccepted = 202;

ports::HttpResponse not_here(const Call& call) {
  return ports::problem_response(
      503, "the embedded event log can be read in the process of `millrace up` alone: ask that one for jobs",
      call.path);
}

base::Result<std::uint64_t> job_id(const Call& call) {
  const auto id = base::parse_int<std::uint64_t>(call.arguments[0]);
  if (!id) return base::invalid("a job is named by its number, as in /admin/jobs/7");
  return *id;
}

}  // namespace

Answer submit_job(Context& context, const Call& call, base::Deadline deadline) {
  if (context.parts.jobs == nullptr) return not_here(call);
  MILLRACE_TRY_ASSIGN(const auto job, context.parts.jobs->submit(call.request.body, deadline));
  return json_answer(job_json(job), kAccepted);
}

Answer list_jobs(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto limit, parse_limit(call.request, kJobsDefault, kJobsMax));
  if (context.parts.jobs == nullptr) return not_here(call);
  MILLRACE_TRY_ASSIGN(const auto jobs, context.parts.jobs->jobs(limit, deadline));
  return json_answer(jobs_json(jobs));
}

Answer show_job(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto id, job_id(call));
  if (context.parts.jobs == nullptr) return not_here(call);
  MILLRACE_TRY_ASSIGN(const auto job, context.parts.jobs->job(id, deadline));
  return json_answer(job_json(job));
}

Answer cancel_job(Context& context, const Call& call, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto id, job_id(call));
  if (context.parts.jobs == nullptr) return not_here(call);
  MILLRACE_TRY_ASSIGN(const auto job, context.parts.jobs->cancel(id, deadline));
  return json_answer(job_json(job), kAccepted);
}

}  // namespace millrace::api
