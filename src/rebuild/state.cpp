#include "rebuild/state.h"

#include <algorithm>
#include <array>
#include <type_traits>

#include <fmt/format.h>

#include "base/json.h"

namespace millrace::rebuild {
namespace {

constexpr std::array<std::string_view, 7> kPhaseNames = {"begin",    "create",   "snapshot", "fill",
                                                         "catch-up", "exchange", "clean"};

base::Result<State> read_state(std::string_view text) {
  MILLRACE_TRY_ASSIGN(const auto document, base::parse_json(text));
  if (!document.is_object()) return base::invalid("it is no object");
  const auto& object = document.get_object();
  State state;
  MILLRACE_TRY_ASSIGN(const std::string_view phase, base::string_member(object, "phase"));
  const auto name = std::ranges::find(kPhaseNames, phase);
  if (name == kPhaseNames.end()) return base::invalid(fmt::format("there is no phase '{}'", phase));
  state.phase = static_cast<Phase>(name - kPhaseNames.begin());
  const auto text_of = [&](std::string_view key, std::string& into) -> base::Result<void> {
    MILLRACE_TRY_ASSIGN(const std::string_view text_member, base::string_member(object, key));
    into = text_member;
    return {};
  };
  const auto number_of = [&](std::string_view key, auto& into) -> base::Result<void> {
    MILLRACE_TRY_ASSIGN(const std::int64_t number, base::int_member(object, key));
    into = static_cast<std::remove_reference_t<decltype(into)>>(number);
    return {};
  };
  MILLRACE_TRY(number_of("generation", state.generation.number));
  MILLRACE_TRY(number_of("snapshotVersionMax", state.generation.snapshot_version_max));
  MILLRACE_TRY(number_of("orders", state.orders));
  MILLRACE_TRY(number_of("slice", state.slice));
  MILLRACE_TRY(number_of("sliceOrders", state.slice_orders));
  MILLRACE_TRY(number_of("leftOut", state.skipped));
  MILLRACE_TRY(text_of("incarnation", state.topic_id));
  MILLRACE_TRY(text_of("staging", state.staging));
  MILLRACE_TRY(text_of("base", state.base));
  MILLRACE_TRY(text_of("rollups", state.rollups));
  MILLRACE_TRY(text_of("baseUuid", state.base_uuid));
  MILLRACE_TRY(text_of("rollupsUuid", state.rollups_uuid));
  MILLRACE_TRY(text_of("lastId", state.last_id));
  const auto* positions = base::find_member(object, "positions");
  if (positions == nullptr || !positions->is_array()) return base::invalid("'positions' must be an array");
  for (const auto& entry : positions->get_array()) {
    if (!entry.is_object()) return base::invalid("'positions' must hold objects");
    const auto& fields = entry.get_object();
    StartPosition start;
    MILLRACE_TRY_ASSIGN(const std::int64_t partition, base::int_member(fields, "partition"));
    MILLRACE_TRY_ASSIGN(const std::int64_t as_of_offset, base::int_member(fields, "upto"));
    MILLRACE_TRY_ASSIGN(start.position.input_offset, base::int_member(fields, "inputOffset"));
    start.partition = static_cast<std::int32_t>(partition);
    start.position.as_of_offset = static_cast<std::uint64_t>(as_of_offset);
    state.positions.push_back(start);
  }
  return state;
}

}  // namespace

std::string_view to_string(Phase phase) {
  return kPhaseNames[static_cast<std::size_t>(phase)];
}

std::string to_json(const State& state) {
  std::string text;
  base::JsonWriter out(text);
  out.begin_object();
  out.key("phase").string(to_string(state.phase));
  out.key("generation").number(std::uint64_t{state.generation.number});
  out.key("snapshotVersionMax").number(state.generation.snapshot_version_max);
  out.key("incarnation").string(state.topic_id);
  out.key("positions").begin_array();
  for (const StartPosition& start : state.positions) {
    out.begin_object();
    out.key("partition").number(std::int64_t{start.partition});
    out.key("upto").number(start.position.as_of_offset);
    out.key("inputOffset").number(start.position.input_offset);
    out.end_object();
  }
  out.end_array();
  out.key("staging").string(state.staging);
  out.key("base").string(state.base);
  out.key("rollups").string(state.rollups);
  out.key("baseUuid").string(state.base_uuid);
  out.key("rollupsUuid").string(state.rollups_uuid);
  out.key("lastId").string(state.last_id);
  out.key("orders").number(state.orders);
  out.key("slice").number(state.slice);
  out.key("sliceOrders").number(state.slice_orders);
  out.key("leftOut").number(state.skipped);
  out.end_object();
  return text;
}

base::Result<State> parse_state(std::string_view json) {
  if (json.empty()) return State{};
  auto state = read_state(json);
  if (!state)
    return base::fatal(
        fmt::format("the rebuild's checkpoint cannot be read ({}): cancel the job and start "
                    "another",
                    state.error().message));
  return state;
}

}  // namespace millrace::rebuild
