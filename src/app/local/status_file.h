// What a running stack says of itself in its data directory, for `millrace ps`, `down`, `logs` and for who
// waits until it is up.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "base/stop.h"

namespace millrace::app {

struct ServiceEntry {
  std::string name;  ///< "mysql", "kafka-1".
  std::string state;
  pid_t pid = 0;  ///< 0: does not run.
  std::int64_t port = 0;
  std::uint64_t restarts = 0;
  std::string problem;  ///< The last one; empty: none so far.
};

/// Where users reach a part of the stack.
struct Endpoint {
  std::string name;
  std::string address;
  std::string credentials;  ///< Passwords only while they are the ones for development.
};

enum class StackPhase { kStarting, kReady, kStopping };

struct StackStatus {
  pid_t pid = 0;  ///< Of the process that holds the data directory.
  StackPhase phase = StackPhase::kStarting;
  std::vector<std::string> steps;  ///< What was done so far in this phase and before, a line each.
  std::vector<ServiceEntry> services;
  std::vector<Endpoint> endpoints;
  std::string credentials_note;    ///< What kind of passwords the servers have; no password.
  bool has_new_passwords = false;  ///< They were generated at this start.
};

[[nodiscard]] std::string to_json(const StackStatus& status);
/// Errors: kInvalid.
[[nodiscard]] base::Result<StackStatus> parse_setup_status(std::string_view json);

/// Of the stack that has this data directory. Errors: kNotFound, kInvalid.
[[nodiscard]] base::Result<StackStatus> read_setup_status(const std::filesystem::path& directory);

/// Keeps the file while it lives. Thread-safe. A file that cannot be written is let be: the stack serves
/// without it, and who reads it sees that its process is another.
class StatusFile {
 public:
  explicit StatusFile(const std::filesystem::path& directory);
  ~StatusFile();
  StatusFile(const StatusFile&) = delete;
  StatusFile& operator=(const StatusFile&) = delete;

  void step(std::string text);
  void set_phase(StackPhase phase);
  void set_services(std::vector<ServiceEntry> services);
  void set_endpoints(std::vector<Endpoint> endpoints);
  void set_credentials(std::string note, bool has_new_passwords);

 private:
  void write();
  const std::filesystem::path file_;
  std::mutex mutex_;
  StackStatus status_;   // guarded by mutex_
  std::string written_;  // guarded by mutex_
};

/// Looks at the services twice a second, on a thread of its own, until destroyed.
class ServiceWatch {
 public:
  ServiceWatch(StatusFile& keeper, std::function<std::vector<ServiceEntry>()> look);
  ~ServiceWatch();
  ServiceWatch(const ServiceWatch&) = delete;
  ServiceWatch& operator=(const ServiceWatch&) = delete;

 private:
  base::StopSignal stop_;
  std::thread thread_;
};

}  // namespace millrace::app
