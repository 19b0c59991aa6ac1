#include "verify/rows.h"

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::verify {

std::string OrderRow::day() const {
  return columns[kOrderDateColumn].value_or("").substr(0, 10);
}

base::Result<OrderRow> read_order_row(std::span<const std::optional<std::string_view>> fields) {
  if (fields.size() < kOrderColumns + 1 || !fields[0])
    return base::invalid("an order row has too few fields");
  OrderRow row;
  row.id = *fields[0];
  for (std::size_t i = 0; i < kOrderColumns; ++i) {
    if (fields[i + 1]) row.columns[i] = std::string(*fields[i + 1]);
  }
  if (auto& total = row.columns[kTotalColumn]) {
    // Anything that is no amount of cents stays as it is and is shown as a difference.
    if (const auto cents = parse_decimal(*total, 2)) total = decimal_text(*cents, 2);
  }
  const auto version = base::parse_int<std::uint64_t>(row.columns[kVersionColumn].value_or(""));
  if (!version)
    return base::invalid(fmt::format("order {} has no numeric version", base::printable(row.id, 80)));
  row.version = *version;
  return row;
}

}  // namespace millrace::verify
