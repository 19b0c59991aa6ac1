// Which row of a table of routes a request names.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::web {

/// The segments of `path` in the places of "{name}" in a pattern such as "/api/orders/{id}", in order;
/// nothing if the path does not match. `path` holds decoded segments.
[[nodiscard]] std::optional<std::vector<std::string>> match_pattern(std::string_view pattern,
                                                                    std::span<const std::string> path);

/// Adds a verb to what an Allow header lists; with GET comes HEAD.
void allow_verb(std::string& allowed, std::string_view verb);

template <class Route>
struct RouteMatch {
  const Route* route = nullptr;        ///< Null: no row has this path and verb.
  std::vector<std::string> arguments;  ///< What stands for each {name} of its pattern, in order.
  /// The verbs that the path has, as an Allow header spells them; empty if no row has this path (404, else
  /// 405).
  std::string allowed;
};

/// The first of `routes` with that verb and path; Route has the members `verb` and `pattern`. A pure
/// function.
template <class Route>
[[nodiscard]] RouteMatch<Route> find_route(std::span<const Route> routes, std::string_view verb,
                                           std::span<const std::string> path) {
  RouteMatch<Route> found;
  for (const Route& route : routes) {
    auto arguments = match_pattern(route.pattern, path);
    if (!arguments) continue;
    allow_verb(found.allowed, route.verb);
    if (found.route != nullptr || route.verb != verb) continue;
    found.route = &route;
    found.arguments = std::move(*arguments);
  }
  if (!found.allowed.empty()) allow_verb(found.allowed, "OPTIONS");
  return found;
}

}  // namespace millrace::web
