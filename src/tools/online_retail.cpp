#include "tools/online_retail.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "base/uuid.h"
#include "tools/csv.h"

namespace millrace::tools {
namespace {

using base::Result;
using domain::Money;

enum Column {
  kInvoiceNo,
  kStockCode,
  kDescription,
  kQuantity,
  kInvoiceDate,
  kUnitPrice,
  kCustomerId,
  kCountry,
  kColumns
};
constexpr std::array<std::string_view, kColumns> kColumnNames = {"invoice_no",  "stock_code",   "description",
                                                                 "quantity",    "invoice_date", "unit_price",
                                                                 "customer_id", "country"};

constexpr std::size_t kIdPrefixBytes = 3;  // "or-"
constexpr std::size_t kInvoiceNoBytesMax = 64;
constexpr std::size_t kTextBytesMax = 255;

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Sorts invoice numbers as numbers; equal ones of different spelling by their text.
std::tuple<std::size_t, std::string_view, std::string_view> number_key(std::string_view invoice_no) {
  std::string_view digits = invoice_no;
  digits.remove_prefix(std::min(digits.find_first_not_of("C0"), digits.size()));
  return {digits.size(), digits, invoice_no};
}

template <class Invoice>
bool is_earlier(base::UtcTime date_a, const Invoice& a, base::UtcTime date_b, const Invoice& b) {
  if (date_a != date_b) return date_a < date_b;
  return number_key(a.invoice_no) < number_key(b.invoice_no);
}

enum class InvoiceKind { kSale, kReturn, kOther };

/// One line of the file, checked.
struct Row {
  std::string invoice_no;
  std::string stock_code;
  std::string description;
  std::int64_t quantity = 0;
  base::UtcTime date;
  Money price;
  std::string customer;
  std::string country;
};

/// What the lines of one invoice gather to.
struct Invoice {
  std::string invoice_no;
  InvoiceKind kind = InvoiceKind::kOther;
  std::uint64_t first_line = 0;
  std::string customer;
  std::string country;
  base::UtcTime date;
  std::vector<RetailLine> lines;                   // of a sale: its items
  std::map<std::size_t, std::int64_t> quantities;  // of a return
};

class HistoryReader {
 public:
  explicit HistoryReader(ByteSource& source) : csv_(source) {}

  Result<RetailHistory> read() {
    MILLRACE_TRY(read_header());
    for (;;) {
      MILLRACE_TRY_ASSIGN(const bool found, csv_.next());
      if (!found) break;
      ++history_.lines_read;
      MILLRACE_TRY_ASSIGN(const Row row, parse_row());
      MILLRACE_TRY(add(row));
    }
    MILLRACE_TRY(finish());
    return std::move(history_);
  }

 private:
  template <class... Arguments>
  [[nodiscard]] std::unexpected<base::Error> broken(fmt::format_string<Arguments...> text,
                                                    Arguments&&... arguments) const {
    return base::invalid(
        fmt::format("line {}: {}", csv_.line(), fmt::format(text, std::forward<Arguments>(arguments)...)));
  }

  Result<void> read_header() {
    MILLRACE_TRY_ASSIGN(const bool found, csv_.next());
    if (!found) return base::invalid("the file is empty; its first line must name the columns");
    const auto& names = csv_.fields();
    columns_in_file_ = names.size();
    for (std::size_t wanted = 0; wanted < kColumns; ++wanted) {
      const auto at = std::ranges::find(names, kColumnNames[wanted]);
      if (at == names.end())
        return broken("the column '{}' is missing; this is not the Online Retail file with a header of {}",
                      kColumnNames[wanted], fmt::join(kColumnNames, ","));
      if (std::ranges::count(names, kColumnNames[wanted]) > 1)
        return broken("the column '{}' is there more than once", kColumnNames[wanted]);
      columns_[wanted] = static_cast<std::size_t>(at - names.begin());
    }
    return {};
  }

  [[nodiscard]] std::string_view field(Column column) const { return csv_.fields()[columns_[column]]; }

  /// A text without blanks around it.
  Result<std::string> text_field(Column column, std::size_t bytes_max, bool may_be_empty) const {
    const std::string_view text = base::trim(field(column));
    if (text.empty() && !may_be_empty) return broken("{} is empty", kColumnNames[column]);
    if (text.size() > bytes_max)
      return broken("{} '{}…' is longer than {} bytes", kColumnNames[column], base::printable(text, 40),
                    bytes_max);
    const bool has_control =
        std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (has_control || !base::is_utf8(text))
      return broken("{} '{}' is not text in UTF-8 on one line", kColumnNames[column],
                    base::printable(text, 40));
    return std::string(text);
  }

