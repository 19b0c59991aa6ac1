#include "warehouse/sql/catalog.h"

#include <embedded/kDatabaseEngines.h>
#include <embedded/kDictionaryLayouts.h>
#include <embedded/kDictionarySources.h>
#include <embedded/kFormats.h>
#include <embedded/kFunctions.h>
#include <embedded/kMergeTreeSettings.h>
#include <embedded/kSettings.h>
#include <embedded/kTableEngines.h>
#include <embedded/kTableFunctions.h>

#include "base/assert.h"
#include "base/text.h"

namespace millrace::warehouse {
namespace {

constexpr std::string_view kAllowedHead = "[allowed]";
constexpr std::string_view kRefusedHead = "[refused] ";

}  // namespace

NameList::NameList(std::string_view text) {
  std::string reason;
  bool in_section = false;
  while (!text.empty()) {
    const auto line_end = std::min(text.find('\n'), text.size());
    std::string_view line = base::trim(text.substr(0, line_end));
    text.remove_prefix(std::min(line_end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '[') {
      MILLRACE_ASSERT(line == kAllowedHead || line.starts_with(kRefusedHead));
      reason = line == kAllowedHead ? "" : std::string(line.substr(kRefusedHead.size()));
      in_section = true;
      continue;
    }
    MILLRACE_ASSERT(in_section);
    while (!line.empty()) {
      const auto name_end = std::min(line.find(' '), line.size());
      // Where names differ in their case alone, the stricter verdict counts.
      if (name_end > 0) {
        const auto [entry, fresh] = entries_.try_emplace(base::to_lower(line.substr(0, name_end)), reason);
        if (!fresh && entry->second.empty()) entry->second = reason;
      }
      line.remove_prefix(std::min(name_end + 1, line.size()));
    }
  }
}

NameList::Verdict NameList::verdict(std::string_view name) const {
  const auto entry = entries_.find(base::to_lower(name));
  if (entry == entries_.end()) return Verdict::kUnknown;
  return entry->second.empty() ? Verdict::kAllowed : Verdict::kRefused;
}

std::string_view NameList::reason(std::string_view name) const {
  const auto entry = entries_.find(base::to_lower(name));
  return entry == entries_.end() ? std::string_view{} : std::string_view(entry->second);
}

const Catalog& catalog() {
  static const Catalog all{NameList(embedded::kSettings),         NameList(embedded::kMergeTreeSettings),
                           NameList(embedded::kFunctions),        NameList(embedded::kTableFunctions),
                           NameList(embedded::kFormats),          NameList(embedded::kTableEngines),
                           NameList(embedded::kDatabaseEngines),  NameList(embedded::kDictionarySources),
                           NameList(embedded::kDictionaryLayouts)};
  return all;
}

}  // namespace millrace::warehouse
