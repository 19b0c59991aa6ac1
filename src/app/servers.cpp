#include "app/servers.h"

namespace millrace::app {
namespace {
class NoServers final : public Servers {
 public:
  [[nodiscard]] std::vector<SummaryLine> states() const override { return {}; }
  void stop(base::Deadline) override {}
};
}  // namespace
base::Result<std::unique_ptr<Servers>> Servers::start(const Settings& settings, const std::string&) {
  if (settings.mysql_embedded || settings.clickhouse_embedded) return base::invalid("no embedded servers yet");
  return std::make_unique<NoServers>();
}
}  // namespace millrace::app
