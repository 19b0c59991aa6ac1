#include "app/cli/command.h"

#include <string>

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

#include "app/cli/exit_codes.h"

namespace millrace::app {
namespace {

/// What runs for this command line, with its setting flag's value behind it.
std::string what_runs(const std::string& words) {
  std::string ran = "nothing";
  CLI::App app;
  app.fallthrough();
  app.require_subcommand(1);
  SettingSources sources;
  app.add_option_function<std::string>("--api-port",
                                       [&](const std::string& value) { sources.flags["api.port"] = value; });
  Commands commands;
  const auto runs = [&ran](const std::string& name) {
    return [&ran, name](const SettingSources& given) {
      ran = name;
      for (const auto& [key, value] : given.flags) ran += " " + key + "=" + value;
      return kExitOk;
    };
  };
  CLI::App& topics = commands.add(app, "topics", "", runs("list"));
  topics.require_subcommand(0, 1);
  commands.add(topics, "show", "", runs("show"));
  CLI::App& dlq = commands.add_group(app, "dlq", "");
  dlq.require_subcommand(1);
  commands.add(dlq, "drop", "", runs("drop"));
  try {
    app.parse(words);
  } catch (const CLI::ParseError&) {
    return "a complaint";
  }
  EXPECT_EQ(commands.run(sources), kExitOk);
  return ran;
}

TEST(Commands, RunWhatTheCommandLineEndsWith) {
  EXPECT_EQ(what_runs("topics"), "list");
  EXPECT_EQ(what_runs("topics show"), "show");
  EXPECT_EQ(what_runs("dlq drop"), "drop");
  EXPECT_EQ(what_runs("dlq"), "a complaint");
  EXPECT_EQ(what_runs("topics drop"), "a complaint");
}

TEST(Commands, UnderstandTheSettingsBehindEveryName) {
  EXPECT_EQ(what_runs("--api-port 1 topics show"), "show api.port=1");
  EXPECT_EQ(what_runs("topics --api-port 2"), "list api.port=2");
  EXPECT_EQ(what_runs("dlq drop --api-port 3"), "drop api.port=3");
}

TEST(Commands, TellOutcomesByTheirExitCodes) {
  EXPECT_EQ(finish({}), kExitOk);
  EXPECT_EQ(finish(base::not_found("no")), exit_code(base::ErrorKind::kNotFound));
  EXPECT_EQ(finish_check(true), kExitOk);
  EXPECT_EQ(finish_check(false), kExitDifferences);
  EXPECT_EQ(finish_check(base::unavailable("no")), exit_code(base::ErrorKind::kUnavailable));
}

}  // namespace
}  // namespace millrace::app
