#include "supervise/embedded_kafka.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <random>
#include <system_error>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/atomic_file.h"
#include "supervise/log_file.h"
#include "supervise/program.h"
#include "supervise/server_directory.h"
#include "supervise/tcp_probe.h"

namespace millrace::supervise {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kFormatTimeout{60'000};
// Three brokers that start on a busy machine of two processors have taken a minute.
constexpr std::chrono::milliseconds kReadyTimeout{150'000};
constexpr std::string_view kHost = "127.0.0.1";
// From the last node's data being closed to SIGKILL.
constexpr std::chrono::milliseconds kLastWords{300};
// How long a node may go on stopping after most others have gone.
constexpr std::chrono::milliseconds kWithoutQuorum{3'000};

/// 16 random bytes in URL-safe base64, as Kafka writes its ids.
std::string new_cluster_id() {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::random_device random;
  std::uniform_int_distribution<std::size_t> digit(0, kDigits.size() - 1);
  std::string id(1, kDigits[digit(random) % 26]);  // a leading '-' would look like an option
  while (id.size() < 21) id += kDigits[digit(random)];
  return id + kDigits[(digit(random) % 4) * 16];  // the last digit holds two bits
}

std::string first_line_of(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

/// All jars by name, sorted: an archive of classes fits one class path alone.
std::string class_path_of(const fs::path& folder) {
  std::error_code error;
  std::vector<std::string> jars;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error))
    if (entry->path().extension() == ".jar") jars.push_back(entry->path().string());
  std::ranges::sort(jars);
  std::string path;
  for (const std::string& jar : jars) path += (path.empty() ? "" : ":") + jar;
  return path;
}

}  // namespace

fs::path kafka_jar_folder() {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const char* const home = std::getenv("HOME");
  const fs::path base =
      cache != nullptr && *cache != '\0' ? fs::path(cache) : fs::path(home == nullptr ? "" : home) / ".cache";
  return base / "millrace" / ("kafka-" MILLRACE_KAFKA_VERSION);
}

class EmbeddedKafka::Impl {
 public:
  explicit Impl(EmbeddedKafkaOptions given) : options_(std::move(given)) {
    MILLRACE_ASSERT(!options_.nodes.empty());
    std::error_code ignored;
    options_.directory = fs::absolute(options_.directory, ignored).lexically_normal();
    if (options_.jar_folder.empty()) options_.jar_folder = kafka_jar_folder();
  }

  base::Result<void> start(base::Deadline deadline) {
    MILLRACE_ASSERT(nodes_.empty());
    constexpr std::array<std::string_view, 1> kJava = {"java"};
    MILLRACE_TRY_ASSIGN(java_, find_program(kJava, "openjdk-17-jre-headless"));
    std::error_code error;
    if (!fs::exists(options_.jar_folder / "complete", error))
      return base::not_found(fmt::format("Kafka's jars are not in {}: run scripts/bootstrap --kafka",
                                         options_.jar_folder.string()));
    class_path_ = class_path_of(options_.jar_folder);
    MILLRACE_TRY_ASSIGN(lock_, take_server_directory(options_.directory, deadline));
    base::Result<void> started = start_nodes(deadline);
    if (!started) stop();
    return started;
  }

  void stop() {
    // All at once: a node that is alone cannot ask for leave to go.
    std::vector<std::future<void>> ends;
    ends.reserve(nodes_.size());
    for (auto& node : nodes_) ends.push_back(std::async(std::launch::async, [&node] { node->stop(); }));
    ends.clear();
    nodes_.clear();
    closed_end_.reset();
    quorum_end_.reset();
    lock_.reset();
  }

  [[nodiscard]] std::vector<ServiceStatus> status() const {
    std::vector<ServiceStatus> states;
    for (const auto& node : nodes_) states.push_back(node->status());
    return states;
  }
  [[nodiscard]] std::string brokers() const {
    std::string list;
    for (const KafkaNodePorts& ports : options_.nodes)
      list += fmt::format("{}{}:{}", list.empty() ? "" : ",", kHost, ports.listener);
    return list;
  }
  [[nodiscard]] fs::path folder(std::size_t node) const {
    return options_.directory / fmt::format("node-{}", node + 1);
  }
  [[nodiscard]] fs::path log_file(std::size_t node) const { return folder(node) / "kafka.log"; }

 private:
  base::Result<void> start_nodes(base::Deadline deadline) {
    const fs::path id_file = options_.directory / "cluster-id";
    if (!fs::exists(id_file)) MILLRACE_TRY(base::replace_file(id_file, new_cluster_id() + "\n"));
    cluster_id_ = first_line_of(id_file);
    for (std::size_t node = 0; node < options_.nodes.size(); ++node) MILLRACE_TRY(check_ports(node));
    MILLRACE_TRY(for_each_node([this](std::size_t node) { return prepare(node); }));
    for (std::size_t node = 0; node < options_.nodes.size(); ++node)
      nodes_.push_back(std::make_unique<Supervisor>(service(node)));
    return for_each_node([&](std::size_t node) { return nodes_[node]->start(deadline); });
  }

