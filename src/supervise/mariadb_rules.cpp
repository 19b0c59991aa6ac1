#include "supervise/mariadb_rules.h"

#include <system_error>

namespace millrace::supervise {

confinement::FileAndPortRules mariadb_rules(const std::filesystem::path& server,
                                            const std::filesystem::path& directory, std::uint16_t port) {
  confinement::FileAndPortRules rules;
  rules.writable = {directory, "/dev/null"};
  // Its libraries, plugins, messages and character sets, wherever they are installed: Debian has them under
  // /usr.
  rules.readable = {"/usr",
                    "/lib",
                    "/lib64",
                    "/etc/ld.so.cache",
                    "/etc/ld.so.preload",
                    "/etc/localtime",
                    "/etc/ssl/openssl.cnf",
                    "/dev/urandom",
                    "/sys/devices/system",
                    "/sys/block"};
  std::error_code error;
  const std::filesystem::path installed =
      std::filesystem::canonical(server, error).parent_path().parent_path();
  if (!error && installed.has_relative_path()) rules.readable.push_back(installed);
  // The kernel runs the program by the dynamic loader, which needs the right, too.
  rules.executable = {server, "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"};
  rules.bound_ports = {port};
  return rules;
}

}  // namespace millrace::supervise
