// The systems that the roles talk to, made from the settings: nothing connects before it is used.
#pragma once

#include <memory>

#include "adapters/clickhouse/clickhouse_warehouse.h"
#include "adapters/curl/curl_http_client.h"
#include "adapters/mysql/mysql_dead_letter_store.h"
#include "adapters/mysql/mysql_job_store.h"
#include "adapters/mysql/mysql_order_store.h"
#include "adapters/mysql/mysql_outbox.h"
#include "adapters/mysql/server_address.h"
#include "adapters/system/system_clock.h"
#include "app/config/settings.h"
#include "ordering/order_service.h"
#include "telemetry/tracer.h"

namespace millrace::app {

struct Dependencies {
  adapters::mysql::ServerAddress store_address;
  adapters::system::SystemClock clock;
  std::unique_ptr<adapters::curl::CurlHttpClient> http;
  std::unique_ptr<adapters::clickhouse::ClickhouseWarehouse> warehouse;
  std::unique_ptr<adapters::mysql::MysqlOrderStore> store;
  std::unique_ptr<adapters::mysql::MysqlOutbox> outbox;
  std::unique_ptr<adapters::mysql::MysqlDeadLetterStore> dead_letter_store;
  std::unique_ptr<adapters::mysql::MysqlJobStore> job_store;
  telemetry::Tracer tracer;  ///< Null until Tracing::start gives it a recorder.
};

/// Errors: kInvalid (a URL).
[[nodiscard]] base::Result<std::unique_ptr<Dependencies>> make_dependencies(const Settings& settings);

[[nodiscard]] ordering::Options ordering_options(const Settings& settings);

}  // namespace millrace::app
