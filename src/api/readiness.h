// The answer to GET /readyz, of every process.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace millrace::api {

/// A stage that does not run.
struct StageTrouble {
  std::string stage;
  std::string state;   ///< "waiting" or "failed".
  std::string reason;  ///< With the cure; in words that a client may be told.
};

struct PipelineReadiness {
  bool runs = true;  ///< No stage has failed, and changes are becoming visible.
  std::vector<StageTrouble> stages = {};
  std::string delivery = {};  ///< Why changes are not becoming visible; empty while they are.
};

struct Readiness {
  bool is_ready = false;
  std::string json;
};

/// Ready when all systems answer and the pipeline runs; a stage that only waits for a system that is
/// unavailable is named, and the system's own check decides. `systems`: the answer's member ("orderStore")
/// and whether it answers. `pipeline` may be null, where no stages run.
[[nodiscard]] Readiness readiness_of(const std::vector<std::pair<std::string, bool>>& systems,
                                     const PipelineReadiness* pipeline);

}  // namespace millrace::api
