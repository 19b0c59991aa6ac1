#include "api/job_shapes.h"

#include "base/json.h"
#include "base/utc_time.h"

namespace millrace::api {
namespace {

void write(base::JsonWriter& out, const ports::Job& job) {
  out.begin_object();
  out.key("id").number(job.id);
  out.key("kind").string(job.kind);
  out.key("parameters").raw(job.parameters);
  out.key("state").string(ports::to_string(job.state));
  out.key("progress").string(job.progress);
  out.key("error").string(job.error);
  out.key("cancelRequested").boolean(job.cancel_requested);
  out.key("createdAt").string(base::to_iso8601(job.created_at));
  out.key("updatedAt").string(base::to_iso8601(job.updated_at));
  out.key("finishedAt");
  if (job.finished_at)
    out.string(base::to_iso8601(*job.finished_at));
  else
    out.null();
  out.end_object();
}

}  // namespace

std::string job_json(const ports::Job& job) {
  std::string text;
  base::JsonWriter out(text);
  write(out, job);
  return text;
}

std::string jobs_json(const std::vector<ports::Job>& jobs) {
  std::string text;
  base::JsonWriter out(text);
  out.begin_object();
  out.key("jobs").begin_array();
  for (const ports::Job& job : jobs) write(out, job);
  out.end_array();
  out.end_object();
  return text;
}

}  // namespace millrace::api
