// Distinct types for identifiers that are all text or all numbers underneath.
#pragma once

#include <compare>
#include <functional>
#include <utility>

namespace millrace::base {

template <class Tag, class Value>
class StrongId {
 public:
  StrongId() = default;
  explicit StrongId(Value value) : value_(std::move(value)) {}
  [[nodiscard]] const Value& value() const { return value_; }
  friend auto operator<=>(const StrongId&, const StrongId&) = default;
  friend bool operator==(const StrongId&, const StrongId&) = default;

 private:
  Value value_{};
};

}  // namespace millrace::base

template <class Tag, class Value>
struct std::hash<millrace::base::StrongId<Tag, Value>> {
  std::size_t operator()(const millrace::base::StrongId<Tag, Value>& id) const noexcept {
    return std::hash<Value>{}(id.value());
  }
};
