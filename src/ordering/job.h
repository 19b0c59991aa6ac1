// A command on its way from submit to outcome.
#pragma once

#include <cstdint>
#include <optional>

#include "base/deadline.h"
#include "base/result.h"
#include "ordering/order_service.h"

namespace millrace::ordering {

struct Job {
  Command command;
  OnDone done;  ///< Empty once it was called.
  base::Deadline deadline;
  domain::OrderId order_id;  ///< For PlaceOrder made before the first attempt, so that a repeat can see
                             ///< whether it is there.
  /// Set when a commit was begun: the version that the order has if it was committed, though its answer was
  /// lost.
  std::optional<std::uint64_t> version_maybe_committed;

  /// Calls `done` if it was not called yet. An exception of it is logged and ends it alone.
  void answer(base::Result<Outcome> outcome);
};

}  // namespace millrace::ordering
