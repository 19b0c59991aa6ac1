// A Kafka cluster of our own on this machine: combined nodes (broker and controller), started and kept by us.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "supervise/supervisor.h"

namespace millrace::supervise {

struct KafkaNodePorts {
  std::uint16_t listener = 19092;    ///< For clients and the other brokers, on 127.0.0.1.
  std::uint16_t controller = 29092;  ///< For the quorum, on 127.0.0.1.
};

struct EmbeddedKafkaOptions {
  std::filesystem::path directory;   ///< Of our own: data and logs of all nodes. Made if it is not there; one
                                     ///< instance uses it at a time.
  std::filesystem::path jar_folder;  ///< The brokers' jars. Empty: kafka_jar_folder().
  std::vector<KafkaNodePorts> nodes = {{19092, 29092}, {19093, 29093}, {19094, 29094}};  ///< Ids 1, 2, 3 …
  unsigned heap_mib = 256;                                                               ///< Of each node.
};

/// Where scripts/bootstrap puts the brokers' jars.
[[nodiscard]] std::filesystem::path kafka_jar_folder();

/// One caller. Internal topics have as many replicas as there are nodes, three at most. Nothing of it
/// survives this process, however that ends.
///
/// Acknowledged means written by the in-sync replicas, and not yet synced to the disk, as Kafka does by
/// default: a power cut of this one machine can lose the last seconds, a kill of any process cannot.
class EmbeddedKafka {
 public:
  explicit EmbeddedKafka(EmbeddedKafkaOptions options);
  ~EmbeddedKafka();

  /// Formats the nodes' storage where it is empty, starts them and waits until each takes connections.
  /// Errors: kNotFound (no Java, or no jars), kConflict (a port belongs to another program, or the directory
  /// to another instance), kFatal (with the log's last errors).
  [[nodiscard]] base::Result<void> start(base::Deadline deadline);
  void stop();
  /// Of each node, in the order of their ids.
  [[nodiscard]] std::vector<ServiceStatus> status() const;

  /// "127.0.0.1:19092,127.0.0.1:19093".
  [[nodiscard]] std::string brokers() const;
  [[nodiscard]] std::filesystem::path log_file(std::size_t node) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::supervise