  Result<Row> parse_row() const {
    if (csv_.fields().size() != columns_in_file_)
      return broken("{} fields, but the header names {} columns", csv_.fields().size(), columns_in_file_);
    Row row;
    MILLRACE_TRY_ASSIGN(row.invoice_no, text_field(kInvoiceNo, kInvoiceNoBytesMax, false));
    MILLRACE_TRY_ASSIGN(row.stock_code, text_field(kStockCode, domain::kIdLengthMax - kIdPrefixBytes, false));
    row.stock_code = base::to_upper(row.stock_code);
    MILLRACE_TRY_ASSIGN(row.description, text_field(kDescription, kTextBytesMax, true));
    MILLRACE_TRY_ASSIGN(row.customer, text_field(kCustomerId, domain::kIdLengthMax - kIdPrefixBytes, true));
    MILLRACE_TRY_ASSIGN(row.country, text_field(kCountry, kTextBytesMax, true));

    const std::string_view quantity_text = field(kQuantity);
    const auto quantity = base::parse_int<std::int64_t>(quantity_text);
    if (!quantity) return broken("quantity '{}' is not a whole number", base::printable(quantity_text, 40));
    if (*quantity > domain::kLineQuantityMax || *quantity < -domain::kLineQuantityMax)
      return broken("quantity {} is beyond {}", *quantity, domain::kLineQuantityMax);
    row.quantity = *quantity;

    auto price = Money::parse(field(kUnitPrice));
    if (!price) return broken("unit_price: {}", price.error().message);
    // Divided and not multiplied: the product may not fit.
    const std::int64_t units = std::max<std::int64_t>(1, std::abs(row.quantity));
    if (std::abs(price->units()) > domain::kAmountMax.units() / units)
      return broken("{} × {} is more than an order may come to", row.quantity, price->text4());
    row.price = *price;

    auto date = base::parse_utc(field(kInvoiceDate));
    if (!date) return broken("invoice_date: {}", date.error().message);
    row.date = *date;
    return row;
  }

  Result<void> add(const Row& row) {
    const std::size_t product = product_of(row);
    MILLRACE_TRY_ASSIGN(Invoice * invoice, invoice_of(row));
    switch (invoice->kind) {
      case InvoiceKind::kOther:
        ++history_.skips.adjustment_lines;
        break;
      case InvoiceKind::kReturn:
        if (row.quantity < 0) {
          invoice->quantities[product] -= row.quantity;
        } else {
          ++history_.skips.return_lines;
        }
        break;
      case InvoiceKind::kSale:
        if (row.quantity <= 0) {
          ++history_.skips.quantity_lines;
        } else if (row.price <= Money()) {
          ++history_.skips.price_lines;
        } else {
          if (invoice->lines.size() == domain::kOrderLinesMax)
            return broken("invoice {} has more than {} lines", row.invoice_no, domain::kOrderLinesMax);
          if (!history_.products[product].price.units())
            history_.products[product].price = row.price.rounded_to_cents();
          invoice->lines.push_back({product, row.quantity, row.price});
        }
        break;
    }
    return {};
  }

  std::size_t product_of(const Row& row) {
    const auto [entry, is_new] = product_by_code_.try_emplace(row.stock_code, history_.products.size());
    if (is_new) history_.products.push_back({row.stock_code, "", Money(), row.date});
    RetailProduct& product = history_.products[entry->second];
    if (product.name.empty()) product.name = row.description;
    return entry->second;
  }

  Result<Invoice*> invoice_of(const Row& row) {
    const auto [entry, is_new] = invoice_by_number_.try_emplace(row.invoice_no, invoices_.size());
    if (is_new) {
      const InvoiceKind kind = all_digits(row.invoice_no)        ? InvoiceKind::kSale
                               : row.invoice_no.starts_with('C') ? InvoiceKind::kReturn
                                                                 : InvoiceKind::kOther;
      invoices_.push_back({row.invoice_no, kind, csv_.line(), row.customer, row.country, row.date, {}, {}});
    }
    Invoice& invoice = invoices_[entry->second];
    if (invoice.customer != row.customer)
      return broken("invoice {} belongs to customer '{}' here and to '{}' on line {}", row.invoice_no,
                    row.customer, invoice.customer, invoice.first_line);
    invoice.date = std::min(invoice.date, row.date);
    return &invoice;
  }

