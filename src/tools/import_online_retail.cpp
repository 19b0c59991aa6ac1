#include "tools/import_online_retail.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/deadline.h"
#include "base/text_table.h"
#include "tools/dispatcher.h"

namespace millrace::tools {
namespace {

using base::ErrorKind;
using base::Result;
using ordering::Outcome;
using Clock = base::Deadline::Clock;

class Importer {
 public:
  Importer(ByteSource& source, const ImportOptions& options, const SubmitCommand& submit,
           const base::StopSignal& stop, const OnImportProgress& on_progress)
      : source_(source),
        options_(options),
        on_progress_(on_progress),
        dispatcher_("import", options, submit, stop) {}

  Result<ImportReport> run() {
    begin_phase(ImportPhase::kReading, 0, 0);
    MILLRACE_TRY_ASSIGN(history_, read_online_retail(source_));
    report_.unmatched = history_.unmatched;
    report_.skips = history_.skips;
    show(true);
    MILLRACE_TRY_ASSIGN(const bool all_recorded, record_orders());
    if (all_recorded) {
      MILLRACE_TRY_ASSIGN(const bool all_returned, execute_returns());
      report_.stopped = !all_returned;
    } else {
      report_.stopped = true;
    }
    report_.elapsed = elapsed_since(began_at_);
    return report_;
  }

 private:
  /// How an order stood when its recording was answered.
  enum class State : char { kAsMade, kAlreadyDone, kOtherwise };

  void begin_phase(ImportPhase phase, std::size_t total, std::uint64_t lines_total) {
    progress_ = {};
    progress_.phase = phase;
    progress_.total = total;
    progress_.lines_total = lines_total;
    phase_began_at_ = Clock::now();
    show(true);
  }

  void show(bool even_if_soon) {
    if (!on_progress_ || (!even_if_soon && elapsed_since(shown_at_) < options_.progress_interval)) return;
    shown_at_ = Clock::now();
    progress_.elapsed = elapsed_since(phase_began_at_);
    progress_.waiting_for = dispatcher_.waiting_for();
    on_progress_(progress_);
  }

  Result<bool> record_orders() {
    begin_phase(ImportPhase::kOrders, history_.orders.size(), history_.lines);
    states_.assign(history_.orders.size(), State::kOtherwise);
    product_stored_.assign(history_.products.size(), false);
    auto finished = dispatcher_.run(
        history_.orders.size(), [this](std::size_t i) { return record_command(history_.orders[i]); },
        [this](std::size_t i, Result<Outcome> answer) { return on_recorded(i, std::move(answer)); },
        [this] { show(false); });
    show(true);
    return finished;
  }

  ordering::Command record_command(const RetailOrder& order) const {
    ordering::ImportOrder command;
    command.order.image = retail_image(history_, order);
    command.order.shipping_address = order.country;
    command.order.updated_at = order.created_at;
    const domain::OrderImage& image = command.order.image;
    command.user.id = image.user_id;
    command.user.email = image.user_email;
    command.user.name = order.customer.empty() ? "Guest" : "Customer " + order.customer;
    command.user.created_at = command.user.updated_at = order.created_at;

    // The 4,000 products would else travel 130 times each.
    std::vector<std::size_t> products;
    for (const RetailLine& line : order.lines)
      if (!product_stored_[line.product]) products.push_back(line.product);
    std::ranges::sort(products);
    const auto repeats = std::ranges::unique(products);
    products.erase(repeats.begin(), repeats.end());
    for (const std::size_t index : products) {
      const RetailProduct& product = history_.products[index];
      command.products.push_back({.id = retail_product_id(product),
                                  .name = product.name,
                                  .description = product.name,
                                  .price = product.price,
                                  .category = "online-retail",
                                  .image_url = "",
                                  .is_active = true,
                                  .created_at = product.since,
                                  .updated_at = product.since});
    }
    return command;
  }

  Result<void> on_recorded(std::size_t i, Result<Outcome> answer) {
    const RetailOrder& order = history_.orders[i];
    if (!answer) return failed(order, "cannot be recorded", std::move(answer).error());
    for (const RetailLine& line : order.lines) product_stored_[line.product] = true;
    const ports::StoredOrder& stored = answer->order;
    const bool refunded = stored.image.status == domain::OrderStatus::kRefunded;
    if (stored.deleted_at ? order.fate == Fate::kDeleted : refunded && order.fate == Fate::kRefunded) {
      states_[i] = State::kAlreadyDone;
    } else if (!stored.deleted_at && stored.image.status == domain::OrderStatus::kDelivered) {
      states_[i] = State::kAsMade;
    }
    ++report_.orders;
    report_.lines += order.lines.size();
    if (answer->changed) ++report_.orders_new;
    ++progress_.done;
    progress_.lines_done += order.lines.size();
    return {};
  }

