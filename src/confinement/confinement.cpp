#include "confinement/confinement.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "confinement/system_calls.h"

namespace millrace::confinement {
namespace {

base::Result<void> require_one_thread() {
  std::error_code error;
  const auto threads = std::filesystem::directory_iterator("/proc/self/task", error);
  if (error) return base::fatal(fmt::format("cannot count threads in /proc/self/task: {}", error.message()));
  if (const auto count = std::distance(begin(threads), end(threads)); count != 1)
    return base::fatal(fmt::format("{} threads run already, which Landlock would not hold", count));
  return {};
}

bool names_a_secret(std::string_view entry) {
  std::string name(entry.substr(0, entry.find('=')));
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  constexpr std::string_view kWords[] = {"PASSW", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "AUTH", "URL"};
  return std::ranges::any_of(kWords,
                             [&](std::string_view word) { return name.find(word) != std::string::npos; });
}

}  // namespace

std::string describe(const Confinement& confinement) {
  if (confinement.landlock_version == 0) return "seccomp alone";
  return fmt::format("Landlock {} and seccomp", confinement.landlock_version);
}

base::Result<Confinement> confine_this_process(const FileAndPortRules& rules) {
  MILLRACE_TRY(require_one_thread());
  // Not even into a program that takes cores by a pipe, for which a limit of 0 would not hold. Not being
  // dumpable would do the same, but would also take /proc/self/io from an engine that does not run as root.
  // Source: Linux, Documentation/admin-guide/sysctl/kernel.rst (core_pattern) and fs/coredump.c.
  rlimit core{};
  ::getrlimit(RLIMIT_CORE, &core);
  // Whoever started us may have left none at all, which cannot be raised.
  core.rlim_cur = core.rlim_max = std::min<rlim_t>(core.rlim_max, 1);
  if (::setrlimit(RLIMIT_CORE, &core) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return base::fatal(fmt::format("cannot give up core dumps and privileges: {}", std::strerror(errno)),
                       errno);

  Confinement confinement;
  MILLRACE_TRY_ASSIGN(std::optional<Ruleset> ruleset, Ruleset::prepare(rules));
  if (ruleset) {
    // Kept until the process ends: its descriptors keep the names in /proc.
    const auto* const kept = new Ruleset(std::move(*ruleset));
    if (const int code = enforce(kept->file()); code != 0)
      return base::fatal(
          fmt::format("Landlock: the kernel does not apply the rules: {}", std::strerror(code)), code);
    confinement.landlock_version = landlock_version();
  }
  MILLRACE_TRY(restrict_system_calls());
  return confinement;
}

void hide_secrets_of_environment() {
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (!names_a_secret(*entry)) continue;
    char* copy = ::strdup(*entry);
    if (copy == nullptr) return;
    // The kernel shows the pages that the process was started with, whatever `environ` points to by now.
    ::explicit_bzero(*entry, std::strlen(*entry));
    *entry = copy;
  }
}

}  // namespace millrace::confinement
