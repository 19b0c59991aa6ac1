// Members shared by the JSON forms of events and rows.
#pragma once

#include <string_view>

#include <boost/json/value.hpp>

#include "base/json.h"
#include "base/result.h"
#include "base/utc_time.h"
#include "domain/money.h"
#include "domain/order.h"

namespace millrace::domain {

/// A JSON number of money. Errors: kInvalid naming the member.
[[nodiscard]] base::Result<Money> money_member(const boost::json::object& object, std::string_view name,
                                               int decimals_max);
/// A text id of 1 to kIdLengthMax bytes. Errors: kInvalid naming the member.
[[nodiscard]] base::Result<std::string> id_member(const boost::json::object& object, std::string_view name);
/// A text of at most kNameBytesMax bytes. Errors: kInvalid naming the member.
[[nodiscard]] base::Result<std::string> name_member(const boost::json::object& object, std::string_view name);
/// The member object. Errors: kInvalid naming the member.
[[nodiscard]] base::Result<const boost::json::object*> object_member(const boost::json::object& object,
                                                                     std::string_view name);
[[nodiscard]] base::Result<const boost::json::array*> array_member(const boost::json::object& object,
                                                                   std::string_view name);

}  // namespace millrace::domain
