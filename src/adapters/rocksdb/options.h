// How the embedded event log is kept.
#pragma once

#include <cstddef>
#include <filesystem>

#include "telemetry/registry.h"

namespace millrace::adapters::rocksdb {

struct Options {
  std::filesystem::path directory;  ///< Made if it is not there.

  /// Whether an append, commit or deletion is on the disk, and not only with the operating system, when it
  /// returns. Off, a kill of the process still loses nothing, but a power cut or a crash of the system can
  /// lose what was acknowledged in the last seconds: orders would then be missing in the warehouse until a
  /// rebuild. For throw-away tests only.
  bool fsync = true;

  std::size_t record_bytes_max = std::size_t{8} << 20u;

  // Memory: about write_buffer_bytes × 3 + block_cache_bytes at most.
  std::size_t write_buffer_bytes = std::size_t{16} << 20u;
  std::size_t block_cache_bytes = std::size_t{16} << 20u;

  telemetry::Histogram fsync_duration = {};  ///< Of each sync of its write-ahead log and its tables.

  int background_threads = 2;  ///< Flushes and compactions.
};

}  // namespace millrace::adapters::rocksdb
