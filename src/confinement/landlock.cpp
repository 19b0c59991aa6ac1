#include "confinement/landlock.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace millrace::confinement {
namespace {

// What Debian 12's header does not have yet. Source: Linux 6.12, include/uapi/linux/landlock.h.
struct RulesetAttributes {
  std::uint64_t files = 0;
  std::uint64_t network = 0;
  std::uint64_t scoped = 0;
};
struct PortAttributes {
  std::uint64_t allowed = 0;
  std::uint64_t port = 0;
};
constexpr int kRulePort = 2;
constexpr std::uint64_t kTruncate = 1ULL << 14u;
constexpr std::uint64_t kDeviceControl = 1ULL << 15u;
constexpr std::uint64_t kBindTcp = 1ULL << 0u;
constexpr std::uint64_t kConnectTcp = 1ULL << 1u;
constexpr std::uint64_t kScopeAbstractSockets = 1ULL << 0u;
constexpr std::uint64_t kScopeSignals = 1ULL << 1u;

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kExecute = kRead | LANDLOCK_ACCESS_FS_EXECUTE;
constexpr std::uint64_t kWrite = kRead | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                                 LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER | kTruncate;
// Rights that a rule about a single file may name.
constexpr std::uint64_t kOfFiles = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                   LANDLOCK_ACCESS_FS_READ_FILE | kTruncate | kDeviceControl;
constexpr int kUsableVersion = 2;

/// All that a version can deny. Source: Linux, Documentation/userspace-api/landlock.rst.
RulesetAttributes handled_by(int version) {
  RulesetAttributes handled;
  handled.files = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1u) - 1;
  handled.files |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) handled.files |= kTruncate;
  if (version >= 4) handled.network = kBindTcp | kConnectTcp;
  if (version >= 5) handled.files |= kDeviceControl;
  if (version >= 6) handled.scoped = kScopeAbstractSockets | kScopeSignals;
  return handled;
}

}  // namespace

int landlock_version() {
  const long version =
      ::syscall(SYS_landlock_create_ruleset, nullptr, std::size_t{0}, LANDLOCK_CREATE_RULESET_VERSION);
  return version < kUsableVersion ? 0 : static_cast<int>(version);
}

base::Result<std::optional<Ruleset>> Ruleset::prepare(const FileAndPortRules& rules) {
  const int version = landlock_version();
  if (version == 0) return std::optional<Ruleset>();
  const RulesetAttributes handled = handled_by(version);
  const long file = ::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0u);
  if (file < 0)
    return base::fatal(fmt::format("Landlock: the kernel takes no rules: {}", std::strerror(errno)), errno);
  Ruleset made(static_cast<int>(file));
  for (const auto& path : rules.readable) MILLRACE_TRY(made.allow(path, kRead, handled.files));
  for (const auto& path : rules.executable) MILLRACE_TRY(made.allow(path, kExecute, handled.files));
  for (const auto& path : rules.writable) MILLRACE_TRY(made.allow(path, kWrite, handled.files));
  if (handled.network != 0) {
    for (const std::uint16_t port : rules.bound_ports) {
      const PortAttributes rule{.allowed = kBindTcp, .port = port};
      if (::syscall(SYS_landlock_add_rule, made.file_, kRulePort, &rule, 0u) != 0)
        return base::fatal(fmt::format("Landlock: port {}: {}", port, std::strerror(errno)), errno);
    }
  }
  return std::optional<Ruleset>(std::move(made));
}

base::Result<void> Ruleset::allow(const std::filesystem::path& path, std::uint64_t rights,
                                  std::uint64_t handled) {
  const int opened = ::open(path.c_str(), O_PATH | O_CLOEXEC);
  if (opened < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return base::fatal(fmt::format("Landlock: {}: {}", path.string(), std::strerror(errno)), errno);
  }
  // A rule is about an inode. Those of /proc are recreated once the kernel has forgotten a name; an open
  // descriptor keeps it.
  pinned_.push_back(opened);
  struct stat about{};
  if (::fstat(opened, &about) == 0 && !S_ISDIR(about.st_mode)) rights &= kOfFiles;
  landlock_path_beneath_attr rule{};
  rule.allowed_access = rights & handled;
  rule.parent_fd = opened;
  if (::syscall(SYS_landlock_add_rule, file_, LANDLOCK_RULE_PATH_BENEATH, &rule, 0u) != 0)
    return base::fatal(fmt::format("Landlock: {}: {}", path.string(), std::strerror(errno)), errno);
  return {};
}

Ruleset::~Ruleset() {
  if (file_ >= 0) ::close(file_);
  for (const int file : pinned_) ::close(file);
}

int enforce(int ruleset_file) noexcept {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  if (::syscall(SYS_landlock_restrict_self, ruleset_file, 0u) != 0) return errno;
  return 0;
}

}  // namespace millrace::confinement
