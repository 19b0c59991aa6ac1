#include "adapters/mysql/named_lock.h"

#include <utility>

#include <fmt/format.h>

#include "base/uuid.h"

namespace millrace::adapters::mysql {
namespace {

constexpr std::size_t kNameLengthMax = 64;

}  // namespace

std::string lock_name(std::string_view purpose, const std::string& database) {
  std::string name = fmt::format("millrace-{} {}", purpose, database);
  return name.size() <= kNameLengthMax ? name
                                       : fmt::format("millrace-{} {}", purpose, base::uuid_v5_url(name));
}

base::Result<std::unique_ptr<Connection>> connect_with_lock(const ServerAddress& address,
                                                            std::string_view purpose,
                                                            base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(auto connection,
                      Connection::open(address, address.database, Isolation::kReadCommitted, deadline));
  bool locked = false;
  const Value name = lock_name(purpose, address.database);
  MILLRACE_TRY(connection->query(
      "SELECT GET_LOCK(?, 0)", {&name, 1},
      [&](Row row) -> base::Result<void> {
        locked = row[0] == "1";
        return {};
      },
      deadline));
  if (!locked)
    return base::conflict(fmt::format("another process has the lock '{}'", std::get<std::string>(name)));
  return connection;
}

base::Result<std::unique_ptr<NamedLock>> NamedLock::acquire(const ServerAddress& address,
                                                            std::string_view purpose,
                                                            std::chrono::seconds idle_max,
                                                            base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(auto connection, connect_with_lock(address, purpose, deadline));
  MILLRACE_TRY(connection->command(fmt::format("SET SESSION wait_timeout = {}", idle_max.count()), deadline));
  return std::unique_ptr<NamedLock>(new NamedLock(std::move(connection)));
}

bool NamedLock::is_held(base::Deadline deadline) {
  // The lock lives as long as the connection does.
  return connection_->usable() && connection_->command("SELECT 1", deadline).has_value();
}

}  // namespace millrace::adapters::mysql
