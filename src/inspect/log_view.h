// The event log for many lookers at once.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/stop.h"
#include "inspect/lag_history.h"
#include "inspect/messages.h"
#include "ports/clock.h"
#include "ports/event_log.h"
#include "ports/log_inspector.h"

namespace millrace::inspect {

struct ViewOptions {
  std::chrono::milliseconds kept_for{1'000};  ///< Answers and failures alike.
  std::chrono::milliseconds sample_interval{5'000};
};

/// Answers that were asked for within `kept_for` are given again; of those who ask for the same thing at once
/// one puts the question and the others wait for it, so that brokers that are unavailable hold up everybody
/// once. Samples the lag of the groups on a thread of its own. Thread-safe. Errors: as LogInspector's.
class LogView {
 public:
  template <class T>
  using Kept = base::Result<std::shared_ptr<const T>>;

  /// All that is given must outlive it.
  LogView(std::string kind, ports::EventLog& log, ports::LogInspector& inspector, const ports::Clock& clock,
          ViewOptions options = {});
  ~LogView();
  LogView(const LogView&) = delete;
  LogView& operator=(const LogView&) = delete;

  /// "kafka" or "embedded".
  [[nodiscard]] const std::string& kind() const { return kind_; }
  [[nodiscard]] Kept<ports::ClusterState> cluster(base::Deadline deadline);
  [[nodiscard]] Kept<std::vector<ports::TopicState>> topics(base::Deadline deadline);
  [[nodiscard]] Kept<ports::TopicState> topic(const std::string& name, base::Deadline deadline);
  [[nodiscard]] Kept<std::vector<ports::GroupState>> groups(base::Deadline deadline);
  [[nodiscard]] base::Result<ports::GroupState> group(const std::string& name, base::Deadline deadline);
  [[nodiscard]] Trend trend(const std::string& group) const { return history_.trend(group); }

  /// As last_messages; not kept.
  [[nodiscard]] base::Result<std::vector<Message>> messages(const std::string& topic,
                                                            std::optional<std::int32_t> partition,
                                                            std::size_t count, base::Deadline deadline);
  /// As EventLog::ensure_topic; true if it was not there.
  [[nodiscard]] base::Result<bool> create_topic(const std::string& name, std::int32_t partitions,
                                                base::Deadline deadline);

 private:
  template <class T>
  struct Slot {
    std::mutex mutex;
    std::condition_variable answered;
    bool is_asked = false;                        // guarded by mutex; somebody puts the question
    std::optional<Kept<T>> answer;                // guarded by mutex
    std::chrono::steady_clock::time_point until;  // guarded by mutex
  };
  template <class T, class Question>
  Kept<T> keep(Slot<T>& slot, base::Deadline deadline, Question question);
  void sample();

  const std::string kind_;
  ports::EventLog& log_;
  ports::LogInspector& inspector_;
  const ports::Clock& clock_;
  const ViewOptions options_;
  Slot<ports::ClusterState> cluster_;
  Slot<std::vector<ports::TopicState>> topics_;
  Slot<std::vector<ports::GroupState>> groups_;
  std::mutex by_name_mutex_;
  std::map<std::string, std::shared_ptr<Slot<ports::TopicState>>> by_name_;  // guarded by by_name_mutex_
  LagHistory history_;
  base::StopSignal stop_;
  std::thread sampler_;
};

}  // namespace millrace::inspect
