// What GET /metrics shows of a process's stages and tasks. Names: telemetry/definitions.h.
#pragma once

#include "app/wiring/delivery_monitor.h"
#include "app/wiring/operations.h"
#include "app/wiring/pipeline.h"
#include "app/wiring/verify_schedule.h"
#include "dead_letters/dead_letters.h"
#include "telemetry/registry.h"

namespace millrace::app {

// Each adds collectors, which ask at every scrape; those that ask a system which does not answer within a
// second give no sample. What they are given must outlive the registry's last scrape.

/// What every process has.
void add_process_metrics(telemetry::Registry& registry);
void add_pipeline_metrics(telemetry::Registry& registry, Pipeline& pipeline, const Stages& stages);
void add_delivery_metrics(telemetry::Registry& registry, const DeliveryMonitor& delivery);
void add_dead_letter_metrics(telemetry::Registry& registry, dead_letters::DeadLetters& letters);
void add_verify_metrics(telemetry::Registry& registry, const VerifySchedule& verify);
/// The two above, of the operations.
void add_operations_metrics(telemetry::Registry& registry, Operations& operations);

}  // namespace millrace::app
