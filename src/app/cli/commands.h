// The subcommands of `millrace`, in the order of its help. Each function declares its commands with their
// flags and says what they do.
#pragma once

namespace CLI {
class App;
}

namespace millrace::app {

class Commands;

inline constexpr const char* kVersion = MILLRACE_VERSION;

/// `up`.
void add_up_command(CLI::App& app, Commands& commands);
/// `down`, `ps` and `logs`: the stack that `up` started.
void add_local_commands(CLI::App& app, Commands& commands);
/// `api`, `relay`, `transform` and `sink`: one role alone.
void add_role_commands(CLI::App& app, Commands& commands);
/// `init-db` and `init-warehouse`.
void add_schema_commands(CLI::App& app, Commands& commands);
/// `import` and `backfill`.
void add_history_commands(CLI::App& app, Commands& commands);
void add_verify_command(CLI::App& app, Commands& commands);
void add_load_command(CLI::App& app, Commands& commands);
/// `dlq`: dead letters, by the admin routes.
void add_dlq_commands(CLI::App& app, Commands& commands);
/// `rebuild`, `replay` and `jobs`, by the admin routes.
void add_job_commands(CLI::App& app, Commands& commands);
/// `topics`, `groups` and `cluster`: the event log. A Kafka log is asked at its brokers; the embedded one
/// through the API of the running `millrace up`, or in its directory when none runs.
void add_log_commands(CLI::App& app, Commands& commands);
/// `config`.
void add_config_command(CLI::App& app, Commands& commands);

}  // namespace millrace::app
