#include "connect/control.h"

#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/exceptions.h"
#include "base/outage_logger.h"

namespace millrace::connect {
namespace {

base::Error no_connector() {
  return {base::ErrorKind::kNotFound, fmt::format("Connector {} not found", kConnectorName)};
}

}  // namespace

Control::Control(Registry& registry, ControlOptions options) : registry_(registry), options_(options) {
  thread_ = std::thread([this] { look(); });
}

Control::~Control() {
  stop();
  stop_looking_.request();
  thread_.join();
}

void Control::look() {
  base::OutageLogger outage;
  do {
    base::Result<Connector> connector = base::unavailable("not read yet");
    const auto thrown = base::exception_of([&] {
      const std::lock_guard one_at_a_time(commands_);
      connector = registry_.read(soon());
      if (connector) take(*connector);
    });
    if (thrown) connector = base::unavailable(fmt::format("an exception: {}", *thrown));
    if (connector) {
      outage.over();
    } else if (outage.should_log(connector.error())) {
      spdlog::warn("connect: the connector's state cannot be read: {}; {}", connector.error().message, [&] {
        const std::lock_guard lock(mutex_);
        return known_ ? "continuing with the last known state" : "the sink waits for it";
      }());
    }
  } while (!stop_looking_.wait_for(options_.poll_interval));
}

/// With `commands_` held, so that nothing older than what this process wrote comes after it. An older
/// revision is another warehouse, or one that lost its tables: it counts, too.
void Control::take(const Connector& connector) {
  const std::lock_guard lock(mutex_);
  if (known_ && connector.revision == known_->revision) return;
  const bool was_running = !known_ || known_->target == TargetState::kRunning;
  const bool is_running = connector.target == TargetState::kRunning;
  if (known_ && known_->target != connector.target)
    spdlog::info("connect: {} is {}", kConnectorName, to_string(connector.target));
  else if (!known_ && !is_running)
    spdlog::warn("connect: {} is {}: nothing is loaded until it is {}", kConnectorName,
                 to_string(connector.target),
                 connector.target == TargetState::kDeleted ? "registered again" : "resumed");
  const bool restart = known_ && was_running && is_running && known_->restarts != connector.restarts;
  if (restart) spdlog::info("connect: restarting the sink");
  known_ = connector;
  if (turn_ != nullptr && (!is_running || restart)) turn_->request();
  changed_.notify_all();
}

base::Result<void> Control::run(const std::function<base::Result<void>(const base::StopSignal&)>& work) {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || (known_ && known_->target == TargetState::kRunning); });
    if (stopping_) return {};
    base::StopSignal turn;
    turn_ = &turn;
    failure_.clear();
    lock.unlock();
    auto ended = work(turn);
    lock.lock();
    turn_ = nullptr;
    if (ended) continue;
    failure_ = base::public_message(ended.error());  // whoever had the work logs the rest
    return ended;
  }
}

void Control::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  if (turn_ != nullptr) turn_->request();
  changed_.notify_all();
}

bool Control::rests() const {
  const std::lock_guard lock(mutex_);
  return known_ && known_->target != TargetState::kRunning;
}

Task Control::task() const {
  const std::lock_guard lock(mutex_);
  return {turn_ != nullptr, failure_};
}

base::Result<Connector> Control::connector() {
  const std::lock_guard one_at_a_time(commands_);
  return read();
}

base::Result<Connector> Control::read() {
  MILLRACE_TRY_ASSIGN(Connector connector, registry_.read(soon()));
  take(connector);
  if (connector.target == TargetState::kDeleted) return std::unexpected(no_connector());
  return connector;
}

base::Result<std::pair<Connector, bool>> Control::put(Config config, bool may_replace) {
  const std::lock_guard one_at_a_time(commands_);
  MILLRACE_TRY_ASSIGN(Connector connector, registry_.read(soon()));
  const bool is_new = connector.target == TargetState::kDeleted;
  if (!is_new && !may_replace)
    return base::conflict(fmt::format("Connector {} already exists", kConnectorName));
  connector.config = masked(std::move(config));
  connector.config["name"] = kConnectorName;
  if (is_new) connector.target = TargetState::kRunning;
  ++connector.restarts;  // as in Kafka Connect, a new configuration begins with a restart
  ++connector.revision;
  MILLRACE_TRY(registry_.write(connector, soon()));
  take(connector);
  return std::pair(std::move(connector), is_new);
}

base::Result<void> Control::change(const std::function<void(Connector&)>& how) {
  const std::lock_guard one_at_a_time(commands_);
  MILLRACE_TRY_ASSIGN(Connector connector, read());
  how(connector);
  ++connector.revision;
  MILLRACE_TRY(registry_.write(connector, soon()));
  take(connector);
  return {};
}

base::Result<void> Control::set_target(TargetState target) {
  return change([&](Connector& connector) { connector.target = target; });
}

base::Result<void> Control::restart() {
  return change([](Connector& connector) { ++connector.restarts; });
}

}  // namespace millrace::connect
