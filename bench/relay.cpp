// The relay on Kafka beside a plain producer, on a cluster and a database of its own: a backlog, and commit →
// readable at two rates, both sides at the same time. Prints one JSON object; bench/relay.py keeps it.
//
//   bench_relay --program build/millrace --rows 200000 --seconds 30
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adapters/kafka/kafka_event_log.h"
#include "adapters/mysql/connection.h"
#include "adapters/mysql/migrations.h"
#include "base/text.h"
#include "ports/record_headers.h"
#include "supervise/embedded_kafka.h"
#include "supervise/embedded_mariadb.h"
#include "support/free_port.h"
#include "support/temporary_directory.h"

extern char** environ;

namespace {

using namespace millrace;
using adapters::mysql::Connection;
using adapters::mysql::Value;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr const char* kPassword = "bench";
constexpr const char* kRelayed = "order.events";
constexpr const char* kPlain = "plain.events";
constexpr std::int32_t kPartitions = 3;
constexpr std::size_t kInsertRows = 500;
constexpr std::size_t kPlainBatch = 2'000;
constexpr std::size_t kPlainInFlight = 4;

base::Deadline soon() {
  return base::Deadline::in(std::chrono::minutes(2));
}

template <class T>
T must(base::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// As large as the event of an order with two lines.
std::string payload(const std::string& id) {
  return fmt::format(
      R"({{"eventType": "OrderCreated", "orderId": "{0}", "userId": "user-2", "totalAmount": 1359.97, "itemsCount": 3, )"
      R"("status": "PENDING", "createdAt": "2026-06-01T10:00:00.000Z", "version": 1780308000000, "before": null, )"
      R"("after": {{"userEmail": "user2@example.com", "orderDate": "2026-06-01T10:00:00.000Z", "totalAmount": 1359.97, )"
      R"("status": "PENDING", "paymentMethod": "CREDIT_CARD", "paymentStatus": "PENDING", "items": [{{"productId": "prod-1", )"
      R"("productName": "Laptop", "quantity": 1, "price": 1299.99}}, {{"productId": "prod-2", "productName": "Wireless Mouse", )"
      R"("quantity": 2, "price": 29.99}}]}}, "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}})",
      id);
}

std::string order_id(std::uint64_t number) {
  return fmt::format("{:08x}-0000-7000-8000-{:012x}", number * 2654435761u & 0xffffffffu, number);
}

/// When each key was sent, and how long until it could be read.
class Stopwatch {
 public:
  void sent(const std::string& key, Clock::time_point when) {
    const std::lock_guard lock(mutex_);
    if (const auto early = read_.find(key); early != read_.end()) {
      add(early->second - when);
    } else {
      sent_[key] = when;
    }
  }
  void read(const std::string& key, Clock::time_point when) {
    const std::lock_guard lock(mutex_);
    if (const auto start = sent_.find(key); start != sent_.end()) {
      add(when - start->second);
      sent_.erase(start);
    } else {
      read_[key] = when;
    }
  }
  [[nodiscard]] std::size_t open() {
    const std::lock_guard lock(mutex_);
    return sent_.size();
  }
  /// Of what was sent since the last call.
  std::string figures() {
    const std::lock_guard lock(mutex_);
    std::ranges::sort(ms_);
    const auto at = [&](double share) {
      return ms_.empty() ? 0.0 : ms_[static_cast<std::size_t>(share * static_cast<double>(ms_.size() - 1))];
    };
    auto text = fmt::format(
        R"({{"events": {}, "p50_ms": {:.2f}, "p90_ms": {:.2f}, "p99_ms": {:.2f}, "max_ms": {:.2f}}})",
        ms_.size(), at(0.5), at(0.9), at(0.99), at(1));
    ms_.clear();
    read_.clear();
    return text;
  }

 private:
  void add(Clock::duration span) { ms_.push_back(std::chrono::duration<double, std::milli>(span).count()); }
  std::mutex mutex_;
  std::map<std::string, Clock::time_point> sent_;  // guarded by mutex_, as all below
  std::map<std::string, Clock::time_point> read_;
  std::vector<double> ms_;
};

