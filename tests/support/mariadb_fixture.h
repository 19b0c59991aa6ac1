// A MariaDB server of the test program's own, and a database of each test's own on it.
#pragma once

#include <string>

#include "adapters/mysql/server_address.h"

namespace millrace::support {

/// Starts the server on first use: data in a temporary directory, a free port and a socket of its own, gone
/// with the program (also when that is killed). Throws std::runtime_error with the server's log when it does
/// not come up. One server a program.
class MariadbServer {
 public:
  static MariadbServer& get();

  [[nodiscard]] adapters::mysql::ServerAddress address(const std::string& database) const;
  /// "mysql://root:…@127.0.0.1:port/database".
  [[nodiscard]] std::string url(const std::string& database) const;

  /// kill -9; the process is gone when it returns.
  void kill();
  /// Starts it again on the same data, port and socket, and waits until it answers.
  void start();

 private:
  MariadbServer();
  ~MariadbServer();
  class Impl;
  Impl* impl_;
};

/// A fresh database with our schema (and the sample shop), dropped at the end.
class TestDatabase {
 public:
  explicit TestDatabase(bool sample_shop = true);
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  [[nodiscard]] const adapters::mysql::ServerAddress& address() const { return address_; }
  [[nodiscard]] std::string url() const { return MariadbServer::get().url(address_.database); }

  /// The first field of the first row, "NULL", or "" when there is no row; for asserting what the tables
  /// hold. Throws on errors.
  [[nodiscard]] std::string value(const std::string& select) const;
  /// Runs one statement. Throws on errors.
  void run(const std::string& statement) const;

 private:
  adapters::mysql::ServerAddress address_;
};

}  // namespace millrace::support
