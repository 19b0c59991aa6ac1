#include "sink/position_writer.h"

#include <string>
#include <utility>

#include "base/deadline.h"

namespace millrace::sink {

PositionWriter::PositionWriter(SinkTables& tables, const ports::Clock& clock, const Options& options)
    : tables_(tables), clock_(clock), options_(options) {}

base::Result<void> PositionWriter::take_outcome(Partitions& partitions) {
  if (!write_) return {};
  base::Result<void> written = write_->outcome();
  write_.reset();
  if (!written) return written;
  for (const auto& [key, position] : being_written_)
    if (const auto entry = partitions.find(key); entry != partitions.end()) entry->second.recorded = position;
  return {};
}

void PositionWriter::start(const Partitions& partitions) {
  std::map<std::string, SinkPosition> positions;
  being_written_.clear();
  for (const auto& [key, partition] : partitions) {
    if (partition.loaded == partition.recorded) continue;
    positions.emplace(partition.source, partition.loaded);
    being_written_.emplace(key, partition.loaded);
  }
  if (positions.empty()) return;
  last_start_ = base::monotonic_now();
  write_.emplace([this, positions = std::move(positions)] {
    return tables_.write_positions(positions, clock_.now(), base::Deadline::in(options_.insert_timeout));
  });
}

base::Result<void> PositionWriter::advance(Partitions& partitions) {
  if (write_ && !write_->ended()) return {};
  MILLRACE_TRY(take_outcome(partitions));
  if (base::monotonic_now() - last_start_ >= options_.position_interval) start(partitions);
  return {};
}

base::Result<void> PositionWriter::finish(Partitions& partitions) {
  do {
    MILLRACE_TRY(take_outcome(partitions));
    start(partitions);
  } while (write_);
  return {};
}

void PositionWriter::abandon() {
  if (write_) write_->wait();
  write_.reset();
}

}  // namespace millrace::sink
