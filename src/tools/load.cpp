#include "tools/load.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <iterator>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/backoff.h"
#include "base/json.h"
#include "base/text.h"
#include "base/url.h"
#include "tools/visible_orders.h"

namespace millrace::tools {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kCallTimeout{10'000};
constexpr std::chrono::milliseconds kWatchPause{2};
constexpr std::chrono::milliseconds kVisibleTimeout{30'000};
constexpr std::size_t kSamplesMax = 1'000'000;

double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

Percentiles percentiles(std::vector<double>& samples_ms) {
  if (samples_ms.empty()) return {};
  std::ranges::sort(samples_ms);
  const auto at = [&](double share) {
    const auto index = static_cast<std::size_t>(share * static_cast<double>(samples_ms.size()));
    return samples_ms[std::min(samples_ms.size() - 1, index)];
  };
  return {at(0.5), at(0.9), at(0.99), samples_ms.back(), samples_ms.size()};
}

/// Those of the sample shop, if it is there: imported customers and products are history.
void keep_sample(std::vector<std::string>& ids, std::string_view prefix) {
  std::vector<std::string> sample;
  std::ranges::copy_if(ids, std::back_inserter(sample),
                       [&](const std::string& id) { return id.starts_with(prefix); });
  if (!sample.empty()) ids = std::move(sample);
}

class Load {
 public:
  Load(ports::HttpClient& client, ports::Warehouse* watch, const LoadOptions& options,
       const base::StopSignal& stop)
      : client_(client), watch_(watch), options_(options), stop_(stop) {}

  base::Result<LoadReport> run() {
    if (!(options_.orders_per_second > 0) || options_.workers == 0 || options_.delete_share < 0 ||
        options_.delete_share > 1)
      return base::invalid(
          "the rate and the number of workers must be above 0, the share of deletions from 0 to 1");
    MILLRACE_TRY(learn_catalogue());
    if (watch_ != nullptr) {
      MILLRACE_TRY_ASSIGN(const std::uint64_t counted_before, count_visible());
      unseen_.emplace(counted_before, kSamplesMax);
    }
    start_ = Clock::now();
    std::vector<std::thread> workers;
    for (std::size_t i = 0; i < options_.workers; ++i)
      workers.emplace_back([this, i] { work(options_.seed + i); });
    std::thread watcher;
    if (watch_ != nullptr) watcher = std::thread([this] { watch(); });
    for (std::thread& worker : workers) worker.join();
    const auto sent = Clock::now();
    all_sent_ = true;
    if (watcher.joinable()) watcher.join();

    LoadReport report = report_;
    report.seconds = ms_between(start_, sent) / 1'000;
    report.accept = percentiles(accept_ms_);
    report.visible = percentiles(visible_ms_);
    return report;
  }

 private:
  base::Result<std::vector<std::string>> ids_at(const std::string& path) {
    const ports::HttpCall call{.method = "GET", .url = options_.api_url + path, .headers = {}, .body = {}};
    MILLRACE_TRY_ASSIGN(const auto answer, client_.send(call, base::Deadline::in(kCallTimeout)));
    if (answer.status != 200)
      return base::unavailable(fmt::format("GET {} answered {}", path, answer.status));
    MILLRACE_TRY_ASSIGN(const auto document, base::parse_json(answer.body));
    std::vector<std::string> ids;
    if (document.is_array())
      for (const auto& entry : document.get_array())
        if (entry.is_object())
          if (const auto id = base::string_member(entry.get_object(), "id")) ids.emplace_back(*id);
    if (ids.empty()) return base::unavailable(fmt::format("GET {} names none", path));
    return ids;
  }

  base::Result<void> learn_catalogue() {
    base::Backoff backoff(std::chrono::milliseconds(50), std::chrono::milliseconds(1'000));
    const auto deadline = base::Deadline::in(kCallTimeout);
    for (;;) {
      auto users = ids_at("/api/users");
      auto products = ids_at("/api/products");
      if (users && products) {
        users_ = std::move(*users);
        products_ = std::move(*products);
        break;
      }
      if (deadline.passed() || stop_.wait_for(backoff.next()))
        return base::with_context("the shop's users and products", users ? products.error() : users.error());
    }
    keep_sample(users_, "user-");
    keep_sample(products_, "prod-");
    restock();
    return {};
  }

  void restock() {
    const std::string body = fmt::format(R"({{"quantity":{}}})", options_.stock_level);
    for (const std::string& product : products_) {
      const ports::HttpCall call{.method = "PATCH",
                                 .url = options_.api_url + "/api/inventory/" + base::percent_encoded(product),
                                 .headers = {{"Content-Type", "application/json"}},
                                 .body = body};
      const auto answer = client_.send(call, base::Deadline::in(kCallTimeout));
      if (!answer || answer->status != 200) spdlog::warn("load: the stock of {} could not be set", product);
    }
  }

  std::string order_body(std::mt19937_64& random) const {
    std::string body;
    base::JsonWriter out(body);
    out.begin_object().key("userId").string(users_[random() % users_.size()]).key("items").begin_array();
    std::vector<std::size_t> chosen;
    for (std::size_t i = 0, lines = 1 + random() % 3; i < lines; ++i) {
      const std::size_t product = random() % products_.size();
      if (std::ranges::find(chosen, product) != chosen.end()) continue;
      chosen.push_back(product);
      out.begin_object().key("productId").string(products_[product]);
      out.key("quantity").number(static_cast<std::int64_t>(1 + random() % 3)).end_object();
    }
    out.end_array().key("shippingAddress").string("1 Mill Lane").end_object();
    return body;
  }

  void work(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto interval = std::chrono::duration<double>(1 / options_.orders_per_second);
    while (!stop_.requested()) {
      const auto ticket = static_cast<double>(next_ticket_++);
      const auto due = start_ + std::chrono::duration_cast<Clock::duration>(interval * ticket);
      if (options_.duration.count() > 0 && due >= start_ + options_.duration) return;
      const auto now = Clock::now();
      if (due > now && stop_.wait_for(std::chrono::ceil<std::chrono::milliseconds>(due - now))) return;
      send_order(random, due);
      delete_due_order();
    }
  }

  void send_order(std::mt19937_64& random, Clock::time_point due) {
    const std::string body = order_body(random);
    const ports::HttpCall call{.method = "POST",
                               .url = options_.api_url + "/api/orders",
                               .headers = {{"Content-Type", "application/json"}},
                               .body = body};
    const auto sent_at = Clock::now();
    const auto answer = client_.send(call, base::Deadline::in(kCallTimeout));
    const auto answered_at = Clock::now();
    bool out_of_stock = false;
    {
      const std::lock_guard lock(mutex_);
      report_.schedule_slip_ms_max = std::max(report_.schedule_slip_ms_max, ms_between(due, sent_at));
      if (!answer) {
        ++report_.failed;
      } else if (answer->status != 201) {
        ++report_.refused;
        out_of_stock = answer->status == 409;
      } else {
        accepted(answer->body, sent_at, answered_at, random);
      }
    }
    if (out_of_stock) restock();
  }

  /// Called with the mutex held.
  void accepted(const std::string& body, Clock::time_point sent_at, Clock::time_point answered_at,
                std::mt19937_64& random) {
    ++report_.accepted;
    // The demo runs for days: only the later half of the samples is kept then.
    if (accept_ms_.size() >= kSamplesMax)
      accept_ms_.erase(accept_ms_.begin(), accept_ms_.begin() + kSamplesMax / 2);
    accept_ms_.push_back(ms_between(sent_at, answered_at));
    if (unseen_) unseen_->on_created(answered_at);
    if (std::uniform_real_distribution<double>(0, 1)(random) >= options_.delete_share) return;
    const auto document = base::parse_json(body);
    if (!document || !document->is_object()) return;
    if (const auto id = base::string_member(document->get_object(), "id"))
      to_delete_.emplace_back(answered_at + options_.delete_delay, *id);
  }

  void delete_due_order() {
    std::string id;
    {
      const std::lock_guard lock(mutex_);
      if (to_delete_.empty() || to_delete_.front().first > Clock::now()) return;
      id = std::move(to_delete_.front().second);
      to_delete_.pop_front();
    }
    const ports::HttpCall call{.method = "DELETE",
                               .url = options_.api_url + "/api/admin/orders/" + id,
                               .headers = {{"X-Admin-Id", "load"}},
                               .body = {}};
    const auto answer = client_.send(call, base::Deadline::in(kCallTimeout));
    const std::lock_guard lock(mutex_);
    if (!answer || answer->status >= 500) {
      // It may have been carried out: the next answer tells.
      to_delete_.emplace_back(Clock::now() + options_.delete_delay, std::move(id));
    } else if (answer->status == 204 || answer->status == 404) {
      ++report_.deleted;
      if (unseen_) unseen_->on_deleted();
    }
  }

  base::Result<std::uint64_t> count_visible() {
    constexpr std::string_view kCount =
        "SELECT sum(order_count) FROM analytics.order_status_mv WHERE order_date >= yesterday()";
    MILLRACE_TRY_ASSIGN(const std::string answer,
                        watch_->query(kCount, "TabSeparated", {}, base::Deadline::in(kCallTimeout)));
    const auto count = base::parse_int<std::uint64_t>(base::trim(answer));
    if (!count) return base::unavailable("the warehouse's count is not a number");
    return *count;
  }

  void watch() {
    std::optional<base::Deadline> give_up;
    for (;;) {
      const bool all_sent = all_sent_;
      if (all_sent && !give_up) give_up = base::Deadline::in(kVisibleTimeout);
      const auto count = count_visible();
      const auto now = Clock::now();
      {
        const std::lock_guard lock(mutex_);
        if (count) {
          const auto waited = unseen_->on_count(*count, now, all_sent);
          if (visible_ms_.size() < kSamplesMax)
            visible_ms_.insert(visible_ms_.end(), waited.begin(), waited.end());
        }
        if (give_up && (unseen_->waiting() == 0 || give_up->passed())) return;
      }
      std::this_thread::sleep_for(kWatchPause);
    }
  }

  ports::HttpClient& client_;
  ports::Warehouse* watch_;
  const LoadOptions& options_;
  const base::StopSignal& stop_;
  std::vector<std::string> users_;
  std::vector<std::string> products_;
  Clock::time_point start_;
  std::atomic<std::uint64_t> next_ticket_{0};
  std::atomic<bool> all_sent_{false};
  std::mutex mutex_;
  LoadReport report_;                    // guarded by mutex_
  std::vector<double> accept_ms_;        // guarded by mutex_
  std::vector<double> visible_ms_;       // guarded by mutex_
  std::optional<VisibleOrders> unseen_;  // guarded by mutex_; made before the threads, and only to watch
  std::deque<std::pair<Clock::time_point, std::string>> to_delete_;  // guarded by mutex_
};

std::string to_json(const Percentiles& figures) {
  return fmt::format(R"({{"p50_ms":{:.2f},"p90_ms":{:.2f},"p99_ms":{:.2f},"max_ms":{:.2f},"samples":{}}})",
                     figures.p50_ms, figures.p90_ms, figures.p99_ms, figures.max_ms, figures.samples);
}

}  // namespace

base::Result<LoadReport> run_load(ports::HttpClient& client, ports::Warehouse* watch,
                                  const LoadOptions& options, const base::StopSignal& stop) {
  return Load(client, watch, options, stop).run();
}

std::string to_json(const LoadReport& report) {
  const double rate = report.seconds > 0 ? static_cast<double>(report.accepted) / report.seconds : 0;
  return fmt::format(
      R"({{"seconds":{:.2f},"accepted":{},"refused":{},"failed":{},"deleted":{},"orders_per_second":{:.1f},)"
      R"("schedule_slip_ms_max":{:.1f},"accept":{},"visible":{}}})",
      report.seconds, report.accepted, report.refused, report.failed, report.deleted, rate,
      report.schedule_slip_ms_max, to_json(report.accept), to_json(report.visible));
}

}  // namespace millrace::tools
