#include "supervise/embedded_warehouse.h"

#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "supervise/tcp_probe.h"
#include "support/free_port.h"
#include "support/temporary_directory.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using base::Deadline;
using supervise::EmbeddedWarehouse;
using supervise::EmbeddedWarehouseOptions;
using supervise::ServiceState;

class EmbeddedWarehouseTest : public testing::Test {
 protected:
  [[nodiscard]] EmbeddedWarehouseOptions options() const {
    return {.directory = directory_.path() / "warehouse",
            .program = MILLRACE_WAREHOUSE_PROGRAM,
            .host = "127.0.0.1",
            .port = port_,
            .user = "admin",
            .password = "sec=ret",
            .extra_arguments = {},
            .environment = {}};
  }
  /// The first line of the answer to a query with these credentials.
  [[nodiscard]] std::string ask(const std::string& user, const std::string& password) const {
    const std::string request = fmt::format(
        "GET /?query=SELECT%2042 HTTP/1.1\r\nHost: localhost\r\nX-ClickHouse-User: {}\r\nX-ClickHouse-Key: "
        "{}\r\nConnection: close\r\n\r\n",
        user, password);
    const auto answer = supervise::first_answer("127.0.0.1", port_, request, Deadline::in(20s));
    return answer ? answer->substr(0, answer->find('\r')) : answer.error().message;
  }

  support::TemporaryDirectory directory_;
  std::uint16_t port_ = support::free_port();
};

TEST_F(EmbeddedWarehouseTest, ServesItsUserAndComesBackWhenItIsKilled) {
  EmbeddedWarehouse warehouse(options());
  const auto started = warehouse.start(Deadline::in(60s));
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_EQ(ask("admin", "sec=ret"), "HTTP/1.1 200 OK");
  EXPECT_NE(ask("admin", "other"), "HTTP/1.1 200 OK");
  const pid_t pid = warehouse.status().pid;
  std::ifstream command(fmt::format("/proc/{}/cmdline", pid));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(command), {}).find("sec=ret"), std::string::npos);

  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  const Deadline deadline = Deadline::in(60s);
  while ((warehouse.status().state != ServiceState::kReady || warehouse.status().pid == pid) &&
         !deadline.passed())
    std::this_thread::sleep_for(10ms);

  EXPECT_EQ(warehouse.status().restarts, 1u);
  EXPECT_EQ(ask("admin", "sec=ret"), "HTTP/1.1 200 OK");
  warehouse.stop();
  EXPECT_EQ(warehouse.status().state, ServiceState::kStopped);
}

TEST_F(EmbeddedWarehouseTest, SaysWhatToDoWhenItsProgramIsNotBuilt) {
  EmbeddedWarehouseOptions without = options();
  without.program = directory_.path() / "millrace-warehouse";
  const auto refused = EmbeddedWarehouse(without).start(Deadline::in(5s));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kNotFound);
  EXPECT_NE(refused.error().message.find("make build"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace millrace
