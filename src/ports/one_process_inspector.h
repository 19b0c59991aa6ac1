// Looking at an event log that lives in one process.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ports/event_log.h"
#include "ports/log_inspector.h"

namespace millrace::ports {

/// A member of a group, for all partitions of a topic.
struct JoinedMember {
  std::string group;
  std::string topic;
  bool owns = false;  ///< The partitions are this member's; else it stands by.
};

/// All but its members can be told by the log itself. The one broker is the process: it has the id 1, leads
/// and keeps everything, and listens nowhere.
class OneProcessInspector final : public LogInspector {
 public:
  /// `log` must outlive it; `joined` gives those of one group in the order in which they joined, on any
  /// thread.
  OneProcessInspector(EventLog& log, std::function<std::vector<JoinedMember>()> joined,
                      std::vector<TopicSetting> settings);

  base::Result<ClusterState> cluster(base::Deadline deadline) override;
  base::Result<std::vector<TopicState>> topics(base::Deadline deadline) override;
  base::Result<TopicState> topic(const std::string& name, base::Deadline deadline) override;
  base::Result<std::vector<GroupState>> groups(base::Deadline deadline) override;
  base::Result<GroupState> group(const std::string& name, base::Deadline deadline) override;

 private:
  [[nodiscard]] base::Result<TopicState> state_of(TopicInfo info, base::Deadline deadline);

  EventLog& log_;
  const std::function<std::vector<JoinedMember>()> joined_;
  const std::vector<TopicSetting> settings_;
};

}  // namespace millrace::ports