  Result<void> finish() {
    std::vector<RetailReturn> returns;
    for (Invoice& invoice : invoices_) {
      if (invoice.kind == InvoiceKind::kReturn) {
        returns.push_back({std::move(invoice.invoice_no), std::move(invoice.customer), invoice.date,
                           std::move(invoice.quantities)});
      } else if (invoice.kind == InvoiceKind::kSale && invoice.lines.empty()) {
        ++history_.skips.invoices_without_items;
      } else if (invoice.kind == InvoiceKind::kSale) {
        Money total;
        for (const RetailLine& line : invoice.lines) total += line.price * line.quantity;
        if (total > domain::kAmountMax)
          return base::invalid(fmt::format("line {}: invoice {} comes to {}, more than an order may",
                                           invoice.first_line, invoice.invoice_no, total.text2()));
        history_.lines += invoice.lines.size();
        history_.orders.push_back({std::move(invoice.invoice_no), std::move(invoice.customer),
                                   std::move(invoice.country), invoice.date, std::move(invoice.lines)});
      }
    }
    for (RetailProduct& product : history_.products)
      if (product.name.empty()) product.name = product.code;
    std::ranges::sort(history_.orders, [](const RetailOrder& a, const RetailOrder& b) {
      return is_earlier(a.created_at, a, b.created_at, b);
    });
    history_.returns = returns.size();
    history_.matches = match_returns(history_.orders, std::move(returns));
    history_.unmatched = history_.returns - history_.matches.size();
    return {};
  }

  CsvReader csv_;
  std::array<std::size_t, kColumns> columns_{};
  std::size_t columns_in_file_ = 0;
  std::unordered_map<std::string, std::size_t> product_by_code_;
  std::unordered_map<std::string, std::size_t> invoice_by_number_;
  std::vector<Invoice> invoices_;
  RetailHistory history_;
};

std::map<std::size_t, std::int64_t> quantities_of(const RetailOrder& order) {
  std::map<std::size_t, std::int64_t> quantities;
  for (const RetailLine& line : order.lines) quantities[line.product] += line.quantity;
  return quantities;
}

}  // namespace

Result<RetailHistory> read_online_retail(ByteSource& source) {
  return HistoryReader(source).read();
}

std::vector<RetailMatch> match_returns(std::vector<RetailOrder>& orders, std::vector<RetailReturn> returns) {
  std::ranges::sort(
      returns, [](const RetailReturn& a, const RetailReturn& b) { return is_earlier(a.date, a, b.date, b); });
  std::unordered_map<std::string, std::vector<std::size_t>> orders_of_customer;
  for (std::size_t i = 0; i < orders.size(); ++i)
    if (!orders[i].customer.empty()) orders_of_customer[orders[i].customer].push_back(i);

  std::vector<RetailMatch> matches;
  for (const RetailReturn& taken_back : returns) {
    const auto candidates = orders_of_customer.find(taken_back.customer);
    if (candidates == orders_of_customer.end() || taken_back.quantities.empty()) continue;
    for (auto at = candidates->second.rbegin(); at != candidates->second.rend(); ++at) {
      RetailOrder& order = orders[*at];
      if (order.created_at >= taken_back.date || order.fate != Fate::kKept) continue;
      const auto held = quantities_of(order);
      const bool holds_all = std::ranges::all_of(taken_back.quantities, [&](const auto& wanted) {
        const auto product = held.find(wanted.first);
        return product != held.end() && product->second >= wanted.second;
      });
      if (!holds_all) continue;
      order.fate = held == taken_back.quantities ? Fate::kDeleted : Fate::kRefunded;
      matches.push_back({*at, order.fate});
      break;
    }
  }
  return matches;
}

domain::UserId retail_user_id(const RetailOrder& order) {
  return domain::UserId("or-" + (order.customer.empty() ? std::string("guest") : order.customer));
}

domain::ProductId retail_product_id(const RetailProduct& product) {
  return domain::ProductId("or-" + product.code);
}

domain::OrderId retail_order_id(const RetailOrder& order) {
  return domain::OrderId(base::uuid_v5_url("millrace:online-retail:" + order.invoice_no));
}

domain::OrderImage retail_image(const RetailHistory& history, const RetailOrder& order) {
  domain::OrderImage image;
  image.order_id = retail_order_id(order);
  image.user_id = retail_user_id(order);
  image.user_email = image.user_id.value() + "@online-retail.invalid";
  image.status = domain::OrderStatus::kDelivered;
  image.payment_method = domain::PaymentMethod::kBankTransfer;
  image.payment_status = domain::PaymentStatus::kCompleted;
  image.created_at = order.created_at;
  image.lines.reserve(order.lines.size());
  for (const RetailLine& line : order.lines) {
    const RetailProduct& product = history.products[line.product];
    image.lines.push_back({retail_product_id(product), product.name, line.quantity, line.price});
  }
  image.total_amount = domain::total_of(image.lines);
  return image;
}

}  // namespace millrace::tools
