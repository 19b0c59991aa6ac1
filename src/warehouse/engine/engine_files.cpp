#include "warehouse/engine/engine_files.h"

#include <link.h>

namespace millrace::warehouse {
namespace {

// Found with a trace of the engine (26.7.3) from its start over inserts, merges and queries, and of the C
// library for it. What a machine does not have is left out.
constexpr const char* kReadable[] = {
    // Of this process: memory, threads, mounts, limits. Secrets in its environment are blanked at the start.
    "/proc/self",
    // Of the machine.
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg", "/proc/uptime", "/proc/version",
    "/proc/vmstat", "/proc/filesystems", "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/max_map_count",
    "/proc/sys/kernel/osrelease", "/proc/sys/kernel/threads-max", "/proc/sys/kernel/pid_max",
    "/proc/pressure", "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage", "/dev/urandom", "/dev/random", "/dev/zero",
    // Of the C library.
    "/usr/share/zoneinfo", "/etc/localtime", "/usr/lib/locale", "/usr/share/locale",
    "/usr/lib/x86_64-linux-gnu/gconv",
    // Symbols for stack traces, where somebody has installed them.
    "/usr/lib/debug"};

}  // namespace

confinement::FileAndPortRules engine_files(const std::string& data_directory) {
  confinement::FileAndPortRules rules;
  rules.writable = {data_directory, "/dev/null"};
  rules.readable.assign(std::begin(kReadable), std::end(kReadable));
  rules.readable.emplace_back("/proc/self/exe");
  ::dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* list) {
        if (object->dlpi_name != nullptr && object->dlpi_name[0] == '/')
          static_cast<confinement::FileAndPortRules*>(list)->readable.emplace_back(object->dlpi_name);
        return 0;
      },
      &rules);
  return rules;
}

}  // namespace millrace::warehouse
