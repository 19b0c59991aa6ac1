#include "telemetry/definitions.h"

#include <algorithm>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace millrace::telemetry {
namespace {

TEST(Definitions, AreNamedByPrometheusConventions) {
  const std::regex well_formed("millrace_[a-z0-9]+(_[a-z0-9]+)*");
  std::string before;
  for (const Definition& definition : definitions()) {
    const std::string name(definition.name);
    EXPECT_TRUE(std::regex_match(name, well_formed)) << name;
    EXPECT_EQ(name.ends_with("_total"), definition.kind == Kind::kCounter) << name;
    EXPECT_EQ(definition.buckets != Buckets::kNone, definition.kind == Kind::kHistogram) << name;
    EXPECT_TRUE(definition.help.ends_with('.')) << name;
    EXPECT_NE(name, before) << "twice";
    before = name;
  }
}

TEST(Definitions, HaveRisingBuckets) {
  for (const Buckets buckets : {Buckets::kSeconds, Buckets::kRows}) {
    const auto bounds = bounds_of(buckets);
    ASSERT_FALSE(bounds.empty());
    EXPECT_TRUE(std::ranges::is_sorted(bounds));
  }
}

TEST(Definitions, AreThoseOfTheDocument) {
  std::ifstream file(std::string(MILLRACE_SOURCE_DIR) + "/docs/specs/metrics.md");
  ASSERT_TRUE(file);
  std::set<std::string> documented;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("| millrace_")) documented.insert(line.substr(2, line.find(' ', 2) - 2));
  std::set<std::string> defined;
  for (const Definition& definition : definitions()) defined.emplace(definition.name);
  EXPECT_EQ(documented, defined);
}

}  // namespace
}  // namespace millrace::telemetry
