// Port JobStore over the MySQL protocol: table jobs, and a named lock for who carries jobs out.
#pragma once

#include <memory>

#include "adapters/mysql/server_address.h"
#include "ports/job_store.h"

namespace millrace::adapters::mysql {

/// Thread-safe. Connects when first used. A lease holds a connection of its own, and the lock with it.
class MysqlJobStore final : public ports::JobStore {
 public:
  explicit MysqlJobStore(ServerAddress address);
  ~MysqlJobStore() override;

  base::Result<ports::Job> submit(const std::string& kind, const std::string& parameters,
                                  base::Deadline deadline) override;
  base::Result<ports::Job> job(std::uint64_t id, base::Deadline deadline) override;
  base::Result<std::vector<ports::Job>> jobs(std::size_t count_max, base::Deadline deadline) override;
  base::Result<ports::Job> request_cancel(std::uint64_t id, base::Deadline deadline) override;
  base::Result<std::unique_ptr<ports::JobLease>> acquire(base::Deadline deadline) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::adapters::mysql
