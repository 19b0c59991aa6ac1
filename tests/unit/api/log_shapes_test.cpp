#include "api/log_shapes.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace millrace::api {
namespace {

std::string message_with(const std::string& value, bool as_text = false) {
  const std::vector<inspect::Message> messages{{1,
                                                {.offset = 7,
                                                 .key = "k\xff",
                                                 .value = value,
                                                 .headers = {{"h", "\x01"}},
                                                 .time = base::utc_from_ms(1'500)}}};
  return messages_json("topic", messages, as_text);
}

TEST(LogShapes, ShowAValueThatIsJsonAsItStandsWithAllItsDigits) {
  EXPECT_EQ(
      message_with(R"({"price":29.9900, "big":123456789012345678901234567890})"),
      R"({"topic":"topic","messages":[{"partition":1,"offset":7,"time":"1970-01-01T00:00:01.500Z","key":"k?",)"
      R"("headers":[{"name":"h","value":"?"}],"valueBytes":55,"truncated":false,"format":"json",)"
      R"("value":{"price":29.9900, "big":123456789012345678901234567890}}]})");
}

TEST(LogShapes, ShowJsonAsTextWhenAskedTo) {
  EXPECT_NE(message_with(R"({"a":1})", true).find(R"("format":"json","value":"{\"a\":1}")"),
            std::string::npos);
}

TEST(LogShapes, AreJsonWhateverBytesAValueHas) {
  for (const std::string& value :
       {std::string(), std::string("{\"a\":"), std::string("\x00\xff\"\\\n", 5), std::string(100'000, '{'),
        "[" + std::string(70'000, ' ') + "]", std::string("\"\xed\xa0\x80\"")}) {
    const std::string shown = message_with(value);
    EXPECT_TRUE(base::parse_json(shown).has_value()) << shown.substr(0, 300);
    EXPECT_LT(shown.size(), kValueShownMax * 2);
    EXPECT_NE(shown.find(value.size() > kValueShownMax ? R"("truncated":true)" : R"("truncated":false)"),
              std::string::npos);
  }
  EXPECT_NE(message_with("\xff").find(R"("format":"binary")"), std::string::npos);
  EXPECT_NE(message_with("text").find(R"("format":"text","value":"text")"), std::string::npos);
}

TEST(LogShapes, SayNullForWhatNobodyTold) {
  ports::TopicState topic;
  topic.info = {"topic", 2, "id"};
  topic.partitions = {{.partition = 0, .leader = 1, .replicas = {1, 2}, .in_sync = {1}, .offsets = {{5, 9}}},
                      {.partition = 1, .leader = {}, .replicas = {2, 1}, .in_sync = {}, .offsets = {}}};
  EXPECT_EQ(
      topics_json(std::vector{topic}),
      R"({"topics":[{"topic":"topic","topicId":"id","internal":false,"partitionCount":2,)"
      R"("replicationFactor":2,"messages":null,"underReplicated":2,"leaderless":1,"partitions":[)"
      R"({"partition":0,"leader":1,"replicas":[1,2],"inSync":[1],"begin":5,"end":9,"messages":4},)"
      R"({"partition":1,"leader":null,"replicas":[2,1],"inSync":[],"begin":null,"end":null,"messages":null}]}]})");

  ports::GroupState group;
  group.group = "group";
  group.state = "Stable";
  group.members = {{"m", "c", "h", {{"topic", 0}}}};
  group.partitions = {{{"topic", 0}, 5, 9}, {{"topic", 1}, std::nullopt, 3}};
  EXPECT_EQ(group_json(group, nullptr),
            R"({"group":"group","state":"Stable","lag":4,"trend":null,"members":[{"id":"m","clientId":"c",)"
            R"("host":"h","partitions":[{"topic":"topic","partition":0}]}],"partitions":[)"
            R"({"topic":"topic","partition":0,"committed":5,"end":9,"lag":4,"memberId":"m"},)"
            R"({"topic":"topic","partition":1,"committed":null,"end":3,"lag":null,"memberId":null}]})");
}

}  // namespace
}  // namespace millrace::api
