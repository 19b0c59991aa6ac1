// What the passes of a verification hand to one another: the rows that differ so far.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "verify/comparison.h"
#include "verify/report.h"
#include "verify/rows.h"
#include "verify/view.h"

namespace millrace::verify {

/// What one table has come to: its numbers, and the rows to be checked again with their latest verdict.
template <class KeyType>
struct Table {
  TableReport report;
  std::map<KeyType, Verdict> candidates;
  std::uint64_t overflow = 0;  ///< Rows that differed and found no place among the candidates.
  std::vector<Difference> lines;
};

using OrderTable = Table<std::string>;
using ViewTable = Table<Key>;

struct Candidates {
  OrderTable orders;
  std::array<ViewTable, kViews> views;

  Candidates() {
    orders.report.name = "orders";
    for (const View& view : all_views()) of(view).report.name = view.name;
  }
  [[nodiscard]] ViewTable& of(const View& view) { return views[static_cast<std::size_t>(view.id)]; }
  /// Rows of all tables.
  [[nodiscard]] std::uint64_t size() const {
    std::uint64_t rows = orders.candidates.size();
    for (const ViewTable& table : views) rows += table.candidates.size();
    return rows;
  }
  [[nodiscard]] bool has_view_keys() const {
    return std::ranges::any_of(views, [](const ViewTable& table) { return !table.candidates.empty(); });
  }
};

template <class KeyType, class Value>
[[nodiscard]] std::vector<KeyType> keys_of(const std::map<KeyType, Value>& map) {
  std::vector<KeyType> keys;
  keys.reserve(map.size());
  for (const auto& [key, value] : map) keys.push_back(key);
  return keys;
}

/// nullptr when it is not there.
template <class Row, class KeyType>
[[nodiscard]] const Row* find(const std::map<KeyType, Row>& rows, const KeyType& key) {
  const auto found = rows.find(key);
  return found == rows.end() ? nullptr : &found->second;
}

}  // namespace millrace::verify