  /// Side by side; the first error.
  base::Result<void> for_each_node(const std::function<base::Result<void>(std::size_t)>& work) const {
    std::vector<std::future<base::Result<void>>> all;
    for (std::size_t node = 0; node < options_.nodes.size(); ++node)
      all.push_back(std::async(std::launch::async, work, node));
    base::Result<void> outcome = {};
    for (auto& one : all) {
      auto ended = one.get();
      if (!ended && outcome) outcome = std::move(ended);
    }
    return outcome;
  }

  [[nodiscard]] base::Result<void> check_ports(std::size_t node) const {
    for (const std::uint16_t port : {options_.nodes[node].listener, options_.nodes[node].controller})
      if (auto free = check_port_free(std::string(kHost), port); !free)
        return base::fail(
            free.error().kind,
            fmt::format("{}; another Kafka may be running there, which is left alone: stop it, or choose "
                        "other ports for the private cluster",
                        free.error().message),
            free.error().vendor_code);
    return {};
  }

  /// The node's configuration, written anew at every start, and its storage.
  base::Result<void> prepare(std::size_t node) {
    std::error_code error;
    fs::create_directories(folder(node) / "data", error);
    if (error) return base::fatal(fmt::format("cannot make {}: {}", folder(node).string(), error.message()));
    std::string voters;
    for (std::size_t i = 0; i < options_.nodes.size(); ++i)
      voters += fmt::format("{}{}@{}:{}", i == 0 ? "" : ",", i + 1, kHost, options_.nodes[i].controller);
    const std::size_t replicas = std::min<std::size_t>(options_.nodes.size(), 3);
    const std::size_t in_sync = std::max<std::size_t>(replicas - 1, 1);
    const KafkaNodePorts& ports = options_.nodes[node];
    MILLRACE_TRY(base::replace_file(
        folder(node) / "server.properties",
        fmt::format(
            "process.roles=broker,controller\n"
            "node.id={id}\n"
            "controller.quorum.voters={voters}\n"
            "listeners=CLIENT://{host}:{listener},CONTROLLER://{host}:{controller}\n"
            "advertised.listeners=CLIENT://{host}:{listener}\n"
            "listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
            "inter.broker.listener.name=CLIENT\n"
            "controller.listener.names=CONTROLLER\n"
            "log.dirs={data}\n"
            "num.partitions=3\n"
            "default.replication.factor={replicas}\n"
            "min.insync.replicas={in_sync}\n"
            "offsets.topic.replication.factor={replicas}\n"
            "offsets.topic.num.partitions=6\n"
            "transaction.state.log.replication.factor={replicas}\n"
            "transaction.state.log.min.isr={in_sync}\n"
            "share.coordinator.state.topic.replication.factor={replicas}\n"
            "share.coordinator.state.topic.min.isr={in_sync}\n"
            "auto.create.topics.enable=false\n"
            "unclean.leader.election.enable=false\n"
            "group.initial.rebalance.delay.ms=0\n"
            "group.min.session.timeout.ms=1000\n"
            // A dead broker is replaced after this; the default of 9 s is for clusters across a network.
            "broker.session.timeout.ms=3000\n"
            "broker.heartbeat.interval.ms=500\n"
            "controller.quorum.fetch.timeout.ms=1000\n"
            "controller.quorum.election.timeout.ms=500\n"
            "replica.lag.time.max.ms=5000\n"
            "log.retention.ms=-1\n"
            "num.network.threads=2\n"
            "num.io.threads=4\n"
            "log.cleaner.dedupe.buffer.size=8388608\n",
            fmt::arg("id", node + 1), fmt::arg("voters", voters), fmt::arg("host", kHost),
            fmt::arg("listener", ports.listener), fmt::arg("controller", ports.controller),
            fmt::arg("data", (folder(node) / "data").string()), fmt::arg("replicas", replicas),
            fmt::arg("in_sync", in_sync))));
    MILLRACE_TRY(base::replace_file(folder(node) / "log4j2.properties",
                                    "rootLogger.level=WARN\n"
                                    "rootLogger.appenderRefs=console\n"
                                    "rootLogger.appenderRef.console.ref=console\n"
                                    "appender.console.type=Console\n"
                                    "appender.console.name=console\n"
                                    "appender.console.layout.type=PatternLayout\n"
                                    "appender.console.layout.pattern=%d %p %m (%c)%n\n"));
    if (fs::exists(folder(node) / "data" / "meta.properties", error)) return {};
    ChildSpec format = java(node, "kafka.tools.StorageTool");
    // Without eligible leader replicas: with them a partition whose in-sync brokers were all killed waits for
    // a person, because what they had not synced may be lost. A kill loses nothing that was written, and here
    // the machine is one, so the last in-sync broker may lead again when it is back.
    for (const std::string& word :
         {std::string("format"), std::string("--cluster-id"), cluster_id_, std::string("--config"),
          (folder(node) / "server.properties").string(), std::string("--feature"),
          std::string("eligible.leader.replicas.version=0")})
      format.arguments.push_back(word);
    MILLRACE_TRY_ASSIGN(ChildProcess child, ChildProcess::start(format));
    const auto ended = child.wait(base::Deadline::in(kFormatTimeout));
    if (ended == 0) return {};
    return base::fatal(fmt::format("Kafka's storage in {} could not be made ({}): {}", folder(node).string(),
                                   ended ? describe_exit(*ended) : "it took too long",
                                   log_tail(log_file(node))));
  }

