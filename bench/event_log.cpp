// The embedded event log and the transformer on it: an append to all partitions, an assignment look-up while
// other groups commit, a commit, and the transformer with a backlog and with single events. Prints one JSON
// object.
//
//   bench_event_log --event schema/events/golden/FILE.json [--partitions 6] [--directory DIR]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/rocksdb/rocksdb_event_log.h"
#include "adapters/system/system_clock.h"
#include "ports/record_headers.h"
#include "support/temporary_directory.h"
#include "transform/transformer.h"

namespace {

using namespace millrace;
using Clock = std::chrono::steady_clock;

constexpr int kAppends = 300;
constexpr int kRecordsPerPartition = 20;
constexpr int kCommits = 500;
constexpr std::size_t kBacklog = 60'000;
constexpr int kRounds = 200;  // of one event in each partition

base::Deadline soon() {
  return base::Deadline::in(std::chrono::minutes(1));
}

template <class T>
T must(base::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::string figures(std::vector<double> ms) {
  std::ranges::sort(ms);
  const auto at = [&](double share) {
    return ms[static_cast<std::size_t>(share * static_cast<double>(ms.size() - 1))];
  };
  return fmt::format(R"({{"p50_ms": {:.3f}, "p99_ms": {:.3f}, "max_ms": {:.3f}}})", at(0.5), at(0.99), at(1));
}

std::string append_to_all(ports::EventLog& log, std::int32_t partitions) {
  must(log.ensure_topic("append", partitions, soon()));
  const std::vector<ports::NewRecord> records(kRecordsPerPartition,
                                              {"key", std::string(700, 'x'), {}, base::utc_from_ms(1)});
  std::vector<ports::PartitionRecords> batches;
  for (std::int32_t number = 0; number < partitions; ++number)
    batches.push_back({{"append", number}, records});
  std::vector<double> ms;
  for (int i = 0; i < kAppends; ++i) {
    const auto start = Clock::now();
    if (!must(must(log.start_append(batches, soon()))->wait(soon()))) throw std::runtime_error("no answer");
    ms.push_back(ms_since(start));
  }
  return figures(std::move(ms));
}

/// The commits, and the look-ups of another group's member meanwhile.
std::pair<std::string, std::string> commit_and_look_up(ports::EventLog& log) {
  must(log.ensure_topic("groups", 1, soon()));
  const auto looking = must(log.join("looking", "groups", soon()));
  must(looking->assignments(soon()));
  std::atomic<bool> done = false;
  std::vector<double> commits;
  std::thread committing([&] {
    const auto member = must(log.join("committing", "groups", soon()));
    const auto mine = must(member->assignments(soon()));
    for (int i = 0; i < kCommits; ++i) {
      const auto start = Clock::now();
      must(member->commit(mine.front(), {i, ""}, soon()));
      commits.push_back(ms_since(start));
    }
    done = true;
  });
  std::vector<double> look_ups;
  while (!done) {
    const auto start = Clock::now();
    must(looking->assignments(soon()));
    look_ups.push_back(ms_since(start));
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  committing.join();
  return {figures(std::move(commits)), figures(std::move(look_ups))};
}

class Events {
 public:
  Events(std::string json, std::int32_t partitions) : json_(std::move(json)), partitions_(partitions) {}
  /// One event for each partition.
  std::vector<ports::PartitionRecords> round() {
    std::vector<ports::PartitionRecords> batches;
    for (std::int32_t number = 0; number < partitions_; ++number)
      batches.push_back({{"order.events", number},
                         {{"order",
                           json_,
                           {{std::string(ports::kHeaderEventId), std::to_string(++id_)},
                            {std::string(ports::kHeaderEpoch), "1"}},
                           base::utc_from_ms(1)}}});
    return batches;
  }

 private:
  const std::string json_;
  const std::int32_t partitions_;
  std::uint64_t id_ = 0;
};

/// Events per second of a backlog, and append → row readable of one event in each partition.
std::pair<double, std::string> run_transformer(ports::EventLog& log, Events events, std::int32_t partitions) {
  must(log.ensure_topic("order.events", partitions, soon()));
  std::int64_t sent = 0;
  while (sent * partitions < static_cast<std::int64_t>(kBacklog)) {
    std::vector<ports::PartitionRecords> batches = events.round();
    for (int i = 1; i < 500; ++i) {
      const auto more = events.round();
      for (std::size_t number = 0; number < batches.size(); ++number)
        batches[number].records.push_back(more[number].records.front());
    }
    must(must(log.start_append(batches, soon()))->wait(soon()));
    sent += 500;
  }
  const adapters::system::SystemClock clock;
  transform::Transformer stage(log, clock, {});
  base::StopSignal stop;
  const auto start = Clock::now();
  std::thread thread([&] { must(stage.run(stop)); });
  const auto arrived = [&](std::int64_t end) {
    for (std::int32_t number = 0; number < partitions; ++number) {
      const auto range = log.offsets({"orders_analytics", number}, soon());
      if (!range || range->end < end) return false;
    }
    return true;
  };
  while (!arrived(sent)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const double rate = static_cast<double>(sent * partitions) / ms_since(start) * 1'000;
  std::vector<double> ms;
  for (int i = 0; i < kRounds; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    must(must(log.start_append(events.round(), soon()))->wait(soon()));
    const auto appended = Clock::now();
    ++sent;
    while (!arrived(sent)) std::this_thread::sleep_for(std::chrono::microseconds(100));
    ms.push_back(ms_since(appended));
  }
  stop.request();
  thread.join();
  return {rate, figures(std::move(ms))};
}

std::string flag(int argc, char** argv, const char* name, std::string fallback) {
  for (int i = 1; i + 1 < argc; ++i)
    if (std::strcmp(argv[i], name) == 0) fallback = argv[i + 1];
  return fallback;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    spdlog::set_level(spdlog::level::warn);
    const auto partitions = static_cast<std::int32_t>(std::stoi(flag(argc, argv, "--partitions", "6")));
    std::ifstream file(flag(argc, argv, "--event", "schema/events/golden/order_created.event.json"));
    std::stringstream event;
    event << file.rdbuf();
    if (!file) throw std::runtime_error("--event names no file that can be read");
    const support::TemporaryDirectory temporary;
    adapters::rocksdb::Options options;
    options.directory = flag(argc, argv, "--directory", (temporary.path() / "log").string());
    const auto log = must(adapters::rocksdb::RocksdbEventLog::open(options));
    const std::string appends = append_to_all(*log, partitions);
    const auto [commits, look_ups] = commit_and_look_up(*log);
    const auto [rate, trickle] = run_transformer(*log, Events(event.str(), partitions), partitions);
    fmt::print(
        R"({{"partitions": {}, "append_to_all": {}, "commit": {}, "assignments_while_others_commit": {}, )"
        R"("transform_backlog_events_per_s": {:.0f}, "transform_one_event_per_partition": {}}})"
        "\n",
        partitions, appends, commits, look_ups, rate, trickle);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_event_log: {}\n", error.what());
    return 1;
  }
}
