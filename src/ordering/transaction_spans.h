// The spans of one transaction: one for each of its commands that belongs to a sampled trace.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ordering/job.h"
#include "telemetry/tracer.h"

namespace millrace::ordering {

/// Starts when it is made; holds nothing when no command is sampled. One thread.
class TransactionSpans {
 public:
  TransactionSpans(const telemetry::Tracer& tracer, std::span<Job* const> jobs);

  /// Records each of them with the error of the job at an index, null if it succeeded; once. Throws nothing,
  /// as the transaction may be committed.
  void end_each(const std::function<const base::Error*(std::size_t)>& error_of);
  /// Records those that are not recorded yet, with the error that ended the transaction.
  void end_all(const base::Error& error);

 private:
  const telemetry::Tracer tracer_;
  std::vector<std::pair<std::size_t, telemetry::Span>> spans_;  // by the index of the job
};

}  // namespace millrace::ordering