  /// What a broker leaves when all its logs are written and closed; it takes it away again at its start.
  /// Source: org.apache.kafka.storage.internals.log.LogManager / LogLoader, the clean shutdown file.
  [[nodiscard]] bool has_closed_its_logs(std::size_t node) const {
    std::error_code error;
    return fs::exists(folder(node) / "data" / ".kafka_cleanshutdown", error);
  }

  /// Whether a node that was told to stop may be killed. A stopping leader of the quorum waits 5 s for
  /// somebody to follow it (KafkaRaftClient.shutdown), and a broker that is still stopping when the quorum
  /// has gone waits for minutes for leave to do so. Both wait in vain when all nodes stop at once.
  [[nodiscard]] bool may_be_killed() const {
    std::size_t closed = 0;
    std::size_t gone = 0;
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
      const bool is_gone = nodes_[node]->status().pid == 0;
      if (is_gone) ++gone;
      if (is_gone || has_closed_its_logs(node)) ++closed;
    }
    const auto lasts = [](std::optional<base::Deadline>& end, bool holds, std::chrono::milliseconds span) {
      if (!holds) return false;
      if (!end) end = base::Deadline::in(span);
      return end->passed();
    };
    const std::lock_guard lock(mutex_);
    return lasts(closed_end_, closed == nodes_.size(), kLastWords) ||
           lasts(quorum_end_, 2 * (nodes_.size() - gone) <= nodes_.size(), kWithoutQuorum);
  }

  [[nodiscard]] ChildSpec java(std::size_t node, const std::string& main_class) const {
    ChildSpec spec;
    spec.name = fmt::format("kafka {}", node + 1);
    spec.program = java_;
    spec.log_file = log_file(node);
    spec.kept_files = {lock_->file()};
    spec.arguments = {fmt::format("-Xmx{}m", options_.heap_mib),
                      "-XX:+UseSerialGC",
                      "-XX:TieredStopAtLevel=1",
                      "-XX:+ExitOnOutOfMemoryError",
                      "-Djava.awt.headless=true",
                      "-Djava.net.preferIPv4Stack=true",
                      "-Dlog4j2.configurationFile=" + (folder(node) / "log4j2.properties").string(),
                      "-cp",
                      class_path_,
                      main_class};
    // The classes as scripts/bootstrap has put them together for this class path.
    const fs::path archive = options_.jar_folder / "classes.jsa";
    std::error_code error;
    if (fs::exists(archive, error))
      spec.arguments.insert(spec.arguments.begin(), "-XX:SharedArchiveFile=" + archive.string());
    return spec;
  }

  [[nodiscard]] Service service(std::size_t node) const {
    Service service;
    service.child = java(node, "kafka.Kafka");
    service.ready_timeout = kReadyTimeout;
    service.child.arguments.push_back((folder(node) / "server.properties").string());
    service.before_start = [this, node] { return check_ports(node); };
    service.may_be_killed = [this] { return may_be_killed(); };
    service.probe = [port = options_.nodes[node].listener](base::Deadline deadline) -> base::Result<void> {
      // ApiVersions, version 0, correlation 1, no client id: any broker answers it once it serves.
      constexpr std::string_view kQuestion("\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff", 14);
      MILLRACE_TRY(first_answer(std::string(kHost), port, kQuestion, deadline));
      return {};
    };
    return service;
  }

  EmbeddedKafkaOptions options_;
  fs::path java_;
  std::string class_path_;
  std::string cluster_id_;
  std::optional<base::DirectoryLock> lock_;
  std::vector<std::unique_ptr<Supervisor>> nodes_;
  mutable std::mutex mutex_;
  mutable std::optional<base::Deadline>
      closed_end_;  // of a stop, once all logs are closed; guarded by mutex_
  mutable std::optional<base::Deadline> quorum_end_;  // of a stop, once there is no quorum; guarded by mutex_
};

EmbeddedKafka::EmbeddedKafka(EmbeddedKafkaOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
EmbeddedKafka::~EmbeddedKafka() {
  stop();
}
base::Result<void> EmbeddedKafka::start(base::Deadline deadline) {
  return impl_->start(deadline);
}
void EmbeddedKafka::stop() {
  impl_->stop();
}
std::vector<ServiceStatus> EmbeddedKafka::status() const {
  return impl_->status();
}
std::string EmbeddedKafka::brokers() const {
  return impl_->brokers();
}
std::filesystem::path EmbeddedKafka::log_file(std::size_t node) const {
  return impl_->log_file(node);
}

}  // namespace millrace::supervise
