// The Kafka client library's C interface: its handles as owners, its errors as ours.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <librdkafka/rdkafka.h>

#include "adapters/kafka/statistics.h"
#include "base/deadline.h"
#include "base/result.h"

namespace millrace::adapters::kafka {

template <auto kDestroy>
struct Destroy {
  template <class T>
  void operator()(T* item) const {
    kDestroy(item);
  }
};
using Topic = std::unique_ptr<rd_kafka_topic_t, Destroy<rd_kafka_topic_destroy>>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Destroy<rd_kafka_queue_destroy>>;
using Event = std::unique_ptr<rd_kafka_event_t, Destroy<rd_kafka_event_destroy>>;
using PartitionList =
    std::unique_ptr<rd_kafka_topic_partition_list_t, Destroy<rd_kafka_topic_partition_list_destroy>>;
using VendorError = std::unique_ptr<rd_kafka_error_t, Destroy<rd_kafka_error_destroy>>;

/// One client instance with its threads. Its calls are thread-safe.
class Client {
 public:
  using Settings = std::map<std::string, std::string>;
  /// Callbacks run on the thread that polls the client; `deliveries` and `rebalance` may be nullptr.
  struct Callbacks {
    void (*deliveries)(rd_kafka_t*, const rd_kafka_message_t*, void*) = nullptr;
    void (*rebalance)(rd_kafka_t*, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t*, void*) = nullptr;
    void* opaque = nullptr;  ///< Of `rebalance`.
  };

  /// Connects to nothing yet. Errors: kInvalid (a setting that the library does not know or take).
  [[nodiscard]] static base::Result<std::unique_ptr<Client>> make(rd_kafka_type_t type,
                                                                  const Settings& settings,
                                                                  const Callbacks& callbacks);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] rd_kafka_t* get() const { return handle_; }

  /// The library's error as ours: what failed, why (when no answer came: what the connections failed with
  /// last) and what to look at. Holds no value of a setting.
  [[nodiscard]] std::unexpected<base::Error> failed(const std::string& doing, rd_kafka_resp_err_t code,
                                                    const char* text = nullptr) const;

  /// What it counted last; nothing before the first interval is over. For clients that somebody polls.
  [[nodiscard]] std::optional<ClientStatistics> statistics() const;

  /// Takes in what the client has to say about its connections. For clients that nobody polls otherwise.
  void hear() const;

  /// Runs one administrative request and waits for its result.
  [[nodiscard]] base::Result<Event> ask(
      const std::string& doing, rd_kafka_admin_op_t operation, base::Deadline deadline,
      const std::function<void(const rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>& request) const;

 private:
  /// What a connection failed with last.
  struct Trouble {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    std::string reason;
    std::chrono::steady_clock::time_point at;
  };
  struct Own {
    Callbacks callbacks;
    mutable std::mutex mutex;
    Trouble trouble;                             // guarded by mutex
    std::optional<ClientStatistics> statistics;  // guarded by mutex
  };
  Client() = default;
  static void on_error(rd_kafka_t* handle, int code, const char* reason, void* opaque);
  static void on_log(const rd_kafka_t* handle, int level, const char* facility, const char* text);
  static int on_statistics(rd_kafka_t* handle, char* json, std::size_t size, void* opaque);
  static void on_rebalance(rd_kafka_t* handle, rd_kafka_resp_err_t code,
                           rd_kafka_topic_partition_list_t* list, void* opaque);

  rd_kafka_t* handle_ = nullptr;
  std::unique_ptr<Own> own_ = std::make_unique<Own>();
};

using Metadata = std::unique_ptr<const rd_kafka_metadata_t, Destroy<rd_kafka_metadata_destroy>>;
/// Of all topics. Errors: kUnavailable.
[[nodiscard]] base::Result<Metadata> ask_metadata(const Client& client, base::Deadline deadline);

/// A topic's id as Kafka's own tools write it, in base64 for URLs: the library's text has a '/' at times,
/// which separates the parts of our names of sources.
[[nodiscard]] std::string topic_id(const rd_kafka_TopicDescription_t* topic);

/// Milliseconds for the library, which takes 0 as "at once" and no more than an int.
[[nodiscard]] int timeout_ms(base::Deadline deadline);

}  // namespace millrace::adapters::kafka
