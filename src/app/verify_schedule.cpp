#include "app/verify_schedule.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/mysql/connection.h"
#include "adapters/mysql/mysql_sql_reader.h"
#include "adapters/system/memory.h"
#include "adapters/system/priority.h"
#include "base/exceptions.h"
#include "verify/verify.h"

namespace millrace::app {
namespace {

// A process that is started anew every half hour must be verified too.
constexpr std::chrono::milliseconds kFirstRunAfterMost{5 * 60'000};
constexpr std::size_t kDifferencesLogged = 5;
constexpr std::chrono::milliseconds kLockTimeout{10'000};
// While it runs the connection with the lock is idle.
constexpr std::chrono::milliseconds kVerificationMost{4 * 3'600'000};

std::string text_of(const verify::Difference& difference) {
  return fmt::format("{} {}{}{}: {} in the order store, {} in the warehouse", difference.table,
                     difference.key, difference.column.empty() ? "" : " ", difference.column,
                     difference.store_value, difference.warehouse_value);
}

void log_differences(const verify::VerifyReport& report) {
  std::string text;
  for (std::size_t i = 0; i < std::min(kDifferencesLogged, report.differences.size()); ++i)
    text += "; " + text_of(report.differences[i]);
  spdlog::error("verify: {} rows of the warehouse differ from the order store{}{}",
                report.differences_total(), text,
                report.differences.size() > kDifferencesLogged ? "; …" : "");
}

}  // namespace

VerifySchedule::VerifySchedule(const Settings& settings, Neighbours& neighbours)
    : settings_(settings), neighbours_(neighbours) {
  if (settings_.verify_interval > std::chrono::milliseconds(0)) thread_ = std::thread([this] { run(); });
}

VerifySchedule::~VerifySchedule() {
  stop_.request();
  if (thread_.joinable()) thread_.join();
}

VerifyState VerifySchedule::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void VerifySchedule::run() {
  adapters::system::lower_thread_priority();
  const adapters::mysql::InterruptScope interrupt(stop_);
  auto pause = std::min(settings_.verify_interval, kFirstRunAfterMost);
  while (!stop_.wait_for(pause)) {
    bool is_mine = false;
    const auto thrown = base::exception_of([&] {
      is_mine = has_lock();
      if (!is_mine) return;
      verify_once();
      adapters::system::release_free_memory();
    });
    if (thrown) spdlog::error("verify: an exception: {}", *thrown);
    pause = is_mine ? settings_.verify_interval : std::min(settings_.verify_interval, kFirstRunAfterMost);
  }
  lock_.reset();
}

bool VerifySchedule::has_lock() {
  if (lock_ && lock_->is_held(base::Deadline::in(kLockTimeout))) return true;
  lock_.reset();
  const auto idle_max =
      std::chrono::ceil<std::chrono::seconds>(settings_.verify_interval + kVerificationMost);
  auto lock = adapters::mysql::NamedLock::acquire(neighbours_.store_address, "verify", idle_max,
                                                  base::Deadline::in(kLockTimeout));
  if (!lock) {
    if (lock.error().kind != base::ErrorKind::kConflict && !stop_.requested())
      spdlog::warn("verify: could not be carried out: {}", lock.error().message);
    return false;
  }
  lock_ = std::move(*lock);
  return true;
}

void VerifySchedule::verify_once() {
  const auto started = std::chrono::steady_clock::now();
  adapters::mysql::MysqlSqlReader reader(neighbours_.store_address);
  verify::VerifyOptions options;
  options.purge_after = std::chrono::duration_cast<std::chrono::seconds>(settings_.purge_period);
  options.stop = &stop_;
  const auto report =
      verify::verify(reader, *neighbours_.warehouse, options, [](const verify::VerifyProgress&) {});
  if (!report && stop_.requested()) return;
  const auto now = neighbours_.clock.now();
  if (!report) {
    spdlog::warn("verify: could not be carried out: {}", report.error().message);
  } else if (report->clean()) {
    spdlog::info("verify: the warehouse says what the order store says ({} orders, {} ms)",
                 report->tables.empty() ? 0 : report->tables.front().compared, report->spent.count());
  } else {
    log_differences(*report);
  }
  const std::lock_guard lock(mutex_);
  state_.last_run = now;
  state_.last_duration =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started);
  if (!report) {
    ++state_.runs_failed;
    return;
  }
  state_.last_success = now;
  state_.differences = report->differences_total();
  ++(report->clean() ? state_.runs_clean : state_.runs_with_differences);
}

}  // namespace millrace::app
