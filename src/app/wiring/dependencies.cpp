#include "app/wiring/dependencies.h"

namespace millrace::app {
namespace {

/// A relay says something to the server at least once a pause, and once a second while it sends. Three times
/// that, so that one that is only slow keeps its shard.
std::chrono::milliseconds relay_silence_max(const Settings& settings) {
  return std::max(std::chrono::milliseconds(3'000), 3 * settings.relay_poll_interval);
}

}  // namespace

base::Result<std::unique_ptr<Dependencies>> make_dependencies(const Settings& settings) {
  auto made = std::make_unique<Dependencies>();
  MILLRACE_TRY_ASSIGN(made->store_address, adapters::mysql::parse_server_url(mysql_url(settings)));
  made->http = std::make_unique<adapters::curl::CurlHttpClient>(adapters::curl::Options{
      .connections_max = static_cast<std::size_t>(settings.clickhouse_connections_max),
      .ca_file = settings.clickhouse_ca_file});
  made->warehouse = std::make_unique<adapters::clickhouse::ClickhouseWarehouse>(
      *made->http, adapters::clickhouse::Options{.url = clickhouse_url(settings),
                                                 .user = settings.clickhouse_user,
                                                 .password = settings.clickhouse_password});
  made->store = std::make_unique<adapters::mysql::MysqlOrderStore>(
      made->store_address, adapters::mysql::OrderStoreOptions{
                               .connections_max = static_cast<std::size_t>(settings.mysql_connections_max)});
  made->outbox = std::make_unique<adapters::mysql::MysqlOutbox>(
      made->store_address,
      adapters::mysql::OutboxOptions{.shards = static_cast<std::int32_t>(settings.relay_shards),
                                     .silence_max = relay_silence_max(settings)});
  made->job_store = std::make_unique<adapters::mysql::MysqlJobStore>(made->store_address);
  made->dead_letter_store = std::make_unique<adapters::mysql::MysqlDeadLetterStore>(made->store_address);
  return made;
}

ordering::Options ordering_options(const Settings& settings) {
  ordering::Options options;
  options.writers = static_cast<std::size_t>(settings.ordering_writers);
  options.batch_commands_max = static_cast<std::size_t>(settings.ordering_batch_size);
  options.queue_commands_max = static_cast<std::size_t>(settings.ordering_queue_size);
  options.command_timeout = settings.ordering_timeout;
  return options;
}

}  // namespace millrace::app
