// Decides about each statement from outside before the engine runs it. It is the second line: what a
// statement gets past it still meets the confinement of the process (ADR-023). Why it reads what the engine
// prints: ADR-024.
#pragma once

#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "warehouse/sql/statement_rules.h"
#include "warehouse/sql/values_check.h"

namespace millrace::warehouse {

/// What the request handler needs to know of a statement, read from the engine's own print of it.
struct StatementFacts {
  std::string format;      ///< Of its FORMAT clause; empty: none.
  bool is_select = false;  ///< Its answer can be taken in pieces.
  bool is_framed = false;  ///< A setting in it makes a framed document of its rows.
};

/// Thread-safe after construction, if the printer is.
class Guard {
 public:
  /// Gives a statement as the engine prints it back (formatQuery): without comments, with plain blanks and
  /// quotes. Errors: kInvalid (the engine cannot read it).
  using Printer = std::function<base::Result<std::string>(std::string_view)>;

  /// `engine_functions`: as StatementRules. Not `enforced`, everything passes (guard_switch.h).
  Guard(const std::vector<std::string>& engine_functions, Printer printer, bool enforced = true);

  /// Errors: those of StatementRules, and of the printer.
  [[nodiscard]] base::Result<StatementFacts> check(std::string_view statement, StatementClass verdict) const;

  /// The same for the text of an INSERT without its rows.
  [[nodiscard]] base::Result<void> check_insert(std::string_view insert) const;

  /// As StatementRules.
  [[nodiscard]] base::Result<void> check_setting(std::string_view name) const;
  [[nodiscard]] base::Result<void> check_format(std::string_view name) const;

  /// What the rows of an INSERT in the format must go through; nothing, if they are data and nothing else.
  /// The guard must outlive it. `token_bytes_max`: as ValuesCheck.
  [[nodiscard]] std::optional<ValuesCheck> rows_check(std::string_view format,
                                                      std::size_t token_bytes_max) const;

 private:
  [[nodiscard]] base::Result<void> check_nested(const std::vector<std::string>& texts, int depth) const;

  /// What was allowed lately: clients send the same few statements again and again, and a verdict depends on
  /// nothing but the text.
  class Memory {
   public:
    [[nodiscard]] bool find(const std::string& key, StatementFacts& facts);
    void add(std::string key, const StatementFacts& facts);

   private:
    using Order = std::list<std::string>;
    struct Entry {
      StatementFacts facts;
      Order::iterator place;
    };
    std::mutex mutex_;
    Order order_;                                     // guarded by mutex_; the latest first
    std::unordered_map<std::string, Entry> entries_;  // guarded by mutex_
  };

  StatementRules rules_;
  Printer printer_;
  bool enforced_;
  mutable Memory memory_;
};

}  // namespace millrace::warehouse
