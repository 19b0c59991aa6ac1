#include "adapters/kafka/quorum.h"

#include <gtest/gtest.h>

namespace millrace::adapters::kafka {
namespace {

using namespace std::string_literals;

/// As a broker answers: correlation, no error, one topic with one partition, its leader, then what is not
/// read.
std::string response(const std::string& leader, const std::string& error = "\0\0"s) {
  return "\0\0\0\1\0"s + error + "\2\x13__cluster_metadata\2\0\0\0\0\0\0"s + leader +
         "\0\0\0\5\0\0\0\0\0\0\1\2\1\0\0\0"s;
}

TEST(Quorum, AsksForTheOnePartitionOfTheMetadata) {
  EXPECT_EQ(quorum_request(),
            "\0\0\0\x27\0\x37\0\0\0\0\0\1\xff\xff\0\2\x13__cluster_metadata\2\0\0\0\0\0\0\0"s);
}

TEST(Quorum, HasTheLeaderThatTheAnswerNames) {
  EXPECT_EQ(quorum_leader(response("\0\0\0\3"s)), 3);
}

TEST(Quorum, HasNoLeaderInAnErrorOrWhenNoneIsElected) {
  EXPECT_EQ(quorum_leader(response("\xff\xff\xff\xff")), std::nullopt);
  EXPECT_EQ(quorum_leader(response("\0\0\0\3"s, "\0\x23"s)), std::nullopt);
}

TEST(Quorum, ReadsNoAnswerThatIsCutOffOrAnother) {
  const std::string whole = response("\0\0\0\3"s);
  for (std::size_t size = 0; size < 36; ++size)
    EXPECT_EQ(quorum_leader(std::string_view(whole).substr(0, size)), std::nullopt) << size;
  EXPECT_EQ(quorum_leader(std::string(100, '\xff')), std::nullopt);
  EXPECT_EQ(quorum_leader("\0\0\0\1\0\0\0\xff\xff\xff\xff\x0f"s), std::nullopt);
}

TEST(Quorum, SaysInTimeThatNobodyAnswers) {
  const auto nobody = ask_quorum_leader("127.0.0.1", 1, base::Deadline::in(std::chrono::milliseconds(500)));
  ASSERT_FALSE(nobody.has_value());
  EXPECT_EQ(nobody.error().kind, base::ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace millrace::adapters::kafka
