#include "verify/describe.h"

#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::verify {
namespace {

constexpr std::string_view kMissing = "missing";

std::string shown(const std::optional<std::string>& text) {
  return text ? base::printable(*text, 120) : "NULL";
}

}  // namespace

void describe_order(const std::string& id, const OrderRow* store, const OrderRow* warehouse,
                    std::vector<Difference>& lines) {
  const std::string key = base::printable(id, 80);
  if (store == nullptr || warehouse == nullptr) {
    lines.push_back({"orders", key, "", store == nullptr ? std::string(kMissing) : "has it",
                     warehouse == nullptr ? std::string(kMissing) : "has it"});
    return;
  }
  if (warehouse->repeated) lines.push_back({"orders", key, "rows", "1", "2 or more"});
  for (std::size_t i = 0; i < kOrderColumns; ++i) {
    if (store->columns[i] != warehouse->columns[i])
      lines.push_back({"orders", key, std::string(kOrderColumnNames[i]), shown(store->columns[i]),
                       shown(warehouse->columns[i])});
  }
}

void describe_view(const View& view, const Key& key, const ViewRow* store, const ViewRow* warehouse,
                   std::vector<Difference>& lines) {
  const std::string table(view.name);
  const std::string text = key_text(view, key);
  if (store == nullptr || warehouse == nullptr) {
    const auto sums = [&](const ViewRow* row) {
      if (row == nullptr) return std::string(kMissing);
      std::string all;
      for (std::size_t i = 0; i < view.measures.size(); ++i)
        all += fmt::format("{}{} {}", i == 0 ? "" : ", ", view.measures[i].column,
                           decimal_text(row->measures[i], view.measures[i].scale));
      return all;
    };
    lines.push_back({table, text, "", sums(store), sums(warehouse)});
    return;
  }
  if (warehouse->repeated) lines.push_back({table, text, "rows", "1", "2 or more"});
  for (std::size_t i = 0; i < view.measures.size(); ++i) {
    if (store->measures[i] == warehouse->measures[i]) continue;
    const Measure& measure = view.measures[i];
    lines.push_back({table, text, std::string(measure.column),
                     decimal_text(store->measures[i], measure.scale),
                     decimal_text(warehouse->measures[i], measure.scale)});
  }
  if (view.has_average) {
    const Int128 right = average_of(view, store->measures);
    if (!warehouse->average || *warehouse->average != right)
      lines.push_back({table, text, "avg_order_value", decimal_text(right, 2),
                       warehouse->average ? decimal_text(*warehouse->average, 2) : "NULL"});
  }
}

}  // namespace millrace::verify
