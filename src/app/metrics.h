// What GET /metrics shows of a running `up`. Names: docs/specs/metrics.md.
#pragma once

#include <vector>

#include "app/pipeline.h"
#include "app/verify_schedule.h"
#include "letters/letters.h"
#include "ports/metrics.h"

namespace millrace::app {

/// Thread-safe. What it is given must outlive it.
class Metrics {
 public:
  Metrics(Pipeline& pipeline, letters::Letters& letters, const VerifySchedule& verify)
      : pipeline_(pipeline), letters_(letters), verify_(verify) {}

  /// All families; those that ask a neighbour which does not answer within a second have no sample.
  [[nodiscard]] std::vector<ports::MetricFamily> collect();

 private:
  Pipeline& pipeline_;
  letters::Letters& letters_;
  const VerifySchedule& verify_;
};

}  // namespace millrace::app