  Result<bool> execute_returns() {
    begin_phase(ImportPhase::kReturns, history_.matches.size(), 0);
    std::vector<RetailMatch> open;
    for (const RetailMatch& match : history_.matches) {
      if (states_[match.order] == State::kAsMade) {
        open.push_back(match);
        continue;
      }
      ++progress_.done;
      if (states_[match.order] == State::kOtherwise) {
        ++report_.left_alone;
      } else {
        count(match.fate);
      }
    }
    auto finished = dispatcher_.run(
        open.size(), [&](std::size_t i) { return return_command(open[i]); },
        [&](std::size_t i, Result<Outcome> answer) { return on_returned(open[i], std::move(answer)); },
        [this] { show(false); });
    show(true);
    return finished;
  }

  ordering::Command return_command(const RetailMatch& match) const {
    const domain::OrderId id = retail_order_id(history_.orders[match.order]);
    if (match.fate == Fate::kDeleted)
      return ordering::DeleteOrder{
          .order_id = id, .admin_id = std::string(kImportAdminId), .traceparent = ""};
    ordering::ChangeOrder change;
    change.order_id = id;
    change.status = domain::OrderStatus::kRefunded;
    change.payment_status = domain::PaymentStatus::kRefunded;
    return change;
  }

  Result<void> on_returned(const RetailMatch& match, Result<Outcome> answer) {
    ++progress_.done;
    if (answer) {
      count(match.fate);
      if (answer->changed) ++report_.changes_new;
      return {};
    }
    if (answer.error().kind == ErrorKind::kConflict || answer.error().kind == ErrorKind::kNotFound) {
      // Deleted by somebody else since it was recorded.
      ++report_.left_alone;
      return {};
    }
    return failed(history_.orders[match.order], "cannot be taken back", std::move(answer).error());
  }

  void count(Fate fate) { ++(fate == Fate::kDeleted ? report_.deleted : report_.refunded); }

  static std::unexpected<base::Error> failed(const RetailOrder& order, std::string_view what,
                                             base::Error error) {
    return base::with_context(fmt::format("invoice {} {}", order.invoice_no, what), std::move(error));
  }

  ByteSource& source_;
  const ImportOptions& options_;
  const OnImportProgress& on_progress_;
  Dispatcher dispatcher_;
  RetailHistory history_;
  std::vector<State> states_;         // of history_.orders
  std::vector<bool> product_stored_;  // of history_.products: in the order store for certain
  ImportReport report_;
  ImportProgress progress_;
  const Clock::time_point began_at_ = Clock::now();
  Clock::time_point phase_began_at_ = began_at_;
  Clock::time_point shown_at_ = began_at_;
};

}  // namespace

Result<ImportReport> import_online_retail(ByteSource& source, const ImportOptions& options,
                                          const SubmitCommand& submit, const base::StopSignal& stop,
                                          const OnImportProgress& on_progress) {
  return Importer(source, options, submit, stop, on_progress).run();
}

std::string to_text(const ImportReport& report) {
  base::TextTable table("lrl");
  const auto row = [&](std::string_view what, std::uint64_t count, std::string remark = {}) {
    table.add_row({fmt::format("  {}", what), std::to_string(count), std::move(remark)});
  };
  row("orders", report.orders, fmt::format("{} of them new", report.orders_new));
  row("lines", report.lines);
  row("deleted", report.deleted);
  row("refunded", report.refunded, fmt::format("deleted and refunded: {} new", report.changes_new));
  row("unmatched returns", report.unmatched);
  if (report.left_alone > 0) row("returns left alone (the order was changed since)", report.left_alone);
  row("skipped lines: quantity not above 0", report.skips.quantity_lines);
  row("skipped lines: price not above 0", report.skips.price_lines);
  row("skipped lines: adjustment invoices", report.skips.adjustment_lines);
  row("skipped lines: returns without a negative quantity", report.skips.return_lines);
  row("skipped invoices: no line left", report.skips.invoices_without_items);
  table.add_row({"  seconds", fmt::format("{:.1f}", static_cast<double>(report.elapsed.count()) / 1e3)});
  if (report.stopped) table.add_line("  stopped before the end; run it again to go on");
  return table.text();
}

}  // namespace millrace::tools
