// What a difference looks like in the report.
#pragma once

#include <string>
#include <vector>

#include "verify/report.h"
#include "verify/rows.h"
#include "verify/view.h"

namespace millrace::verify {

/// Adds a line for each column in which the order differs, or one that says on which side it is missing
/// (nullptr).
void describe_order(const std::string& id, const OrderRow* store, const OrderRow* warehouse,
                    std::vector<Difference>& lines);

/// The same for a key of a view.
void describe_view(const View& view, const Key& key, const ViewRow* store, const ViewRow* warehouse,
                   std::vector<Difference>& lines);

}  // namespace millrace::verify
