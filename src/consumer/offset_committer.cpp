#include "consumer/offset_committer.h"

#include <utility>

#include <spdlog/spdlog.h>

namespace millrace::consumer {
namespace {

constexpr std::chrono::milliseconds kBackoffFirst{50};
constexpr std::chrono::milliseconds kBackoffMax{2'000};

}  // namespace

OffsetCommitter::OffsetCommitter(CommitOptions options)
    : options_(std::move(options)), backoff_(kBackoffFirst, kBackoffMax) {}

base::Result<bool> OffsetCommitter::commit(ports::GroupMember& member,
                                           std::span<const ports::AssignmentCommit> commits) {
  const auto committed = member.commit_all(commits, base::Deadline::in(options_.timeout));
  if (committed) {
    backoff_.reset();
    due_ = base::Deadline::in(options_.interval);
    if (const auto lasted = outage_.over())
      spdlog::info("{}: offset commits succeed again after {} s", options_.stage, lasted->count());
    return true;
  }
  const base::Error& error = committed.error();
  if (error.kind == base::ErrorKind::kFatal) return std::unexpected(error);
  due_ = base::Deadline::in(backoff_.next());
  // A partition that has passed to another member is no outage.
  if (outage_.should_log(error))
    spdlog::log(error.kind == base::ErrorKind::kConflict ? spdlog::level::info : spdlog::level::warn,
                "{}: {}; retrying the offset commit", options_.stage, error.message);
  return false;
}

}  // namespace millrace::consumer
