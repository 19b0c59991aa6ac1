#include "warehouse/sql/guard.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "warehouse/http/answer_format.h"
#include "warehouse/sql/definition_rules.h"
#include "warehouse/sql/statement.h"

namespace millrace::warehouse {
namespace {

constexpr std::size_t kRememberedMax = 512;
constexpr std::size_t kRememberedBytesMax = 8u << 10;  ///< Of one statement.
constexpr int kNestedDepthMax = 3;

}  // namespace

bool Guard::Memory::find(const std::string& key, StatementFacts& facts) {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(key);
  if (entry == entries_.end()) return false;
  order_.splice(order_.begin(), order_, entry->second.place);
  facts = entry->second.facts;
  return true;
}

void Guard::Memory::add(std::string key, const StatementFacts& facts) {
  if (key.size() > kRememberedBytesMax) return;
  const std::lock_guard lock(mutex_);
  if (entries_.contains(key)) return;
  if (entries_.size() >= kRememberedMax) {
    entries_.erase(order_.back());
    order_.pop_back();
  }
  order_.push_front(key);
  entries_.emplace(std::move(key), Entry{facts, order_.begin()});
}

Guard::Guard(const std::vector<std::string>& engine_functions, Printer printer, bool enforced)
    : rules_(engine_functions), printer_(std::move(printer)), enforced_(enforced) {}

base::Result<StatementFacts> Guard::check(std::string_view statement, StatementClass verdict) const {
  StatementFacts facts;
  std::string key = std::to_string(static_cast<unsigned>(verdict)) + " " + std::string(statement);
  if (memory_.find(key, facts)) return facts;
  auto printing = printer_(statement);
  // Without rules to apply, what the engine cannot print may still be run.
  if (!printing && !enforced_) printing = std::string(statement);
  MILLRACE_TRY_ASSIGN(const std::string printed, std::move(printing));
  MILLRACE_TRY_ASSIGN(const auto tokens, lex(printed));
  if (enforced_) {
    std::vector<std::string> nested;
    MILLRACE_TRY(rules_.check(tokens, verdict, nested));
    MILLRACE_TRY(check_nested(nested, 1));
  }
  facts.format = format_clause(printed);
  facts.is_select = is_select(printed);
  facts.is_framed =
      std::ranges::any_of(tokens, [](const Token& token) { return is_framing_setting(token.text); });
  memory_.add(std::move(key), facts);
  return facts;
}

base::Result<void> Guard::check_setting(std::string_view name) const {
  return enforced_ ? StatementRules::check_setting(name) : base::Result<void>{};
}

base::Result<void> Guard::check_format(std::string_view name) const {
  return enforced_ ? StatementRules::check_format(name) : base::Result<void>{};
}

std::optional<ValuesCheck> Guard::rows_check(std::string_view format, std::size_t token_bytes_max) const {
  if (!enforced_ || base::to_lower(format) != "values") return std::nullopt;
  return ValuesCheck(rules_, token_bytes_max);
}

base::Result<void> Guard::check_insert(std::string_view insert) const {
  if (!enforced_) return {};
  StatementFacts facts;
  std::string key = "insert " + std::string(insert);
  if (memory_.find(key, facts)) return {};
  // The text ends where the engine wants to read rows.
  MILLRACE_TRY_ASSIGN(const std::string printed, printer_(std::string(insert) + "\nVALUES"));
  MILLRACE_TRY_ASSIGN(const auto tokens, lex(printed));
  std::vector<std::string> nested;
  MILLRACE_TRY(rules_.check_insert(tokens, nested));
  MILLRACE_TRY(check_nested(nested, 1));
  memory_.add(std::move(key), facts);
  return {};
}

base::Result<void> Guard::check_nested(const std::vector<std::string>& texts, int depth) const {
  if (texts.empty()) return {};
  if (depth > kNestedDepthMax) return deny("the statement holds statements too deep inside of one another");
  for (const std::string& text : texts) {
    MILLRACE_TRY_ASSIGN(const std::string printed, printer_(text));
    MILLRACE_TRY_ASSIGN(const auto tokens, lex(printed));
    std::vector<std::string> nested;
    MILLRACE_TRY(rules_.check(tokens, StatementClass::kReadOnly, nested));
    MILLRACE_TRY(check_nested(nested, depth + 1));
  }
  return {};
}

}  // namespace millrace::warehouse
