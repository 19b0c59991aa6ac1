// Calls that become commands of the ordering stage.
#pragma once

#include <utility>

#include "api/routes.h"
#include "ordering/order_service.h"

namespace millrace::api {

/// What becomes of a command: `show(outcome)` gives the answer to a success.
template <class Show>
[[nodiscard]] ordering::OnDone answer_with(const CallPointer& call, Show show) {
  return [call, show = std::move(show)](base::Result<ordering::Outcome> outcome) {
    answer_whatever_happens(*call, [&] {
      if (!outcome) return call->fail(outcome.error());
      Answer answer = show(*outcome);
      answer ? call->answer(std::move(*answer)) : call->fail(answer.error());
    });
  };
}

}  // namespace millrace::api
