// Many commands to one transaction.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "ordering/job.h"
#include "ports/clock.h"
#include "ports/order_store.h"
#include "telemetry/tracer.h"

namespace millrace::ordering {

class TransactionSpans;

/// Carries jobs out and answers each of them exactly once. Thread-safe, as the store is: each call has a
/// transaction of its own.
class GroupCommit {
 public:
  /// `on_committed` is called after every commit that wrote outbox rows.
  GroupCommit(ports::OrderStore& store, const ports::Clock& clock, std::function<void()> on_committed,
              telemetry::Tracer tracer = {});

  /// In one transaction if that goes well; else each by itself, with growing pauses, until its deadline. Jobs
  /// with much less time left than others have a transaction of their own, so that none cuts another short;
  /// one with too little for any is refused. An exception counts as an error of the transaction it ends.
  void execute(std::vector<Job>& jobs);

 private:
  /// What an attempt came to when it was not committed.
  struct Failure {
    base::Error error;
    bool away = false;  ///< No transaction could be begun at all.
  };
  struct Retry;

  std::optional<Failure> attempt(std::span<Job* const> jobs);
  std::optional<Failure> try_transaction(std::span<Job* const> jobs, TransactionSpans& spans);
  void try_one_by_one(std::vector<Retry>& left);
  static bool is_final(Retry& retry);

  ports::OrderStore& store_;
  const ports::Clock& clock_;
  const std::function<void()> on_committed_;
  const telemetry::Tracer tracer_;
};

}  // namespace millrace::ordering
