// The command line of millrace-warehouse.
#pragma once

#include <optional>
#include <string>

#include "warehouse/engine/engine.h"
#include "warehouse/http/handler.h"
#include "warehouse/http/server.h"

namespace millrace::warehouse {

// Process exit codes: what a supervisor does next.
inline constexpr int kExitUsage = 1;  ///< The command line or a file that it names is wrong.
inline constexpr int kExitPortTaken = 2;
inline constexpr int kExitDirectory = 3;   ///< The data directory is in use or cannot be opened.
inline constexpr int kExitUnconfined = 5;  ///< The kernel does not confine the program.

struct Options {
  EngineOptions engine;
  HandlerOptions handler;  ///< Without the password.
  ServerOptions server;
  std::string password_file;  ///< Empty: not given.
  int password_fd = -1;       ///< -1: not given.
  std::string log_level = "info";
  bool die_with_parent = false;
  bool unconfined = false;
  int stop_seconds = 10;
};

/// Reads the words into `options`, and prints the help, the version or what is wrong with them.
/// Shape: nothing if the program is to start, else its exit code.
[[nodiscard]] std::optional<int> parse_command_line(int argc, char** argv, Options& options);

/// Prints the message on standard error. Shape: the code.
int complain(int code, const std::string& message);

}  // namespace millrace::warehouse
