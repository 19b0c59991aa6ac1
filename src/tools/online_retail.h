// The Online Retail file (UCI, doi:10.24432/C5BW33) as a history of orders: what its invoices mean here. Pure
// but for the source.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/utc_time.h"
#include "domain/money.h"
#include "domain/order.h"
#include "tools/byte_source.h"

namespace millrace::tools {

/// What became of an order in the history.
enum class Fate { kKept, kRefunded, kDeleted };

struct RetailProduct {
  std::string code;     ///< Upper case.
  std::string name;     ///< The first description of that code that is not empty; without one, the code.
  domain::Money price;  ///< Of its first line in an order, in cents: what the catalogue shows.
  base::UtcTime since;  ///< Date of its first line.
};

struct RetailLine {
  std::size_t product = 0;  ///< Index into RetailHistory::products.
  std::int64_t quantity = 0;
  domain::Money price;  ///< Per unit.
};

struct RetailOrder {
  std::string invoice_no;
  std::string customer;  ///< Empty: not known.
  std::string country;
  base::UtcTime created_at;
  std::vector<RetailLine> lines;
  Fate fate = Fate::kKept;
};

/// An invoice that takes goods back.
struct RetailReturn {
  std::string invoice_no;
  std::string customer;  ///< Empty: not known.
  base::UtcTime date;
  std::map<std::size_t, std::int64_t>
      quantities;  ///< Returned units of each product, 1 or more. May be empty.
};

/// Index into the orders, and what the return makes of that order.
struct RetailMatch {
  std::size_t order = 0;
  Fate fate = Fate::kRefunded;
};

/// What of the file is no order, by reason.
struct RetailSkips {
  std::uint64_t adjustment_lines = 0;        ///< Of invoices that are neither all digits nor begin with C.
  std::uint64_t quantity_lines = 0;          ///< Of all-digit invoices: quantity not above 0.
  std::uint64_t price_lines = 0;             ///< Of all-digit invoices: quantity above 0, unit price not.
  std::uint64_t return_lines = 0;            ///< Of C invoices: quantity not below 0.
  std::uint64_t invoices_without_items = 0;  ///< All-digit invoices of which no line is left.
};

struct RetailHistory {
  std::uint64_t lines_read = 0;  ///< Without the header.
  std::uint64_t lines = 0;       ///< That became order lines.
  std::vector<RetailProduct> products;
  std::vector<RetailOrder> orders;   ///< By (date, number).
  std::vector<RetailMatch> matches;  ///< In the order of their returns; an order stands here at most once.
  std::uint64_t returns = 0;         ///< C invoices.
  std::uint64_t unmatched = 0;       ///< Of those, for which no order was found.
  RetailSkips skips;
};

/// Reads and checks the whole file and works its returns out. In memory lies the history itself, about a
/// third of the unpacked file; nothing else grows with it. Errors: kInvalid, "line 1234: quantity 'x' is not
/// a whole number"; those of the source. Columns are found by their names in the header; others are ignored.
[[nodiscard]] base::Result<RetailHistory> read_online_retail(ByteSource& source);

/// Which return undoes which order: by (date, number), each return takes the same known customer's latest
/// strictly earlier order (ties: the higher number) that no earlier return took and that holds every returned
/// product in at least the returned quantity, summed per product. All quantities of the order returned:
/// kDeleted; some: kRefunded. Sets the fates of the orders, which lie by (date, number). A return without
/// quantities or customer matches nothing.
[[nodiscard]] std::vector<RetailMatch> match_returns(std::vector<RetailOrder>& orders,
                                                     std::vector<RetailReturn> returns);

/// "or-12345", "or-guest".
[[nodiscard]] domain::UserId retail_user_id(const RetailOrder& order);
/// "or-85123A".
[[nodiscard]] domain::ProductId retail_product_id(const RetailProduct& product);
/// UUIDv5 (URL namespace) of "millrace:online-retail:<invoice_no>".
[[nodiscard]] domain::OrderId retail_order_id(const RetailOrder& order);
/// The order as it was when it was made: DELIVERED, paid by bank transfer.
[[nodiscard]] domain::OrderImage retail_image(const RetailHistory& history, const RetailOrder& order);

}  // namespace millrace::tools
