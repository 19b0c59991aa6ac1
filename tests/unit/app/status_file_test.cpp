#include "app/local/status_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/temporary_directory.h"

namespace millrace::app {
namespace {

TEST(StackStatus, IsReadAsItWasWrittenAndGoneWithItsKeeper) {
  const support::TemporaryDirectory directory;
  {
    StatusFile keeper(directory.path());
    keeper.step("mysql \"is\" ready");
    keeper.set_services({{.name = "kafka-1",
                          .state = "waiting to restart",
                          .pid = 12,
                          .port = 19'092,
                          .restarts = 3,
                          .problem = "ended (signal 9)"}});
    keeper.set_endpoints({{"MySQL", "localhost:3306", "root/test123"}});
    keeper.set_phase(StackPhase::kReady);

    const auto status = read_setup_status(directory.path());

    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(status->pid, ::getpid());
    EXPECT_EQ(status->phase, StackPhase::kReady);
    EXPECT_EQ(status->steps, std::vector<std::string>{"mysql \"is\" ready"});
    ASSERT_EQ(status->services.size(), 1U);
    EXPECT_EQ(status->services[0].name, "kafka-1");
    EXPECT_EQ(status->services[0].state, "waiting to restart");
    EXPECT_EQ(status->services[0].pid, 12);
    EXPECT_EQ(status->services[0].port, 19'092);
    EXPECT_EQ(status->services[0].restarts, 3U);
    EXPECT_EQ(status->services[0].problem, "ended (signal 9)");
    ASSERT_EQ(status->endpoints.size(), 1U);
    EXPECT_EQ(status->endpoints[0].credentials, "root/test123");
  }
  EXPECT_EQ(read_setup_status(directory.path()).error().kind, base::ErrorKind::kNotFound);
}

TEST(StackStatus, RefusesWhatIsNotAStatus) {
  for (const char* text : {"", "[]", "{}", R"({"pid":1,"phase":"ready"})", R"({"pid":"1"})",
                           R"({"pid":1,"phase":"ready","steps":[],"services":[1],"endpoints":[]})"})
    EXPECT_EQ(parse_setup_status(text).error().kind, base::ErrorKind::kInvalid) << text;
}

}  // namespace
}  // namespace millrace::app
