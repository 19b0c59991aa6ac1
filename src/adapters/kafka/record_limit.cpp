#include "adapters/kafka/record_limit.h"

#include <algorithm>
#include <chrono>

namespace millrace::adapters::kafka {
namespace {

// How often it is asked whether a topic takes larger records again.
constexpr std::chrono::seconds kAskInterval{30};
// What a batch of one record needs beside key, value and headers, with a few headers.
constexpr std::size_t kBatchOverheadBytes = 2'048;

}  // namespace

std::size_t RecordLimit::batch_bytes() const {
  const std::lock_guard lock(mutex_);
  return batch_bytes_;
}

std::size_t RecordLimit::record_bytes() const {
  const std::size_t batch = batch_bytes();
  return std::min(record_bytes_wanted_,
                  batch > 2 * kBatchOverheadBytes ? batch - kBatchOverheadBytes : batch / 2);
}

std::size_t RecordLimit::narrow(const std::string& topic, std::optional<std::size_t> topic_bytes,
                                std::size_t largest_record) {
  const std::lock_guard lock(mutex_);
  const std::size_t limit = topic_bytes.value_or(std::min(batch_bytes_ / 2, largest_record));
  narrow_topics_.insert(topic);
  batch_bytes_ = std::min(batch_bytes_, limit);
  next_ask_ = base::Deadline::in(kAskInterval);
  return limit;
}

std::set<std::string> RecordLimit::topics_to_ask() {
  const std::lock_guard lock(mutex_);
  if (narrow_topics_.empty() || !next_ask_.passed()) return {};
  next_ask_ = base::Deadline::in(kAskInterval);
  return narrow_topics_;
}

bool RecordLimit::renew(std::size_t topic_bytes) {
  const std::lock_guard lock(mutex_);
  batch_bytes_ = std::min(batch_bytes_wanted_, topic_bytes);
  const bool is_all = batch_bytes_ == batch_bytes_wanted_;
  if (is_all) narrow_topics_.clear();
  return is_all;
}

}  // namespace millrace::adapters::kafka
