#include "inspect/log_view.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/exceptions.h"
#include "base/text.h"

namespace millrace::inspect {
namespace {

constexpr std::size_t kNamesMax = 64;
constexpr std::chrono::milliseconds kSampleTimeout{4'000};

}  // namespace

LogView::LogView(std::string kind, ports::EventLog& log, ports::LogInspector& inspector,
                 const ports::Clock& clock, ViewOptions options)
    : kind_(std::move(kind)), log_(log), inspector_(inspector), clock_(clock), options_(options) {
  sampler_ = std::thread([this] {
    do {
      if (const auto thrown = base::exception_of([this] { sample(); }))
        spdlog::error("the lag of the consumer groups is not known: an exception: {}", *thrown);
    } while (!stop_.wait_for(options_.sample_interval));
  });
}

LogView::~LogView() {
  stop_.request();
  sampler_.join();
}

void LogView::sample() {
  const auto found = groups(base::Deadline::in(kSampleTimeout));
  if (found)
    history_.add(clock_.now(), **found);
  else
    spdlog::debug("the lag of the consumer groups is not known: {}", found.error().message);
}

template <class T, class Question>
LogView::Kept<T> LogView::keep(Slot<T>& slot, base::Deadline deadline, Question question) {
  std::unique_lock lock(slot.mutex);
  const auto is_fresh = [&] { return slot.answer && std::chrono::steady_clock::now() < slot.until; };
  if (!slot.answered.wait_until(lock, deadline.moment(), [&] { return is_fresh() || !slot.is_asked; }))
    return base::unavailable("the event log did not answer in time");
  if (is_fresh()) return *slot.answer;
  slot.is_asked = true;
  lock.unlock();
  auto answer = question(deadline);
  lock.lock();
  if (answer)
    slot.answer = std::make_shared<const T>(std::move(*answer));
  else
    slot.answer = std::unexpected(std::move(answer).error());
  slot.until = std::chrono::steady_clock::now() + options_.kept_for;
  slot.is_asked = false;
  const Kept<T> given = *slot.answer;
  lock.unlock();
  slot.answered.notify_all();
  return given;
}

LogView::Kept<ports::ClusterState> LogView::cluster(base::Deadline deadline) {
  return keep(cluster_, deadline, [this](base::Deadline d) { return inspector_.cluster(d); });
}

LogView::Kept<std::vector<ports::TopicState>> LogView::topics(base::Deadline deadline) {
  return keep(topics_, deadline, [this](base::Deadline d) { return inspector_.topics(d); });
}

LogView::Kept<ports::TopicState> LogView::topic(const std::string& name, base::Deadline deadline) {
  std::shared_ptr<Slot<ports::TopicState>> slot;
  {
    const std::lock_guard lock(by_name_mutex_);
    // Anybody may ask for any name.
    if (by_name_.size() >= kNamesMax && !by_name_.contains(name)) by_name_.clear();
    auto& named = by_name_[name];
    if (!named) named = std::make_shared<Slot<ports::TopicState>>();
    slot = named;
  }
  return keep(*slot, deadline, [&](base::Deadline d) { return inspector_.topic(name, d); });
}

LogView::Kept<std::vector<ports::GroupState>> LogView::groups(base::Deadline deadline) {
  return keep(groups_, deadline, [this](base::Deadline d) { return inspector_.groups(d); });
}

base::Result<ports::GroupState> LogView::group(const std::string& name, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto all, groups(deadline));
  const auto found = std::ranges::find(*all, name, &ports::GroupState::group);
  if (found == all->end())
    return base::not_found(fmt::format("there is no consumer group '{}'", base::printable(name, 80)));
  return *found;
}

base::Result<std::vector<Message>> LogView::messages(const std::string& topic,
                                                     std::optional<std::int32_t> partition, std::size_t count,
                                                     base::Deadline deadline) {
  return last_messages(log_, topic, partition, count, deadline);
}

base::Result<bool> LogView::create_topic(const std::string& name, std::int32_t partitions,
                                         base::Deadline deadline) {
  const auto found = log_.describe_topic(name, deadline);
  if (!found && found.error().kind != base::ErrorKind::kNotFound) return std::unexpected(found.error());
  MILLRACE_TRY(log_.ensure_topic(name, partitions, deadline));
  return !found.has_value();
}

}  // namespace millrace::inspect
