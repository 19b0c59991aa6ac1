// A MariaDB server of our own, on this machine and for this machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "supervise/supervisor.h"

namespace millrace::supervise {

struct EmbeddedMariadbOptions {
  std::filesystem::path directory;  ///< Of our own: data, socket, logs. Made if it is not there; one instance
                                    ///< uses it at a time.
  std::uint16_t port = 3306;        ///< On 127.0.0.1 only.
  std::string database{"ecommerce"};  ///< What the user admin may use: everything in it, and no other.
  std::string password{};  ///< Of the user admin, on 127.0.0.1 and the socket; set anew at every start.
  std::string
      root_password{};  ///< Of the user root, likewise. Empty: a random one at every start, kept nowhere.
  std::uint64_t buffer_pool_bytes = std::uint64_t{128} << 20;
  std::vector<std::string> extra_arguments;  ///< For mariadbd.
  bool unconfined = false;  ///< Leaves out Landlock, which holds it to its own directory and port.
};

/// One caller. Acknowledged commits are on the disk (flush at every commit). Nothing of it survives this
/// process, however that ends, and the data is whole at the next start.
///
/// No statement reads or writes a file outside of the data directory or loads code: neither account has FILE,
/// SUPER or the right to grant, or may change the tables of rights in `mysql`; secure_file_priv names what
/// cannot hold a file, and the directory of plugins is empty. The user root may use every other database.
class EmbeddedMariadb {
 public:
  explicit EmbeddedMariadb(EmbeddedMariadbOptions options);
  ~EmbeddedMariadb();

  /// Makes the data directory if there is none, starts the server and waits until it serves; an earlier
  /// instance of the same directory that is still shutting down is waited for. Errors: kNotFound (programs
  /// not installed), kConflict (the port belongs to another program, or the directory to another instance),
  /// kInvalid (password), kFatal (with the log's last errors).
  [[nodiscard]] base::Result<void> start(base::Deadline deadline);
  /// Clean shutdown; nothing runs when it returns.
  void stop();
  [[nodiscard]] ServiceStatus status() const;

  [[nodiscard]] std::filesystem::path socket() const;
  [[nodiscard]] std::filesystem::path log_file() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::supervise
