// Port LetterBook over the MySQL protocol: table dead_letters, beside the outbox.
#pragma once

#include <memory>

#include "adapters/mysql/server_address.h"
#include "ports/letter_book.h"

namespace millrace::adapters::mysql {

/// Thread-safe. Connects when first used.
class MysqlLetterBook final : public ports::LetterBook {
 public:
  explicit MysqlLetterBook(ServerAddress address);
  ~MysqlLetterBook() override;

  base::Result<ports::HandledLetter> handle(const ports::HandledLetter& letter,
                                            const std::optional<ports::NewOutboxRow>& event,
                                            base::Deadline deadline) override;
  base::Result<std::vector<ports::HandledLetter>> handled(std::span<const ports::LetterPlace> places,
                                                          base::Deadline deadline) override;
  base::Result<void> list_handled(const std::string& topic,
                                  const std::function<void(const ports::LetterPlace&)>& on_place,
                                  base::Deadline deadline) override;
  base::Result<std::map<std::string, std::uint64_t>> handled_counts(base::Deadline deadline) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::adapters::mysql
