#include "api/readiness.h"

#include <algorithm>

#include "base/json.h"

namespace millrace::api {

Readiness readiness_of(const std::vector<std::pair<std::string, bool>>& systems,
                       const PipelineReadiness* pipeline) {
  Readiness readiness;
  readiness.is_ready = std::ranges::all_of(systems, [](const auto& system) { return system.second; }) &&
                       (pipeline == nullptr || pipeline->runs);
  base::JsonWriter json(readiness.json);
  json.begin_object();
  json.key("status").string(readiness.is_ready ? "ready" : "not ready");
  for (const auto& [name, answers] : systems) json.key(name).boolean(answers);
  if (pipeline != nullptr) {
    json.key("pipeline").boolean(pipeline->runs);
    if (!pipeline->stages.empty()) {
      json.key("stages").begin_array();
      for (const StageTrouble& trouble : pipeline->stages) {
        json.begin_object();
        json.key("stage").string(trouble.stage);
        json.key("state").string(trouble.state);
        json.key("reason").string(trouble.reason);
        json.end_object();
      }
      json.end_array();
    }
    if (!pipeline->delivery.empty()) json.key("delivery").string(pipeline->delivery);
  }
  json.end_object();
  return readiness;
}

}  // namespace millrace::api
