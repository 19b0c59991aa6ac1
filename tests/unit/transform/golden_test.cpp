// The samples in schema/events/golden are what the topics carry: events as the order service writes them, and
// the rows that the transformer makes of them. Readers elsewhere are tested against these files, so a change
// here is a change of the contract.
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "base/text.h"
#include "transform/mapping.h"

namespace millrace::transform {
namespace {

std::string text_of(const std::string& name) {
  std::ifstream file(std::string(MILLRACE_GOLDEN_SAMPLES) + "/" + name);
  EXPECT_TRUE(file) << name << " is missing";
  std::stringstream text;
  text << file.rdbuf();
  return std::string(base::trim(text.str()));
}

class GoldenSample : public testing::TestWithParam<const char*> {};

TEST_P(GoldenSample, IsReadAndWrittenBackByteForByte) {
  const std::string sample = text_of(std::string(GetParam()) + ".event.json");
  const auto event = domain::parse_order_event(sample);
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(domain::to_json(*event), sample);
}

TEST_P(GoldenSample, BecomesItsRow) {
  const auto event = domain::parse_order_event(text_of(std::string(GetParam()) + ".event.json"));
  ASSERT_TRUE(event) << event.error().message;
  const auto row =
      to_analytics_row(*event, domain::EventId(42), event->occurred_at + std::chrono::milliseconds(3),
                       event->occurred_at + std::chrono::milliseconds(5));
  const std::string sample = text_of(std::string(GetParam()) + ".row.json");
  EXPECT_EQ(domain::to_json(row), sample);
  EXPECT_EQ(domain::parse_analytics_row(sample), row);
}

INSTANTIATE_TEST_SUITE_P(Events, GoldenSample,
                         testing::Values("order_created", "order_status_changed", "order_deleted"),
                         [](const auto& sample) { return std::string(sample.param); });

}  // namespace
}  // namespace millrace::transform