/// Reads a topic from its end on, a thread for each partition.
class Reader {
 public:
  Reader(ports::EventLog& log, const std::string& topic, Stopwatch& watch, Stopwatch* other = nullptr) {
    for (std::int32_t number = 0; number < kPartitions; ++number) {
      const ports::TopicPartition partition{topic, number};
      std::int64_t offset = must(log.offsets(partition, soon())).end;
      threads_.emplace_back([this, &log, &watch, other, partition, offset]() mutable {
        while (!stop_) {
          const auto records = log.read(partition, offset, {1'000, std::size_t{1} << 20u},
                                        base::Deadline::in(milliseconds(500)));
          const auto now = Clock::now();
          if (!records) continue;
          for (const ports::Record& record : *records) {
            watch.read(record.key, now);
            if (other != nullptr) other->read(record.key, now);
          }
          if (!records->empty()) offset = records->back().offset + 1;
        }
      });
    }
  }
  ~Reader() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

 private:
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> threads_;
};

ports::NewRecord plain_record(std::uint64_t number) {
  const std::string id = order_id(number);
  return {id,
          payload(id),
          {{std::string(ports::kHeaderEventId), std::to_string(number)},
           {std::string(ports::kHeaderEpoch), "1"},
           {std::string(ports::kHeaderEventType), "OrderCreated"}},
          base::utc_from_ms(
              std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch())
                  .count())};
}

std::int64_t end_of(ports::EventLog& log, const std::string& topic) {
  std::int64_t sum = 0;
  for (std::int32_t number = 0; number < kPartitions; ++number)
    sum += must(log.offsets({topic, number}, soon())).end;
  return sum;
}

/// Calls `send(n)` for n = 0, 1 … at the rate, with some jitter, by several threads.
template <class Send>
void at_rate(double per_second, int seconds, int threads, Send send) {
  std::vector<std::thread> senders;
  const auto start = Clock::now();
  const auto count = static_cast<std::uint64_t>(per_second * seconds);
  for (int sender = 0; sender < threads; ++sender)
    senders.emplace_back([=] {
      std::mt19937_64 random(static_cast<std::uint64_t>(sender) + 1);
      std::uniform_real_distribution<double> jitter(0, 1);
      for (auto n = static_cast<std::uint64_t>(sender); n < count; n += static_cast<std::uint64_t>(threads)) {
        std::this_thread::sleep_until(
            start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                        (static_cast<double>(n) + jitter(random)) / per_second)));
        send(sender, n);
      }
    });
  for (std::thread& sender : senders) sender.join();
}

struct Usage {
  double cpu_seconds = 0;
  double peak_mib = 0;
  double now_mib = 0;
};

Usage usage_of(pid_t pid) {
  Usage usage;
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string text((std::istreambuf_iterator<char>(stat)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string word;
  for (int field = 3; field <= 15 && fields >> word; ++field)
    if (field >= 14) usage.cpu_seconds += std::stod(word) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) usage.peak_mib = std::stod(line.substr(6)) / 1024;
    if (line.starts_with("VmRSS:")) usage.now_mib = std::stod(line.substr(6)) / 1024;
  }
  return usage;
}

class RelayProcess {
 public:
  RelayProcess(const std::string& program, const std::vector<std::string>& arguments,
               const std::string& log) {
    std::vector<char*> words{const_cast<char*>(program.c_str())};
    for (const std::string& word : arguments) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    const int failed = ::posix_spawn(&pid_, program.c_str(), &actions, nullptr, words.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) throw std::runtime_error("cannot start " + program);
  }
  ~RelayProcess() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  RelayProcess(const RelayProcess&) = delete;
  RelayProcess& operator=(const RelayProcess&) = delete;

  [[nodiscard]] Usage usage() const { return usage_of(pid_); }

 private:
  pid_t pid_ = 0;
};

std::unique_ptr<Connection> connect(const adapters::mysql::ServerAddress& address) {
  return must(
      Connection::open(address, address.database, adapters::mysql::Isolation::kReadCommitted, soon()));
}

void insert_rows(Connection& connection, std::uint64_t first, std::size_t count) {
  std::vector<std::string> texts;
  texts.reserve(2 * count);
  std::vector<Value> values;
  std::string sql = "INSERT INTO outbox (aggregate_id, aggregate_type, event_type, payload) VALUES ";
  for (std::size_t i = 0; i < count; ++i) {
    texts.push_back(order_id(first + i));
    texts.push_back(payload(texts.back()));
    values.insert(values.end(), {std::string_view(texts[2 * i]), std::string_view("Order"),
                                 std::string_view("OrderCreated"), std::string_view(texts[2 * i + 1])});
    sql += i == 0 ? "(?, ?, ?, ?)" : ", (?, ?, ?, ?)";
  }
  must(connection.execute(sql, values, soon()));
}

std::string flag(int argc, char** argv, const char* name, const std::string& otherwise) {
  for (int i = 1; i + 1 < argc; ++i)
    if (std::strcmp(argv[i], name) == 0) return argv[i + 1];
  return otherwise;
}

