// One suite for every event log: what src/ports/event_log.h promises. A test program instantiates it for its
// adapters.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "ports/event_log.h"
#include "ports/log_inspector.h"

namespace millrace::contract {

/// A running log with whatever it needs around it.
class EventLogWorld {
 public:
  virtual ~EventLogWorld() = default;
  [[nodiscard]] virtual ports::EventLog& log() = 0;
  /// Looks at `log`.
  [[nodiscard]] virtual ports::LogInspector& inspector() = 0;
};

struct EventLogKind {
  std::string name;
  std::function<std::unique_ptr<EventLogWorld>()> make;
};
inline void PrintTo(const EventLogKind& kind, std::ostream* out) {
  *out << kind.name;
}

class EventLogContract : public testing::TestWithParam<EventLogKind> {
 protected:
  [[nodiscard]] ports::EventLog& log() { return world_->log(); }
  [[nodiscard]] ports::LogInspector& inspector() { return world_->inspector(); }
  /// A topic of the test's own.
  [[nodiscard]] std::string make_topic(std::int32_t partitions = 1);

 private:
  std::unique_ptr<EventLogWorld> world_ = GetParam().make();
};

}  // namespace millrace::contract
