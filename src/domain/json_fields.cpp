#include "domain/json_fields.h"

#include <fmt/format.h>

namespace millrace::domain {

namespace json = boost::json;

base::Result<Money> money_member(const json::object& object, std::string_view name, int decimals_max) {
  const json::value* value = base::find_member(object, name);
  if (value == nullptr || !value->is_number())
    return base::invalid(fmt::format("'{}' must be a number", name));
  auto money = Money::from_double(value->to_number<double>(), decimals_max);
  if (!money) return base::with_context(fmt::format("'{}'", name), std::move(money).error());
  return money;
}

base::Result<std::string> id_member(const json::object& object, std::string_view name) {
  MILLRACE_TRY_ASSIGN(const std::string_view text, base::string_member(object, name));
  if (text.empty() || text.size() > kIdLengthMax)
    return base::invalid(fmt::format("'{}' must have 1 to {} characters", name, kIdLengthMax));
  return std::string(text);
}

base::Result<std::string> name_member(const json::object& object, std::string_view name) {
  MILLRACE_TRY_ASSIGN(const std::string_view text, base::string_member(object, name));
  if (text.size() > kNameBytesMax)
    return base::invalid(fmt::format("'{}' must have at most {} bytes", name, kNameBytesMax));
  return std::string(text);
}

base::Result<const json::object*> object_member(const json::object& object, std::string_view name) {
  const json::value* value = base::find_member(object, name);
  if (value == nullptr || !value->is_object())
    return base::invalid(fmt::format("'{}' must be an object", name));
  return &value->get_object();
}

base::Result<const json::array*> array_member(const json::object& object, std::string_view name) {
  const json::value* value = base::find_member(object, name);
  if (value == nullptr || !value->is_array())
    return base::invalid(fmt::format("'{}' must be an array", name));
  return &value->get_array();
}

}  // namespace millrace::domain
