#include "app/config/settings.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>
#include <toml++/toml.h>

#include "app/config/secret_files.h"
#include "base/redaction.h"
#include "base/text.h"
#include "base/url.h"
#include "web/access.h"

namespace millrace::app {
namespace {

constexpr std::int64_t kPortMax = 65'535;
constexpr std::int64_t kHourMs = 3'600'000;

// clang-format off
const std::array kSettings = {
    SettingInfo{"data.dir", &Settings::data_dir, "Where the embedded servers and the event log keep their data"},
    SettingInfo{"log.level", &Settings::log_level, "trace, debug, info, warn, error or off"},
    SettingInfo{"log.file", &Settings::log_file, "Empty: standard error (with the live summary: millrace.log in the data directory)"},

    SettingInfo{"process.run_as", &Settings::process_run_as, "The user that `up` and the roles become when root starts them: a name, a number, or uid:gid (empty: millrace)", 0, INT64_MAX, false, "--run-as"},

    SettingInfo{"api.host", &Settings::api_host, "Address to listen on"},
    SettingInfo{"api.port", &Settings::api_port, "Port of the HTTP API (0: any free one)", 0, kPortMax},
    SettingInfo{"api.body_bytes_max", &Settings::api_body_bytes_max, "The largest request body", 1'024, 1 << 30},
    SettingInfo{"api.connections_max", &Settings::api_connections_max, "Connections at once", 1, 100'000},
    SettingInfo{"api.read_threads", &Settings::api_read_threads, "Threads for reads of the stores", 1, 256},
    SettingInfo{"admin.host", &Settings::admin_host, "Address of the admin ports (relay.admin_port, transform.admin_port, sink.admin_port)"},

    SettingInfo{"http.allowed_hosts", &Settings::http_allowed_hosts, "Names besides localhost and the address to listen on under which the servers may be reached, with or without a port, separated by commas"},
    SettingInfo{"cors.origins", &Settings::cors_origins, "Origins of web pages that may send requests: https://shop.example,http://localhost:5173"},

    SettingInfo{"mysql.embedded", &Settings::mysql_embedded, "`up` starts an embedded mariadbd; false: use the server named here"},
    SettingInfo{"mysql.unconfined", &Settings::mysql_unconfined, "The embedded mariadbd is not held to its own directory by the kernel (Landlock)"},
    SettingInfo{"mysql.url", &Settings::mysql_url, "mysql://user:password@host:port/database; replaces the parts below", 0, 0, true},
    SettingInfo{"mysql.url_file", &Settings::mysql_url_file, "The file whose first line is mysql.url (mode 600)"},
    SettingInfo{"mysql.host", &Settings::mysql_host, "Host of the order store"},
    SettingInfo{"mysql.port", &Settings::mysql_port, "Port of the order store", 1, kPortMax},
    SettingInfo{"mysql.user", &Settings::mysql_user, "User of the order store"},
    SettingInfo{"mysql.password", &Settings::mysql_password, "Its password; empty: the embedded server's, which `up` makes and keeps in the data directory", 0, 0, true},
    SettingInfo{"mysql.password_file", &Settings::mysql_password_file, "The file whose first line is the password (mode 600)"},
    SettingInfo{"mysql.database", &Settings::mysql_database, "Database of the order store"},
    SettingInfo{"mysql.connections_max", &Settings::mysql_connections_max, "Connections at once", 4, 1'000},
    SettingInfo{"mysql.buffer_pool_mb", &Settings::mysql_buffer_pool_mb, "Buffer pool of the embedded mariadbd in MiB", 16, 1 << 20},

    SettingInfo{"clickhouse.embedded", &Settings::clickhouse_embedded, "`up` starts millrace-warehouse; false: use the server named here"},
    SettingInfo{"clickhouse.unconfined", &Settings::clickhouse_unconfined, "millrace-warehouse runs without Landlock and seccomp: for kernels where they get in its way"},
    SettingInfo{"clickhouse.url", &Settings::clickhouse_url, "http://host:port or https://host:port; replaces host and port"},
    SettingInfo{"clickhouse.host", &Settings::clickhouse_host, "Host of the warehouse"},
    SettingInfo{"clickhouse.port", &Settings::clickhouse_port, "HTTP port of the warehouse", 1, kPortMax},
    SettingInfo{"clickhouse.user", &Settings::clickhouse_user, "User of the warehouse"},
    SettingInfo{"clickhouse.password", &Settings::clickhouse_password, "Its password; empty: the embedded warehouse's, which `up` makes and keeps in the data directory", 0, 0, true},
    SettingInfo{"clickhouse.password_file", &Settings::clickhouse_password_file, "The file whose first line is the password (mode 600)"},
    SettingInfo{"clickhouse.ca_file", &Settings::clickhouse_ca_file, "Certificate authorities for https; empty: the system's"},
    SettingInfo{"clickhouse.connections_max", &Settings::clickhouse_connections_max, "Requests at once", 2, 1'000},

    SettingInfo{"event_log.kind", &Settings::event_log_kind, "embedded: a log inside the process of `up`; kafka: a Kafka cluster, which several processes share"},
    SettingInfo{"event_log.partitions", &Settings::event_log_partitions, "Partitions of topics that do not exist yet", 1, 1'024},
    SettingInfo{"event_log.fsync", &Settings::event_log_fsync, "false: faster, but a power cut may lose events for good, and the warehouse lacks their orders until a rebuild"},
    SettingInfo{"event_log.retention", &Settings::event_log_retention, "Events that every stage has passed are removed after this", kHourMs},

    SettingInfo{"ordering.writers", &Settings::ordering_writers, "Writer threads of the order service", 1, 16},
    SettingInfo{"ordering.batch_size", &Settings::ordering_batch_size, "Commands to one transaction", 1, 1'000},
    SettingInfo{"ordering.queue_size", &Settings::ordering_queue_size, "Commands that may wait; more are refused with 503", 1, 1'000'000},
    SettingInfo{"ordering.timeout", &Settings::ordering_timeout, "From request to outcome", 100, kHourMs},

    SettingInfo{"kafka.embedded", &Settings::kafka_embedded, "`up` starts a Kafka cluster of its own, one node for each of the brokers named here (needs scripts/bootstrap --kafka)"},
    SettingInfo{"kafka.brokers", &Settings::kafka_brokers, "host:port of the brokers, separated by commas"},
    SettingInfo{"kafka.replication_factor", &Settings::kafka_replication_factor, "Replicas of topics that do not exist yet", 1, 32},
    SettingInfo{"kafka.min_in_sync", &Settings::kafka_min_in_sync, "Of those, how many must have a record before it is acknowledged", 1, 32},
    SettingInfo{"kafka.session_timeout", &Settings::kafka_session_timeout, "A transformer or sink that is silent for longer gives its partitions to the others (brokers take 6s to 30m by default, ours 1s)", 1'000, 30 * 60'000},
    SettingInfo{"kafka.client", &Settings::kafka_client, "Settings of the client library, for TLS and SASL: security.protocol=SASL_SSL;sasl.mechanisms=PLAIN;sasl.username=…", 0, 0, true},
    SettingInfo{"kafka.client_file", &Settings::kafka_client_file, "The file that holds kafka.client, a line for each of its settings (mode 600)"},

    SettingInfo{"connect.host", &Settings::connect_host, "Address on which `up` and `sink` serve Kafka Connect's REST interface"},
    SettingInfo{"connect.port", &Settings::connect_port, "Its port; 0: not served. With the embedded event log it is served only when this is set", 0, kPortMax},

    SettingInfo{"relay.shards", &Settings::relay_shards, "Into how many shards the outbox is divided; must divide the number of partitions", 1, 64},
    SettingInfo{"relay.own_shards", &Settings::relay_own_shards, "Those that this process serves or stands by for: all, or their numbers, as in 0,2"},
    SettingInfo{"relay.batch_size", &Settings::relay_batch_size, "Outbox rows of a shard sent and not yet marked: the bound on repeats after a crash", 1, 100'000},
    SettingInfo{"relay.poll_interval_min", &Settings::relay_poll_interval_min, "The pause when the outbox is empty, as long as rows came lately", 1, 60'000},
    SettingInfo{"relay.poll_interval", &Settings::relay_poll_interval, "The longest pause when the outbox is empty", 1, 3'600'000},
    SettingInfo{"relay.retention", &Settings::relay_retention, "Processed outbox rows are removed after this", 60'000},
    SettingInfo{"relay.accept_topic", &Settings::relay_accept_topic, "The id of a recreated topic that the relay may send to although events on their way to the former one may be loaded already"},
    SettingInfo{"relay.admin_port", &Settings::relay_admin_port, "Where `millrace relay` serves /metrics, /healthz and /readyz; 0: nowhere", 0, kPortMax},

    SettingInfo{"transform.window", &Settings::transform_window, "Events looked back for repeats; at least 2 x relay.batch_size", 2, 10'000'000},
    SettingInfo{"transform.batch_size", &Settings::transform_batch_size, "Records read at a time", 1, 1'000'000},
    SettingInfo{"transform.commit_interval", &Settings::transform_commit_interval, "Between commits of the group's offsets", 1, 60'000},
    SettingInfo{"transform.admin_port", &Settings::transform_admin_port, "As relay.admin_port, of `millrace transform`", 0, kPortMax},

    SettingInfo{"sink.batch_size", &Settings::sink_batch_size, "Rows to one insert at most", 1, 10'000'000},
    SettingInfo{"sink.max_delay", &Settings::sink_max_delay, "The least time between two inserts: how long a row may wait for others", 0, 60'000},
    SettingInfo{"sink.position_interval", &Settings::sink_position_interval, "Between writes of the position", 1, 60'000},
    SettingInfo{"sink.insert_timeout", &Settings::sink_insert_timeout, "An insert ends by then", 1'000, kHourMs},
    SettingInfo{"sink.cached_keys_max", &Settings::sink_cached_keys_max, "Running sums kept in memory per partition (300 bytes each)", 1, 100'000'000},
    SettingInfo{"sink.admin_port", &Settings::sink_admin_port, "As relay.admin_port, of `millrace sink`", 0, kPortMax},

    SettingInfo{"purge.period", &Settings::purge_period, "Deleted orders are removed from the warehouse for good after this", 60'000},
    SettingInfo{"purge.interval", &Settings::purge_interval, "Between two looks for orders to purge", 1'000},
    SettingInfo{"purge.batch_size", &Settings::purge_batch_size, "Orders purged at a time", 1, 1'000'000},

    SettingInfo{"verify.interval", &Settings::verify_interval, "Between two comparisons of the warehouse with the order store; 0: never"},

    SettingInfo{"otlp.endpoint", &Settings::otlp_endpoint, "The OpenTelemetry collector that gets the spans of sampled traces, by OTLP/HTTP in JSON: http://localhost:4318; empty: nobody"},

    SettingInfo{"stop.timeout", &Settings::stop_timeout, "How long a clean stop may take", 1'000, kHourMs},
};
// clang-format on

std::string replaced(std::string_view key, std::string_view prefix, char dot, char underscore) {
  std::string text(prefix);
  for (const char c : key) text += c == '.' ? dot : (c == '_' ? underscore : c);
  return text;
}

std::string duration_text(std::chrono::milliseconds span) {
  const auto ms = span.count();
  if (ms % (24 * kHourMs) == 0 && ms > 0) return fmt::format("{}d", ms / (24 * kHourMs));
  if (ms % kHourMs == 0 && ms > 0) return fmt::format("{}h", ms / kHourMs);
  if (ms % 1'000 == 0 && ms > 0) return fmt::format("{}s", ms / 1'000);
  return fmt::format("{}ms", ms);
}

base::Result<void> check_range(const SettingInfo& info, std::int64_t value, const std::string& shown_least,
                               const std::string& shown_most) {
  if (value >= info.least && value <= info.most) return {};
  if (info.most == INT64_MAX) return base::invalid(fmt::format("must be at least {}", shown_least));
  return base::invalid(fmt::format("must be from {} to {}", shown_least, shown_most));
}

base::Result<void> set_value(Settings& settings, const SettingInfo& info, std::string_view text) {
  if (const auto* member = std::get_if<std::string Settings::*>(&info.member)) {
    settings.** member = std::string(text);
    return {};
  }
  if (const auto* member = std::get_if<bool Settings::*>(&info.member)) {
    if (text != "true" && text != "false") return base::invalid("must be true or false");
    settings.** member = text == "true";
    return {};
  }
  if (const auto* member = std::get_if<std::int64_t Settings::*>(&info.member)) {
    const auto number = base::parse_int<std::int64_t>(text);
    if (!number) return base::invalid("must be a whole number");
    MILLRACE_TRY(check_range(info, *number, std::to_string(info.least), std::to_string(info.most)));
    settings.** member = *number;
    return {};
  }
  const auto member = std::get<std::chrono::milliseconds Settings::*>(info.member);
  MILLRACE_TRY_ASSIGN(const auto span, parse_duration(text));
  MILLRACE_TRY(check_range(info, span.count(), duration_text(std::chrono::milliseconds(info.least)),
                           duration_text(std::chrono::milliseconds(info.most))));
  settings.*member = span;
  return {};
}

const SettingInfo* find_setting(std::string_view key) {
  const auto found =
      std::ranges::find_if(kSettings, [&](const SettingInfo& info) { return info.key == key; });
  return found == kSettings.end() ? nullptr : &*found;
}

std::string& text_of(Settings& settings, const SettingInfo& info) {
  return settings.*std::get<std::string Settings::*>(info.member);
}

const SettingInfo* file_of(const SettingInfo& secret) {
  return find_setting(std::string(secret.key) + "_file");
}

/// Of a secret and its file, those of the source that was read last count.
base::Result<void> let_later_win(Settings& settings, const std::set<std::string, std::less<>>& given) {
  for (const SettingInfo& secret : kSettings) {
    if (!secret.secret) continue;
    const SettingInfo& file = *file_of(secret);
    const bool by_value = given.contains(secret.key) && !text_of(settings, secret).empty();
    const bool by_file = given.contains(file.key) && !text_of(settings, file).empty();
    if (by_value && by_file)
      return base::invalid(
          fmt::format("{} and {} are both given: leave one of them out", secret.key, file.key));
    if (by_value) text_of(settings, file).clear();
    if (by_file) text_of(settings, secret).clear();
  }
  return {};
}

/// kafka.client's lines are its settings, with semicolons between; of all others the first line counts.
std::string secret_in(std::string_view text, bool all_lines) {
  std::string secret;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!all_lines) return std::string(line);
    line = base::trim(line);
    if (line.empty() || line.starts_with('#')) continue;
    if (!secret.empty() && !secret.ends_with(';')) secret += ';';
    secret += line;
  }
  return secret;
}

base::Result<void> read_secrets(Settings& settings) {
  for (const SettingInfo& secret : kSettings) {
    if (!secret.secret) continue;
    const SettingInfo& file = *file_of(secret);
    if (text_of(settings, file).empty()) continue;
    MILLRACE_TRY_ASSIGN(const std::string text, read_secret_file(text_of(settings, file), file.key));
    text_of(settings, secret) = secret_in(text, secret.key == "kafka.client");
    if (text_of(settings, secret).empty())
      return base::invalid(fmt::format("{}: {} is empty", file.key, text_of(settings, file)));
    settings.given.emplace(secret.key);
  }
  return {};
}

/// Reads the settings that `apply` puts in as one source.
template <class Apply>
base::Result<void> take_source(Settings& settings, Apply apply) {
  auto before = std::exchange(settings.given, {});
  MILLRACE_TRY(apply());
  MILLRACE_TRY(let_later_win(settings, settings.given));
  settings.given.merge(before);
  return {};
}

void warn_if_open(Settings& settings, const std::string& file) {
  struct stat found{};
  if (::stat(file.c_str(), &found) != 0 || is_private(found.st_mode, found.st_uid)) return;
  for (const SettingInfo& secret : kSettings)
    if (secret.secret && settings.given.contains(secret.key) && !text_of(settings, secret).empty()) {
      settings.warnings.push_back(
          fmt::format("{} holds {} and is open to others: chmod 600 {}", file, secret.key, file));
      return;
    }
}

base::Result<void> apply_file(Settings& settings, const std::string& file) {
  std::ifstream stream(file);
  if (!stream) return base::not_found(fmt::format("cannot read the configuration file {}", file));
  std::stringstream text;
  text << stream.rdbuf();
  toml::table document;
  try {
    document = toml::parse(text.str(), file);
  } catch (const toml::parse_error& error) {
    return base::invalid(
        fmt::format("{}:{}: not valid TOML: {}", file, error.source().begin.line, error.description()));
  }
  for (const auto& [section, node] : document) {
    const toml::table* table = node.as_table();
    if (table == nullptr)
      return base::invalid(fmt::format("{}:{}: '{}' must stand in a section such as [api]", file,
                                       node.source().begin.line, section.str()));
    for (const auto& [name, value] : *table) {
      const std::string key = fmt::format("{}.{}", section.str(), name.str());
      const auto where = fmt::format("{}:{}", file, value.source().begin.line);
      const SettingInfo* info = find_setting(key);
      if (info == nullptr)
        return base::invalid(
            fmt::format("{}: unknown setting '{}'; `millrace config --example` lists all", where, key));
      std::string value_text;
      if (value.is_string()) {
        value_text = value.as_string()->get();
      } else if (value.is_integer()) {
        value_text = std::to_string(value.as_integer()->get());
      } else if (value.is_boolean()) {
        value_text = value.as_boolean()->get() ? "true" : "false";
      } else {
        return base::invalid(
            fmt::format("{}: '{}' must be a text, a whole number, true or false", where, key));
      }
      MILLRACE_TRY(set_from_text(settings, *info, value_text, where));
    }
  }
  warn_if_open(settings, file);
  return {};
}

/// A URL to which a path can be appended.
base::Result<void> check_endpoint(std::string_view url) {
  if (url.empty()) return {};
  const bool has_more =
      base::without_userinfo(url) != url || url.find_first_of("?# \t") != std::string_view::npos;
  if (!has_more && base::is_http_url(url)) return {};
  return base::invalid(fmt::format(
      "otlp.endpoint '{}' must be the address of a collector, such as http://localhost:4318 or "
      "https://collector.example/otlp: http or https, a host, and neither user, password, query nor fragment",
      base::printable(base::without_userinfo(url), 120)));
}

base::Result<void> check_together(const Settings& settings) {
  if (settings.event_log_kind != "embedded" && settings.event_log_kind != "kafka")
    return base::invalid(
        fmt::format("event_log.kind '{}' is not known; use embedded or kafka", settings.event_log_kind));
  if (settings.kafka_min_in_sync > settings.kafka_replication_factor)
    return base::invalid("kafka.min_in_sync must not be above kafka.replication_factor");
  if (settings.transform_window < 2 * settings.relay_batch_size)
    return base::invalid(
        fmt::format("transform.window ({}) must be at least twice relay.batch_size ({}): with less a "
                    "repeated event could count twice",
                    settings.transform_window, settings.relay_batch_size));
  if (base::without_userinfo(settings.clickhouse_url) != settings.clickhouse_url ||
      settings.clickhouse_url.find_first_of("?#") != std::string::npos)
    return base::invalid(
        "clickhouse.url holds more than an address: write user and password into clickhouse.user and "
        "clickhouse.password (or clickhouse.password_file)");
  if (settings.kafka_brokers.find('@') != std::string::npos)
    return base::invalid(
        "kafka.brokers holds more than addresses: write user and password into kafka.client (or "
        "kafka.client_file)");
  MILLRACE_TRY(own_shards(settings));
  if (settings.event_log_partitions % settings.relay_shards != 0)
    return base::invalid(
        fmt::format("relay.shards ({}) must divide event_log.partitions ({}): a shard owns whole partitions",
                    settings.relay_shards, settings.event_log_partitions));
  MILLRACE_TRY(web::access_rules("", settings.http_allowed_hosts, settings.cors_origins));
  MILLRACE_TRY(check_endpoint(settings.otlp_endpoint));
  if (settings.relay_poll_interval < settings.relay_poll_interval_min)
    return base::invalid("relay.poll_interval must not be below relay.poll_interval_min");
  return {};
}

}  // namespace

base::Result<std::vector<std::int32_t>> own_shards(const Settings& settings) {
  std::vector<std::int32_t> shards;
  if (settings.relay_own_shards == "all") {
    for (std::int32_t shard = 0; shard < settings.relay_shards; ++shard) shards.push_back(shard);
    return shards;
  }
  std::string_view rest = settings.relay_own_shards;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const auto shard = base::parse_int<std::int32_t>(base::trim(rest.substr(0, comma)));
    if (!shard || *shard < 0 || *shard >= settings.relay_shards ||
        std::ranges::find(shards, *shard) != shards.end())
      break;
    shards.push_back(*shard);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  if (shards.empty() || !rest.empty())
    return base::invalid(fmt::format(
        "relay.own_shards '{}' must be all, or different numbers from 0 to {} with commas between",
        base::printable(settings.relay_own_shards, 80), settings.relay_shards - 1));
  return shards;
}

base::Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view suffix;
    std::int64_t ms;
  };
  constexpr std::array<Unit, 5> kUnits = {
      {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", kHourMs}, {"d", 24 * kHourMs}}};
  for (const auto& [suffix, ms] : kUnits) {
    if (!text.ends_with(suffix)) continue;
    const auto number = base::parse_int<std::int64_t>(text.substr(0, text.size() - suffix.size()));
    if (number && *number >= 0 && *number <= INT64_MAX / ms) return std::chrono::milliseconds(*number * ms);
    break;
  }
  if (text == "0") return std::chrono::milliseconds(0);
  return base::invalid("write a duration with its unit: 200ms, 5s, 10m, 24h or 7d");
}

std::string SettingInfo::flag() const {
  return own_flag.empty() ? replaced(key, "--", '-', '-') : std::string(own_flag);
}
std::string SettingInfo::variable() const {
  return base::to_upper(replaced(key, "MILLRACE_", '_', '_'));
}

std::span<const SettingInfo> all_settings() {
  return kSettings;
}

base::Result<void> set_from_text(Settings& settings, const SettingInfo& info, std::string_view text,
                                 std::string_view where) {
  auto set = set_value(settings, info, text);
  if (!set) {
    const std::string shown = info.secret ? std::string("***") : base::printable(text, 60);
    return base::invalid(fmt::format("{}: {} = '{}' {}", where, info.key, shown, set.error().message));
  }
  settings.given.emplace(info.key);
  return {};
}

std::string flag_refusal(const SettingInfo& info) {
  const SettingInfo* const file = file_of(info);
  return fmt::format(
      "{} is refused, because everybody on this machine can read command lines: set {}, or {} FILE, or {} in "
      "millrace.toml (both files with mode 600)",
      info.flag(), info.variable(), file == nullptr ? "" : file->flag(), info.key);
}

std::string shown_value(const Settings& settings, const SettingInfo& info) {
  return std::visit(
      [&](const auto member) -> std::string {
        const auto& value = settings.*member;
        using Value = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_same_v<Value, std::string>) {
          return info.secret && !value.empty() ? "***" : base::without_userinfo(value);
        } else if constexpr (std::is_same_v<Value, bool>) {
          return value ? "true" : "false";
        } else if constexpr (std::is_same_v<Value, std::int64_t>) {
          return std::to_string(value);
        } else {
          return duration_text(value);
        }
      },
      info.member);
}

base::Result<Settings> load_settings(const std::string& file,
                                     const std::function<const char*(const std::string&)>& environment,
                                     const std::map<std::string, std::string>& flags) {
  Settings settings;
  const auto of_file = [&] { return apply_file(settings, file); };
  const auto of_environment = [&]() -> base::Result<void> {
    for (const SettingInfo& info : kSettings)
      if (const char* value = environment(info.variable()))
        MILLRACE_TRY(set_from_text(settings, info, value, info.variable()));
    return {};
  };
  const auto of_flags = [&]() -> base::Result<void> {
    for (const auto& [key, value] : flags) {
      const SettingInfo* info = find_setting(key);
      if (info == nullptr) return base::invalid(fmt::format("unknown setting '{}'", key));
      if (info->secret) return base::invalid(flag_refusal(*info));
      MILLRACE_TRY(set_from_text(settings, *info, value, info->flag()));
    }
    return {};
  };
  if (!file.empty()) MILLRACE_TRY(take_source(settings, of_file));
  MILLRACE_TRY(take_source(settings, of_environment));
  MILLRACE_TRY(take_source(settings, of_flags));
  MILLRACE_TRY(read_secrets(settings));
  MILLRACE_TRY(check_together(settings));
  return settings;
}

std::string example_file() {
  const Settings defaults;
  std::string text =
      "# Millrace settings with their defaults. Each can also be given as an environment variable or a "
      "flag:\n"
      "# sink.max_delay is MILLRACE_SINK_MAX_DELAY and --sink-max-delay.\n";
  std::string section;
  for (const SettingInfo& info : kSettings) {
    const auto dot = info.key.find('.');
    if (const std::string_view own = info.key.substr(0, dot); own != section) {
      section = own;
      fmt::format_to(std::back_inserter(text), "\n[{}]\n", section);
    }
    SettingInfo plain = info;
    plain.secret = false;
    const std::string value = shown_value(defaults, plain);
    const bool quoted = std::holds_alternative<std::string Settings::*>(info.member) ||
                        std::holds_alternative<std::chrono::milliseconds Settings::*>(info.member);
    fmt::format_to(std::back_inserter(text), "# {}\n{} = {}{}{}\n", info.help, info.key.substr(dot + 1),
                   quoted ? "\"" : "", value, quoted ? "\"" : "");
  }
  return text;
}

std::string mysql_url(const Settings& settings) {
  if (!settings.mysql_url.empty()) return settings.mysql_url;
  return fmt::format("mysql://{}:{}@{}/{}", base::percent_encoded(settings.mysql_user),
                     base::percent_encoded(settings.mysql_password),
                     base::host_and_port(settings.mysql_host, settings.mysql_port),
                     base::percent_encoded(settings.mysql_database));
}

std::string clickhouse_url(const Settings& settings) {
  if (!settings.clickhouse_url.empty()) return settings.clickhouse_url;
  return base::http_url(settings.clickhouse_host, settings.clickhouse_port);
}

}  // namespace millrace::app
