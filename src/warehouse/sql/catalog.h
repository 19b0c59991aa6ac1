// What the engine knows by name, and which of it statements from outside may use. The lists are the files in
// catalog/; whatever is not in them is refused until somebody has looked at it.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

namespace millrace::warehouse {

/// One closed list. Thread-safe after construction. Names are compared without regard to case, as the engine
/// compares many of them.
class NameList {
 public:
  /// `text`: sections "[allowed]" and "[refused] reason", with names separated by blanks and line ends; '#'
  /// begins a comment. A text that breaks this ends the program: it is part of the program.
  explicit NameList(std::string_view text);

  enum class Verdict { kAllowed, kRefused, kUnknown };
  [[nodiscard]] Verdict verdict(std::string_view name) const;
  /// Why a refused name is refused, as the end of a sentence: "reads files of the server". Empty for others.
  [[nodiscard]] std::string_view reason(std::string_view name) const;
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  std::unordered_map<std::string, std::string> entries_;  ///< Name in lower case → reason; empty: allowed.
};

/// All lists of this version of the engine.
struct Catalog {
  NameList settings;
  NameList merge_tree_settings;
  NameList functions;
  NameList table_functions;
  NameList formats;
  NameList table_engines;
  NameList database_engines;
  NameList dictionary_sources;
  NameList dictionary_layouts;
};

/// Read once, at the first call.
[[nodiscard]] const Catalog& catalog();

}  // namespace millrace::warehouse
