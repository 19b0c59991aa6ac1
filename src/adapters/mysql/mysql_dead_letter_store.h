// Port DeadLetterStore over the MySQL protocol: table dead_letters, beside the outbox.
#pragma once

#include <memory>

#include "adapters/mysql/server_address.h"
#include "ports/dead_letter_store.h"

namespace millrace::adapters::mysql {

/// Thread-safe. Connects when first used.
class MysqlDeadLetterStore final : public ports::DeadLetterStore {
 public:
  explicit MysqlDeadLetterStore(ServerAddress address);
  ~MysqlDeadLetterStore() override;

  base::Result<ports::HandledDeadLetter> handle(const ports::HandledDeadLetter& letter,
                                                const std::optional<ports::NewOutboxRow>& event,
                                                base::Deadline deadline) override;
  base::Result<std::vector<ports::HandledDeadLetter>> handled(
      std::span<const ports::DeadLetterPosition> places, base::Deadline deadline) override;
  base::Result<void> list_handled(const std::string& topic,
                                  const std::function<void(const ports::DeadLetterPosition&)>& on_place,
                                  base::Deadline deadline) override;
  base::Result<std::map<std::string, std::uint64_t>> handled_counts(base::Deadline deadline) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::adapters::mysql
