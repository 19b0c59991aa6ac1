#include "app/config/run_as.h"

#include <array>
#include <cstdio>
#include <filesystem>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "app/wiring/event_log.h"
#include "privileges/become.h"
#include "privileges/mounts.h"
#include "privileges/ownership.h"
#include "privileges/paths.h"
#include "privileges/user.h"
#include "supervise/embedded_kafka.h"
#include "supervise/program.h"

namespace millrace::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSystemUser = "millrace";
constexpr std::string_view kMark = "millrace.lock";

base::Result<void> make_absolute(std::string& path) {
  if (path.empty()) return {};
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  if (error) return base::invalid(fmt::format("cannot tell where {} is: {}", path, error.message()));
  path = absolute.lexically_normal().string();
  return {};
}

base::Result<privileges::User> chosen_user(const Settings& settings) {
  if (!settings.process_run_as.empty()) {
    auto user = privileges::find_user(settings.process_run_as);
    if (!user) return base::invalid(fmt::format("process.run_as (--run-as): {}", user.error().message));
    return user;
  }
  auto user = privileges::find_user(kSystemUser);
  if (!user)
    return base::invalid(
        fmt::format("started by root, but there is no user '{0}' to become: run scripts/bootstrap as root, "
                    "or useradd --system "
                    "--no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin {0}, or name another "
                    "with --run-as",
                    kSystemUser));
  return user;
}

base::Result<void> check_ordinary_user(const Settings& settings) {
  if (settings.process_run_as.empty()) return {};
  const privileges::User current = privileges::current_user();
  const auto asked = privileges::find_user(settings.process_run_as);
  if (asked && asked->uid == current.uid) return {};
  return base::invalid(fmt::format(
      "process.run_as (--run-as): only root may run it as another user, and this is {}", current.name));
}

bool is_in(const fs::path& path, const fs::path& directory) {
  const fs::path inside = path.lexically_relative(directory);
  return !inside.empty() && *inside.begin() != "..";
}

/// Of the programs that `up` starts, what may lie in somebody's home directory.
base::Result<std::vector<privileges::Need>> needs_of_servers(const Settings& settings) {
  std::vector<privileges::Need> needs;
  if (settings.clickhouse_embedded) {
    needs.push_back({.path = supervise::own_folder() / "millrace-warehouse"});
    needs.push_back({.path = MILLRACE_ENGINE_LIBRARY});
  }
  if (settings.event_log_kind == "kafka" && settings.kafka_embedded) {
    needs.push_back({.path = supervise::kafka_jar_folder()});
    constexpr std::array<std::string_view, 1> kJava = {"java"};
    if (const auto java = supervise::find_program(kJava, "")) {
      MILLRACE_TRY_ASSIGN(const privileges::RealPath real, privileges::follow(fs::absolute(*java)));
      needs.push_back({.path = fs::absolute(*java)});
      needs.push_back({.path = real.path.parent_path().parent_path()});
    }
  }
  return needs;
}

/// The certificates and keys that kafka.client names; in it, relative paths become absolute.
base::Result<std::vector<privileges::Need>> needs_of_kafka_client(Settings& settings) {
  std::vector<privileges::Need> needs;
  if (settings.event_log_kind != "kafka") return needs;
  MILLRACE_TRY_ASSIGN(const auto client, parse_client_settings(settings.kafka_client));
  settings.kafka_client.clear();
  for (auto [name, value] : client) {
    std::error_code error;
    if (name.ends_with(".location") && fs::exists(value, error)) {
      MILLRACE_TRY(make_absolute(value));
      needs.push_back({.path = value});
    }
    settings.kafka_client += fmt::format("{}{}={}", settings.kafka_client.empty() ? "" : ";", name, value);
  }
  return needs;
}

}  // namespace

base::Result<void> become_unprivileged(Settings& settings, bool brings_servers) {
  for (std::string* path : {&settings.data_dir, &settings.log_file, &settings.clickhouse_ca_file})
    MILLRACE_TRY(make_absolute(*path));
  privileges::keep_memory_off_the_disk();
  if (::geteuid() != 0) return check_ordinary_user(settings);
  MILLRACE_TRY_ASSIGN(const privileges::User user, chosen_user(settings));
  if (user.uid == 0) {
    fmt::print(
        stderr,
        "millrace: warning: this and every server that it starts run as root (--run-as root): whoever breaks "
        "into one of them has the machine\n");
    return {};
  }
  MILLRACE_TRY_ASSIGN(std::vector<privileges::Need> needs, needs_of_kafka_client(settings));
  if (brings_servers) {
    MILLRACE_TRY(privileges::give_directory(settings.data_dir, user, kMark));
    MILLRACE_TRY_ASSIGN(const auto of_servers, needs_of_servers(settings));
    needs.insert(needs.end(), of_servers.begin(), of_servers.end());
    needs.push_back({.path = settings.data_dir, .is_writable = true});
  }
  if (!settings.clickhouse_ca_file.empty()) needs.push_back({.path = settings.clickhouse_ca_file});
  if (!settings.log_file.empty() && !(brings_servers && is_in(settings.log_file, settings.data_dir))) {
    MILLRACE_TRY(privileges::give_file(settings.log_file, user));
    needs.push_back({.path = settings.log_file, .is_writable = true});
  }
  MILLRACE_TRY(privileges::bring_within_reach(needs, user));
  return privileges::become(user);
}

}  // namespace millrace::app
