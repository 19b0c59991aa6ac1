// Writes into the event log of a stopped `up` what a log must expect: records that come twice, late, or out
// of order.
//
//   chaos_log_tool LOG repeat TOPIC COUNT SEED   the last COUNT records of each partition once more, shuffled
//   chaos_log_tool LOG late TOPIC COUNT SEED     the same as the relay before this one would send them now
//   chaos_log_tool LOG append TOPIC              records from standard input, a line each, separated by tabs:
//                                                event id, epoch, event type, key, value
//
// Prints how many records it appended.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/rocksdb/rocksdb_event_log.h"
#include "base/text.h"
#include "ports/record_headers.h"

namespace {

using namespace millrace;

base::Deadline soon() {
  return base::Deadline::in(std::chrono::seconds(30));
}

/// The record as it was; with `epoch_less` as if sent under an epoch that much lower.
ports::NewRecord again(const ports::Record& record, std::uint64_t epoch_less) {
  ports::NewRecord copy{record.key, record.value, record.headers, record.time};
  for (ports::Header& header : copy.headers)
    if (header.name == ports::kHeaderEpoch)
      header.value =
          std::to_string(base::parse_int<std::uint64_t>(header.value).value_or(epoch_less) - epoch_less);
  return copy;
}

base::Result<std::size_t> repeat(ports::EventLog& log, const std::string& topic, std::size_t count,
                                 unsigned seed, std::uint64_t epoch_less) {
  MILLRACE_TRY_ASSIGN(const auto info, log.describe_topic(topic, soon()));
  std::mt19937 random(seed);
  std::size_t appended = 0;
  for (std::int32_t number = 0; number < info.partitions; ++number) {
    const ports::TopicPartition partition{topic, number};
    MILLRACE_TRY_ASSIGN(const auto range, log.offsets(partition, soon()));
    MILLRACE_TRY_ASSIGN(const auto last, log.read_before(partition, range.end, count, soon()));
    std::vector<ports::NewRecord> records;
    for (const ports::Record& record : last) records.push_back(again(record, epoch_less));
    std::ranges::shuffle(records, random);
    MILLRACE_TRY(log.append(partition, records, soon()));
    appended += records.size();
  }
  return appended;
}

base::Result<std::size_t> append_lines(ports::EventLog& log, const std::string& topic) {
  MILLRACE_TRY_ASSIGN(const auto info, log.describe_topic(topic, soon()));
  std::size_t appended = 0;
  for (std::string line; std::getline(std::cin, line);) {
    std::vector<std::string> fields;
    for (int field = 0; field < 4; ++field) {
      const auto tab = line.find('\t');
      if (tab == std::string::npos) return base::invalid("a line has fewer than five fields");
      fields.push_back(line.substr(0, tab));
      line.erase(0, tab + 1);
    }
    ports::NewRecord record;
    record.key = fields[3];
    record.value = line;
    record.headers = {{std::string(ports::kHeaderEventId), fields[0]},
                      {std::string(ports::kHeaderEpoch), fields[1]},
                      {std::string(ports::kHeaderEventType), fields[2]}};
    record.time = std::chrono::time_point_cast<base::UtcTime::duration>(std::chrono::system_clock::now());
    const ports::TopicPartition partition{topic, ports::partition_of(record.key, info.partitions)};
    MILLRACE_TRY(log.append(partition, {&record, 1}, soon()));
    ++appended;
  }
  return appended;
}

base::Result<std::size_t> run(const std::vector<std::string>& words) {
  if (words.size() < 3) return base::invalid("usage: LOG repeat|late|append TOPIC [COUNT SEED]");
  adapters::rocksdb::Options options;
  options.directory = words[0];
  MILLRACE_TRY_ASSIGN(const auto log, adapters::rocksdb::RocksdbEventLog::open(options));
  if (words[1] == "append") return append_lines(*log, words[2]);
  const auto count = words.size() == 5 ? base::parse_int<std::uint64_t>(words[3]) : std::nullopt;
  const auto seed = words.size() == 5 ? base::parse_int<std::uint32_t>(words[4]) : std::nullopt;
  if (!count || !seed) return base::invalid("COUNT and SEED must be numbers");
  return repeat(*log, words[2], *count, *seed, words[1] == "late" ? 1 : 0);
}

}  // namespace

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::warn);
  const auto appended = run(std::vector<std::string>(argv + 1, argv + argc));
  if (!appended) {
    fmt::print(stderr, "{}\n", appended.error().message);
    return 1;
  }
  fmt::print("{}\n", *appended);
  return 0;
}
