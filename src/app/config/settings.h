// All settings of the program, each with a key, a default and an explanation; a TOML file, environment
// variables and flags set them, later ones winning: sink.max_delay = "10ms" in the file,
// MILLRACE_SINK_MAX_DELAY=10ms, --sink-max-delay 10ms.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace millrace::app {

struct Settings {
  std::string data_dir = "./data";
  std::string log_level = "info";
  std::string log_file;
  std::string process_run_as;

  std::string api_host = "127.0.0.1";
  std::int64_t api_port = 3000;
  std::int64_t api_body_bytes_max = 1 << 20;
  std::int64_t api_connections_max = 1'024;
  std::int64_t api_read_threads = 4;

  std::string admin_host = "127.0.0.1";
  std::string http_allowed_hosts;
  std::string cors_origins;

  bool mysql_embedded = true;
  bool mysql_unconfined = false;
  std::string mysql_url;  // when empty, made from the parts below
  std::string mysql_url_file;
  std::string mysql_host = "127.0.0.1";
  std::int64_t mysql_port = 3306;
  std::string mysql_user = "admin";
  std::string
      mysql_password;  // when empty, the embedded server's from the data directory (app/config/credentials.h)
  std::string mysql_password_file;
  std::string mysql_database = "ecommerce";
  std::int64_t mysql_connections_max = 16;
  std::int64_t mysql_buffer_pool_mb = 256;

  bool clickhouse_embedded = true;
  bool clickhouse_unconfined = false;
  std::string clickhouse_url;  // when empty, made from host and port
  std::string clickhouse_host = "127.0.0.1";
  std::int64_t clickhouse_port = 8123;
  std::string clickhouse_user = "admin";
  std::string clickhouse_password;  // as mysql_password
  std::string clickhouse_password_file;
  std::string clickhouse_ca_file;
  std::int64_t clickhouse_connections_max = 8;

  std::string event_log_kind = "embedded";
  std::int64_t event_log_partitions = 3;
  bool kafka_embedded = false;
  std::string kafka_brokers = "127.0.0.1:19092,127.0.0.1:19093,127.0.0.1:19094";
  std::int64_t kafka_replication_factor = 3;
  std::int64_t kafka_min_in_sync = 2;
  std::chrono::milliseconds kafka_session_timeout{10'000};
  std::string kafka_client;
  std::string kafka_client_file;
  std::string connect_host = "127.0.0.1";
  std::int64_t connect_port = 8083;
  bool event_log_fsync = true;
  std::chrono::milliseconds event_log_retention{7 * 24 * 3'600'000LL};

  std::int64_t ordering_writers = 1;
  std::int64_t ordering_batch_size = 64;
  std::int64_t ordering_queue_size = 4'096;
  std::chrono::milliseconds ordering_timeout{10'000};

  std::int64_t relay_admin_port = 3101;
  std::int64_t transform_admin_port = 3102;
  std::int64_t sink_admin_port = 3103;

  std::int64_t relay_shards = 1;
  std::string relay_own_shards = "all";
  std::int64_t relay_batch_size = 4'000;
  std::chrono::milliseconds relay_poll_interval_min{2};
  std::chrono::milliseconds relay_poll_interval{100};
  std::chrono::milliseconds relay_retention{24 * 3'600'000LL};
  std::string relay_accept_topic;

  std::int64_t transform_window = 16'000;
  std::int64_t transform_batch_size = 2'000;
  std::chrono::milliseconds transform_commit_interval{200};

  std::int64_t sink_batch_size = 20'000;
  std::chrono::milliseconds sink_max_delay{25};
  std::chrono::milliseconds sink_position_interval{200};
  std::chrono::milliseconds sink_insert_timeout{30'000};
  std::int64_t sink_cached_keys_max = 300'000;

  std::chrono::milliseconds purge_period{7 * 24 * 3'600'000LL};
  std::chrono::milliseconds purge_interval{10 * 60'000};
  std::int64_t purge_batch_size = 1'000;

  std::chrono::milliseconds verify_interval{3'600'000};

  std::string otlp_endpoint;  // empty: no spans

  std::chrono::milliseconds stop_timeout{30'000};

  /// The keys that somebody has set, to whatever value.
  std::set<std::string, std::less<>> given;
  /// What a person should mend, a sentence each; no secrets.
  std::vector<std::string> warnings;

  // No settings of anybody's: the accounts that the embedded MySQL server gets (app/config/credentials.h).
  std::string embedded_admin_password;
  std::string embedded_root_password;
  // Nor this: whether the process can log on to the order store and the warehouse, whichever its role needs.
  bool has_store_credentials = true;
};

/// Where a setting lives and how it is explained.
struct SettingInfo {
  using Member = std::variant<std::string Settings::*, std::int64_t Settings::*, bool Settings::*,
                              std::chrono::milliseconds Settings::*>;
  std::string_view key;  ///< "sink.max_delay"
  Member member;
  std::string_view help;
  std::int64_t least = 0;  ///< Of numbers and of durations in ms.
  std::int64_t most = INT64_MAX;
  bool secret = false;             ///< No flag; "<key>_file" names a file that holds it.
  std::string_view own_flag = {};  ///< Instead of the one that its key makes.

  [[nodiscard]] std::string flag() const;      ///< "--sink-max-delay"
  [[nodiscard]] std::string variable() const;  ///< "MILLRACE_SINK_MAX_DELAY"
};

[[nodiscard]] std::span<const SettingInfo> all_settings();

/// The relay's shards that this process serves. Errors: kInvalid.
[[nodiscard]] base::Result<std::vector<std::int32_t>> own_shards(const Settings& settings);

/// Sets one setting from its text. Durations carry a unit: ms, s, m, h or d. Errors: kInvalid, naming `where`
/// it came from.
[[nodiscard]] base::Result<void> set_from_text(Settings& settings, const SettingInfo& info,
                                               std::string_view text, std::string_view where);

/// "200ms", "5s", "10m", "24h", "7d" or "0". Errors: kInvalid.
[[nodiscard]] base::Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// Why a secret is not taken from the command line, and where else it may stand. Holds no value.
[[nodiscard]] std::string flag_refusal(const SettingInfo& info);

/// The value as text; secrets, and the user information of URLs, as "***".
[[nodiscard]] std::string shown_value(const Settings& settings, const SettingInfo& info);

/// File (may be empty: none), then the environment (looked up by name; nullptr: not set), then flags by key.
/// Secrets are read from the files that their *_file settings name; of a secret and its file the later source
/// wins. Errors: kInvalid: unknown key, wrong type, out of range, a secret as a flag, a secret's file that
/// others can read, settings that contradict each other; kNotFound: no such file.
[[nodiscard]] base::Result<Settings> load_settings(
    const std::string& file, const std::function<const char*(const std::string&)>& environment,
    const std::map<std::string, std::string>& flags);

/// The file with all settings, their defaults and explanations: what `millrace config --example` prints.
[[nodiscard]] std::string example_file();

/// What the stages connect to: the URLs given, or made from their parts.
[[nodiscard]] std::string mysql_url(const Settings& settings);
[[nodiscard]] std::string clickhouse_url(const Settings& settings);

}  // namespace millrace::app