void run(int argc, char** argv) {
  const std::string program = flag(argc, argv, "--program", "build/millrace");
  const std::size_t rows = std::stoull(flag(argc, argv, "--rows", "200000"));
  const int seconds = std::stoi(flag(argc, argv, "--seconds", "30"));
  const support::TemporaryDirectory directory;

  supervise::EmbeddedKafkaOptions kafka_options;
  kafka_options.directory = directory.path() / "kafka";
  kafka_options.nodes.clear();
  for (int node = 0; node < 3; ++node)
    kafka_options.nodes.push_back({support::free_port(), support::free_port()});
  supervise::EmbeddedKafka kafka(kafka_options);
  must(kafka.start(soon()));
  supervise::EmbeddedMariadbOptions mariadb_options;
  mariadb_options.directory = directory.path() / "mysql";
  mariadb_options.port = support::free_port();
  mariadb_options.password = kPassword;
  mariadb_options.buffer_pool_bytes = std::uint64_t{512} << 20u;
  supervise::EmbeddedMariadb mariadb(mariadb_options);
  must(mariadb.start(soon()));
  const std::string url =
      fmt::format("mysql://admin:{}@127.0.0.1:{}/ecommerce", kPassword, mariadb_options.port);
  const auto address = must(adapters::mysql::parse_server_url(url));
  must(adapters::mysql::init_db(address, {}, soon()));

  adapters::kafka::Options log_options;
  log_options.brokers = kafka.brokers();
  const auto producer = must(adapters::kafka::KafkaEventLog::open(log_options));
  const auto consumer = must(adapters::kafka::KafkaEventLog::open(log_options));
  for (const char* topic : {kRelayed, kPlain}) must(producer->ensure_topic(topic, kPartitions, soon()));
  fmt::print(stderr, "cluster and database are up\n");

  const auto connection = connect(address);
  for (std::size_t done = 0; done < rows; done += kInsertRows)
    insert_rows(*connection, done, std::min(kInsertRows, rows - done));
  fmt::print(stderr, "{} rows are in the outbox\n", rows);

  // The limit: the same records, as fast as an idempotent producer takes them.
  double plain_rate = 0;
  {
    std::vector<std::vector<ports::PartitionRecords>> batches;
    for (std::size_t first = 0; first < rows; first += kPlainBatch) {
      std::vector<ports::PartitionRecords> parts(kPartitions);
      for (std::size_t i = first; i < std::min(rows, first + kPlainBatch); ++i) {
        auto record = plain_record(i);
        const auto partition = ports::partition_of(record.key, kPartitions);
        parts[static_cast<std::size_t>(partition)].records.push_back(std::move(record));
      }
      for (std::int32_t number = 0; number < kPartitions; ++number)
        parts[static_cast<std::size_t>(number)].partition = {kPlain, number};
      batches.push_back(std::move(parts));
    }
    const auto start = Clock::now();
    std::vector<std::unique_ptr<ports::PendingAppend>> pending;
    for (std::size_t i = 0; i < batches.size(); ++i) {
      pending.push_back(must(producer->start_append(batches[i], soon())));
      batches[i].clear();
      if (i >= kPlainInFlight) must(pending[i - kPlainInFlight]->wait(soon()));
    }
    for (const auto& append : pending) must(append->wait(soon()));
    plain_rate = static_cast<double>(rows) / std::chrono::duration<double>(Clock::now() - start).count();
  }
  fmt::print(stderr, "plain: {:.0f} events/s\n", plain_rate);

  std::vector<std::string> arguments{"relay",
                                     "--event-log-kind",
                                     "kafka",
                                     "--kafka-brokers",
                                     kafka.brokers(),
                                     "--data-dir",
                                     (directory.path() / "data").string()};
  for (int i = 1; i < argc; ++i)
    if (std::strcmp(argv[i], "--") == 0) arguments.insert(arguments.end(), argv + i + 1, argv + argc);
  ::setenv("MILLRACE_MYSQL_URL", url.c_str(), 1);  // a secret is no flag
  const RelayProcess relay(program, arguments, (directory.path() / "relay.log").string());
  // From the first event to the last that can be read, and is marked.
  const auto sent = [&] { return end_of(*consumer, kRelayed); };
  while (sent() == 0) std::this_thread::sleep_for(milliseconds(5));
  const auto start = Clock::now();
  const auto before = sent();
  const Usage usage_before = relay.usage();
  const auto others = [&] {
    double brokers = 0;
    for (const auto& node : kafka.status()) brokers += usage_of(node.pid).cpu_seconds;
    return std::pair(brokers, usage_of(mariadb.status().pid).cpu_seconds);
  };
  const auto others_before = others();
  while (sent() < static_cast<std::int64_t>(rows)) std::this_thread::sleep_for(milliseconds(20));
  const double span = std::chrono::duration<double>(Clock::now() - start).count();
  const Usage usage_after = relay.usage();
  const auto others_after = others();
  const auto moved = static_cast<double>(static_cast<std::int64_t>(rows) - before);
  const double relay_rate = moved / span;
  const double relay_cpu_us = (usage_after.cpu_seconds - usage_before.cpu_seconds) / moved * 1e6;
  const double brokers_cpu_us = (others_after.first - others_before.first) / moved * 1e6;
  const double mariadb_cpu_us = (others_after.second - others_before.second) / moved * 1e6;
  fmt::print(
      stderr,
      "relay: {:.0f} events/s, {:.1f} us CPU per event (brokers {:.1f}, mariadbd {:.1f}), {:.1f} MiB\n",
      relay_rate, relay_cpu_us, brokers_cpu_us, mariadb_cpu_us, usage_after.peak_mib);

  // Let the database's own clearing end before latencies are taken.
  std::this_thread::sleep_for(std::chrono::seconds(3));
  std::string latencies;
  std::uint64_t next = rows;
  for (const double rate : {10.0, 1000.0}) {
    Stopwatch relayed;
    Stopwatch answered;
    Stopwatch plain;
    const Reader relayed_reader(*consumer, kRelayed, relayed, &answered);
    const Reader plain_reader(*consumer, kPlain, plain);
    const int writers = rate > 100 ? 8 : 1;
    std::vector<std::unique_ptr<Connection>> connections;
    for (int i = 0; i < writers; ++i) connections.push_back(connect(address));
    const auto write = [&](int writer, std::uint64_t n) {
      const std::string id = order_id(next + n);
      Connection& own = *connections[static_cast<std::size_t>(writer)];
      must(own.command("START TRANSACTION", soon()));
      insert_rows(own, next + n, 1);
      // The row can be read before the commit is answered: from here on is the longest that it can have
      // taken.
      const auto when = Clock::now();
      must(own.command("COMMIT", soon()));
      relayed.sent(id, when);
      answered.sent(id, Clock::now());
    };
    std::mutex pending_mutex;
    std::vector<std::unique_ptr<ports::PendingAppend>> pending;
    const auto produce = [&](int, std::uint64_t n) {
      const auto record = plain_record(next + n);
      const auto when = Clock::now();
      auto append = must(producer->start_append(
          std::vector<ports::PartitionRecords>{
              {{kPlain, ports::partition_of(record.key, kPartitions)}, {record}}},
          soon()));
      plain.sent(record.key, when);
      const std::lock_guard lock(pending_mutex);
      pending.push_back(std::move(append));
    };
    // What is sent first meets readers that have just begun.
    const auto both = [&](int for_seconds) {
      std::thread side([&] { at_rate(rate, for_seconds, writers, write); });
      at_rate(rate, for_seconds, writers, produce);
      side.join();
      const base::Deadline deadline = soon();
      while (relayed.open() + plain.open() > 0 && !deadline.passed())
        std::this_thread::sleep_for(milliseconds(10));
      next += static_cast<std::uint64_t>(rate * for_seconds);
    };
    both(2);
    for (Stopwatch* watch : {&relayed, &answered, &plain}) watch->figures();
    const Usage from = relay.usage();
    const auto began = Clock::now();
    both(seconds);
    const double cpu = (relay.usage().cpu_seconds - from.cpu_seconds) /
                       std::chrono::duration<double>(Clock::now() - began).count();
    latencies += fmt::format(
        R"(, "at_{:.0f}_per_second": {{"relay": {}, "relay_after_the_answer": {}, "plain": {}, "relay_cpu_cores": {:.4f}}})",
        rate, relayed.figures(), answered.figures(), plain.figures(), cpu);
    fmt::print(stderr, "{}\n", latencies);
  }
  const Usage usage_end = relay.usage();
  fmt::print(
      R"({{"rows": {}, "partitions": {}, "payload_bytes": {}, "backlog": {{"plain_events_per_second": {:.0f}, )"
      R"("relay_events_per_second": {:.0f}, "relay_cpu_us_per_event": {:.2f}, )"
      R"("brokers_cpu_us_per_event": {:.2f}, "mariadbd_cpu_us_per_event": {:.2f}}}, "relay_peak_mib": {:.1f}, )"
      R"("relay_mib_at_the_end": {:.1f}{}}})"
      "\n",
      rows, kPartitions, payload(order_id(0)).size(), plain_rate, relay_rate, relay_cpu_us, brokers_cpu_us,
      mariadb_cpu_us, usage_end.peak_mib, usage_end.now_mib, latencies);
  std::ifstream log(directory.path() / "relay.log");
  for (std::string line; std::getline(log, line);)
    if (line.find("warn") != std::string::npos) fmt::print(stderr, "{}\n", line);
}

}  // namespace

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::warn);
  try {
    run(argc, argv);
  } catch (const std::exception& problem) {
    fmt::print(stderr, "bench_relay: {}\n", problem.what());
    return 1;
  }
  return 0;
}
