#include "app/wiring/warehouse_schema.h"

#include <embedded/kWarehouseSchema.h>

#include "base/text.h"

namespace millrace::app {

std::vector<std::string_view> split_statements(std::string_view text) {
  std::vector<std::string_view> statements;
  std::size_t start = 0;
  char quote = 0;
  bool has_words = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == '\\') {
        ++i;
      } else if (c == quote) {
        quote = 0;
      }
    } else if (c == '\'' || c == '"' || c == '`') {
      quote = c;
      has_words = true;
    } else if (text.substr(i, 2) == "--") {
      i = std::min(text.find('\n', i), text.size() - 1);
    } else if (c == ';') {
      if (has_words) statements.push_back(base::trim(text.substr(start, i - start)));
      start = i + 1;
      has_words = false;
    } else if (c != ' ' && c != '\n' && c != '\t' && c != '\r') {
      has_words = true;
    }
  }
  if (has_words) statements.push_back(base::trim(text.substr(start)));
  return statements;
}

base::Result<void> init_warehouse(ports::Warehouse& warehouse, base::Deadline deadline) {
  for (const std::string_view statement : split_statements(embedded::kWarehouseSchema))
    if (auto done = warehouse.execute(statement, {}, deadline); !done)
      return base::with_context("create the warehouse's tables", std::move(done).error());
  return {};
}

}  // namespace millrace::app
