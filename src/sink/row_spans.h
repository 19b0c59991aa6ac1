// The spans of rows on their way into the warehouse.
#pragma once

#include "base/utc_time.h"
#include "domain/analytics_row.h"
#include "telemetry/tracer.h"

namespace millrace::sink {

/// The row has become visible at that moment: records its span, from when the row was made, if it belongs to
/// a sampled trace.
void record_visible(const telemetry::Tracer& tracer, const domain::AnalyticsRow& row, base::UtcTime visible);

}  // namespace millrace::sink
