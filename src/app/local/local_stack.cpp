#include "app/local/local_stack.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adapters/curl/curl_http_client.h"
#include "app/cli/exit_codes.h"
#include "app/config/credentials.h"
#include "app/local/status_file.h"
#include "app/wiring/data_directory.h"
#include "base/json.h"
#include "base/text.h"
#include "base/text_table.h"
#include "supervise/child_process.h"
#include "supervise/process_info.h"

namespace millrace::app {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPollInterval{100};
constexpr std::chrono::milliseconds kStartTimeout{300'000};
// On top of stop.timeout: what the servers may take after the pipeline.
constexpr std::chrono::milliseconds kServersStopTimeout{60'000};
constexpr std::chrono::milliseconds kStopWhileStarting{2'000};
constexpr std::chrono::milliseconds kKillTimeout{10'000};
constexpr std::chrono::milliseconds kReadyTimeout{5'000};
constexpr std::chrono::milliseconds kFollowInterval{200};

fs::path directory_of(const Settings& settings) {
  return fs::absolute(settings.data_dir).lexically_normal();
}

fs::path last_words_of(const Settings& settings) {
  return directory_of(settings) / "millrace.out";
}

/// The status that the process `pid` wrote; one of an earlier process is none.
std::optional<StackStatus> status_of(const Settings& settings, pid_t pid) {
  auto status = read_setup_status(directory_of(settings));
  if (!status || status->pid != pid) return std::nullopt;
  return std::move(*status);
}

/// What the child said before it ended: the line that says why.
std::string last_words(const Settings& settings) {
  std::ifstream stream(last_words_of(settings));
  std::string why;
  constexpr std::string_view kOurs = "millrace: ";
  for (std::string line; std::getline(stream, line);)
    if (line.starts_with(kOurs)) why = line.substr(kOurs.size());
  return why;
}

/// Prints steps as they come, each with the time since the beginning.
class Steps {
 public:
  void show(const StackStatus& status) {
    for (; shown_ < status.steps.size(); ++shown_) {
      const auto spent = std::chrono::steady_clock::now() - began_;
      fmt::print("  {:5.1f} s  {}\n", std::chrono::duration<double>(spent).count(), status.steps[shown_]);
      std::fflush(stdout);
    }
  }
  void skip(const StackStatus& status) { shown_ = status.steps.size(); }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::size_t shown_ = 0;
};

void print_endpoints(const StackStatus& status) {
  fmt::print("\n");
  base::TextTable table("lll");
  for (const Endpoint& endpoint : status.endpoints)
    table.add_row({"  " + endpoint.name, endpoint.address, endpoint.credentials});
  fmt::print("{}", table.text());
  std::fflush(stdout);
}

/// Generated passwords are shown by the start that made them, here and not in the child, whose output is kept
/// in a file.
void print_credentials(const Settings& settings, const StackStatus& status, bool ours) {
  const fs::path file = credentials_file(settings);
  fmt::print("\n");
  if (!status.has_new_passwords || !ours) {
    fmt::print("  {}\n", status.credentials_note);
  } else if (const auto kept = kept_credentials(file); kept) {
    for (const std::string& line : shown_once(*kept, file)) fmt::print("  {}\n", line);
  } else {
    fmt::print("  {}\n", kept.error().message);
  }
  std::fflush(stdout);
}

std::string api_url(const StackStatus& status) {
  return status.endpoints.empty() ? "" : status.endpoints.front().address;
}

/// Empty if the API says that everything behind it is reachable, else what is wrong.
std::string why_not_ready(const StackStatus& status) {
  adapters::curl::CurlHttpClient client({.connections_max = 1, .ca_file = {}});
  const auto answer = client.send({.url = api_url(status) + "/readyz", .headers = {}, .body = {}},
                                  base::Deadline::in(kReadyTimeout));
  if (!answer) return "the API does not answer";
  if (answer->status == 200) return "";
  return base::printable(answer->body, 300);
}

/// All processes of a stack but its own one.
std::vector<pid_t> servers_of(const StackStatus& status) {
  std::vector<pid_t> pids;
  for (const ServiceEntry& service : status.services)
    if (service.pid > 0 && service.pid != status.pid) pids.push_back(service.pid);
  return pids;
}

/// Asks the process to stop and waits; kills it when that takes too long. True if it ended by itself.
bool stop_process(const Settings& settings, pid_t pid, const supervise::ProcessHandle& process) {
  Steps steps;
  std::vector<pid_t> servers;
  if (const auto before = status_of(settings, pid)) {
    servers = servers_of(*before);
    if (before->phase != StackPhase::kStopping) steps.skip(*before);
  }
  process.send(SIGTERM);
  const auto deadline = base::Deadline::in(settings.stop_timeout + kServersStopTimeout);
  // What is only starting has nothing to finish: a second signal ends it at once.
  const auto once_more = base::Deadline::in(kStopWhileStarting);
  bool asked_twice = false;
  while (!process.wait(base::Deadline::in(kPollInterval)) && !deadline.passed()) {
    const auto now = status_of(settings, pid);
    if (now) steps.show(*now);
    if ((!now || now->phase == StackPhase::kStarting) && once_more.passed() && !asked_twice)
      asked_twice = process.send(SIGTERM);
  }
  const bool by_itself = process.wait(base::Deadline::in(std::chrono::milliseconds(0)));
  if (!by_itself) process.send(SIGKILL);
  // The kernel kills the servers with the process that started them; they are gone a moment later.
  const auto gone = base::Deadline::in(kKillTimeout);
  const auto runs = [](pid_t server) { return supervise::process_info(server).has_value(); };
  static_cast<void>(process.wait(gone));
  while (std::ranges::any_of(servers, runs) && !gone.passed()) std::this_thread::sleep_for(kPollInterval);
  return by_itself;
}

std::string uptime_text(std::chrono::seconds uptime) {
  const auto seconds = uptime.count();
  if (seconds >= 86'400) return fmt::format("{}d{:02}h", seconds / 86'400, seconds / 3'600 % 24);
  if (seconds >= 3'600) return fmt::format("{}h{:02}m", seconds / 3'600, seconds / 60 % 60);
  if (seconds >= 60) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}s", seconds);
}

struct Log {
  std::string service;
  fs::path file;
};

/// Of the stack in the data directory, running or not.
std::vector<Log> logs_of(const Settings& settings) {
  const fs::path data = directory_of(settings);
  std::vector<Log> all = {
      {"millrace", settings.log_file.empty() ? data / "millrace.log" : fs::path(settings.log_file)},
      {"mysql", data / "mysql/mariadbd.log"},
      {"clickhouse", data / "clickhouse/warehouse.log"}};
  std::error_code error;
  for (int node = 1; fs::exists(data / fmt::format("kafka/node-{}", node), error); ++node)
    all.push_back({fmt::format("kafka-{}", node), data / fmt::format("kafka/node-{}/kafka.log", node)});
  std::erase_if(all, [&](const Log& log) { return !fs::exists(log.file, error); });
  return all;
}

/// The same names as those of the services in Docker Compose, so that one habit serves both.
std::string service_of(std::string name) {
  if (name == "mysql-local") return "mysql";
  if (name == "clickhouse-local") return "clickhouse";
  if (name == "kafka-connect" || name == "connect") return "millrace";
  if (name.starts_with("kafka-local")) return "kafka-" + name.substr(std::string("kafka-local").size());
  return name;
}

/// One file that is read as it grows.
class Tail {
 public:
  Tail(Log log, std::size_t label_width) : log_(std::move(log)), label_width_(label_width) {}

  void last_lines(std::size_t count) {
    constexpr std::streamoff kBytesMax = 4 << 20;
    std::ifstream stream(log_.file, std::ios::binary | std::ios::ate);
    end_ = stream ? static_cast<std::streamoff>(stream.tellg()) : 0;
    const std::streamoff begin = std::max<std::streamoff>(0, end_ - kBytesMax);
    stream.seekg(begin);
    std::vector<std::string> lines;
    std::streamoff at = begin;
    for (std::string line; at < end_ && std::getline(stream, line); lines.push_back(std::move(line)))
      at += static_cast<std::streamoff>(line.size()) + 1;
    for (std::size_t i = lines.size() > count ? lines.size() - count : 0; i < lines.size(); ++i)
      print(lines[i]);
  }

  void new_lines() {
    std::error_code error;
    const auto size = static_cast<std::streamoff>(fs::file_size(log_.file, error));
    if (error || size == end_) return;
    if (size < end_) end_ = 0;  // it was rotated
    std::ifstream stream(log_.file, std::ios::binary);
    stream.seekg(end_);
    for (std::string line; std::getline(stream, line) && !stream.eof();) {
      print(line);
      end_ += static_cast<std::streamoff>(line.size()) + 1;
    }
  }

 private:
  void print(const std::string& line) const {
    if (label_width_ > 0) fmt::print("{:<{}} | ", log_.service, label_width_);
    fmt::print("{}\n", line);
  }

  Log log_;
  std::size_t label_width_;
  std::streamoff end_ = 0;
};

std::string services_json(const std::vector<ServiceEntry>& services) {
  std::string text;
  base::JsonWriter json(text);
  json.begin_array();
  for (const ServiceEntry& service : services) {
    const auto info = supervise::process_info(service.pid);
    json.begin_object().key("service").string(service.name).key("state").string(service.state);
    json.key("pid").number(std::int64_t{service.pid}).key("port").number(service.port);
    json.key("uptime_seconds").number(std::int64_t{info ? info->uptime.count() : 0});
    json.key("memory_bytes").number(std::uint64_t{info ? info->resident_bytes : 0});
    json.key("restarts").number(service.restarts).key("problem").string(service.problem).end_object();
  }
  json.end_array();
  return text + '\n';
}

std::string services_table(const std::vector<ServiceEntry>& services) {
  base::TextTable table("llrrrrr");
  table.add_row({"SERVICE", "STATE", "PID", "PORT", "UPTIME", "MEMORY", "RESTARTS"});
  for (const ServiceEntry& service : services) {
    const auto info = supervise::process_info(service.pid);
    table.add_row({service.name, service.state, info ? std::to_string(service.pid) : "-",
                   std::to_string(service.port), info ? uptime_text(info->uptime) : "-",
                   info ? fmt::format("{} MiB", info->resident_bytes >> 20U) : "-",
                   std::to_string(service.restarts)});
    if (service.state != "ready" && !service.problem.empty()) table.add_line("    " + service.problem);
  }
  return table.text();
}

}  // namespace

base::Result<pid_t> detach(const Settings& settings) {
  const fs::path data = directory_of(settings);
  std::error_code failed;
  fs::create_directories(data, failed);
  if (failed)
    return base::invalid(
        fmt::format("cannot make the data directory {}: {}", data.string(), failed.message()));
  if (const auto holder = DataDirectory::holder(data)) return -*holder;
  const int words =
      ::open(last_words_of(settings).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (words < 0 || nothing < 0)
    return base::invalid(
        fmt::format("cannot write in the data directory {}: {}", data.string(), std::strerror(errno)));
  const pid_t child = ::fork();
  if (child == 0) {
    // A session of its own: no terminal, and no signal of the one that this was started from.
    ::setsid();
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(words, STDOUT_FILENO);
    ::dup2(words, STDERR_FILENO);
  }
  const int fork_error = errno;
  ::close(words);
  ::close(nothing);
  if (child < 0) return base::fatal(fmt::format("cannot start a process: {}", std::strerror(fork_error)));
  return child;
}

base::Result<bool> follow_start(const Settings& settings, pid_t detached, const base::StopSignal& stop) {
  const bool ours = detached > 0;
  const pid_t pid = ours ? detached : -detached;
  const auto process = supervise::ProcessHandle::open(pid);
  const auto ended = [&] { return !process || process->wait(base::Deadline::in(kPollInterval)); };
  if (ours) fmt::print("starting in {}\n", directory_of(settings).string());
  Steps steps;
  const auto deadline = base::Deadline::in(kStartTimeout);
  bool told = ours;
  while (!ended()) {
    const auto status = status_of(settings, pid);
    if (status && status->phase == StackPhase::kReady && (!ours || why_not_ready(*status).empty())) {
      if (told) steps.show(*status);
      fmt::print("{} (process {})\n", ours ? "it is up" : "it is up already", pid);
      print_endpoints(*status);
      print_credentials(settings, *status, ours);
      return true;
    }
    if (status && !told) {
      told = true;
      fmt::print("it {} already (process {})\n",
                 status->phase == StackPhase::kStopping ? "is stopping" : "is starting", pid);
    }
    if (status) steps.show(*status);
    if (!stop.requested() && !deadline.passed()) continue;
    if (!ours) return base::unavailable("stopped waiting for it");
    fmt::print("stopping it again\n");
    stop_process(settings, pid, *process);
    return base::unavailable(stop.requested() ? "stopped; nothing is left running"
                                              : "it was not ready in time; nothing is left running");
  }
  if (!ours) return false;
  int status = 0;
  ::waitpid(pid, &status, 0);
  const std::string why = last_words(settings);
  const auto kind = WIFEXITED(status) ? kind_of_exit(WEXITSTATUS(status)) : base::ErrorKind::kFatal;
  return base::fail(kind, why.empty()
                              ? fmt::format("it ended ({}); its log is {}", supervise::describe_exit(status),
                                            (directory_of(settings) / "millrace.log").string())
                              : why);
}

base::Result<void> run_down(const Settings& settings) {
  const fs::path data = directory_of(settings);
  const auto holder = DataDirectory::holder(data);
  const auto process = holder ? supervise::ProcessHandle::open(*holder) : std::nullopt;
  if (!process) {
    fmt::print("nothing runs in {}\n", data.string());
    return {};
  }
  fmt::print("stopping process {} in {}\n", *holder, data.string());
  const bool by_itself = stop_process(settings, *holder, *process);
  if (DataDirectory::holder(data) == *holder)
    return base::fatal(fmt::format("process {} does not end: stop it as the user who started it", *holder));
  fmt::print("{}\n", by_itself ? "stopped; the data stay" : "it took too long and was killed; the data stay");
  return {};
}

base::Result<bool> run_ps(const Settings& settings, const PsCommand& command) {
  const fs::path data = directory_of(settings);
  const auto holder = DataDirectory::holder(data);
  auto status = holder ? status_of(settings, *holder) : std::nullopt;
  if (!status) {
    if (command.json) {
      std::cout << "[]\n";
    } else {
      fmt::print("nothing runs in {}\n", data.string());
    }
    return false;
  }
  ServiceEntry own{.name = "millrace", .state = "ready", .pid = *holder, .problem = {}};
  if (status->phase != StackPhase::kReady) {
    own.state = status->phase == StackPhase::kStarting ? "starting" : "stopping";
  } else if (own.problem = why_not_ready(*status); !own.problem.empty()) {
    own.state = "not ready";
  }
  const std::string url = api_url(*status);
  own.port = base::parse_int<std::int64_t>(url.substr(url.rfind(':') + 1)).value_or(0);
  status->services.insert(status->services.begin(), own);
  const bool all_ready = std::ranges::all_of(
      status->services, [](const ServiceEntry& service) { return service.state == "ready"; });
  std::cout << (command.json ? services_json(status->services) : services_table(status->services));
  return all_ready;
}

base::Result<void> run_logs(const Settings& settings, const LogsCommand& command,
                            const base::StopSignal& stop) {
  std::vector<Log> logs = logs_of(settings);
  std::string names;
  for (const Log& log : logs) names += (names.empty() ? "" : ", ") + log.service;
  if (!command.service.empty()) {
    const std::string wanted = service_of(command.service);
    std::erase_if(logs, [&](const Log& log) { return log.service != wanted; });
  }
  if (logs.empty())
    return base::not_found(names.empty()
                               ? fmt::format("there are no logs in {}", directory_of(settings).string())
                               : fmt::format("there is no log of '{}'; there are those of {}",
                                             base::printable(command.service, 40), names));
  std::size_t width = 0;
  if (logs.size() > 1)
    for (const Log& log : logs) width = std::max(width, log.service.size());
  std::vector<Tail> tails;
  for (Log& log : logs) tails.emplace_back(std::move(log), width);
  for (Tail& tail : tails) tail.last_lines(command.lines);
  std::fflush(stdout);
  while (command.follow && !stop.wait_for(kFollowInterval)) {
    for (Tail& tail : tails) tail.new_lines();
    std::fflush(stdout);
  }
  return {};
}

}  // namespace millrace::app
