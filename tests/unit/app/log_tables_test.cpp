#include "app/cli/log_tables.h"

#include <gtest/gtest.h>

namespace millrace::app {
namespace {

TEST(LogTables, AlignColumnsAndGroupDigits) {
  const auto table = topics_table(
      R"({"topics":[{"topic":"a","internal":false,"partitionCount":3,"replicationFactor":3,"messages":1234567,
          "underReplicated":0,"leaderless":0},{"topic":"much.longer","internal":false,"partitionCount":12,
          "replicationFactor":1,"messages":null,"underReplicated":2,"leaderless":1},{"topic":"__own",
          "internal":true,"partitionCount":6,"messages":1}]})",
      false);
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(*table,
            "TOPIC        PARTITIONS  REPLICAS   MESSAGES  STATE\n"
            "a                     3         3  1,234,567  all in sync\n"
            "much.longer          12         1          -  1 partition WITHOUT LEADER\n"
            "\n"
            "2 topics, 15 partitions, 1,234,567 messages (and 1 internal topic: --internal)\n");
}

TEST(LogTables, SayWhichBrokerIsAway) {
  const auto table = cluster_table(
      R"({"eventLog":"kafka","clusterId":"id","brokers":[
          {"id":1,"host":null,"port":null,"rack":null,"up":false},
          {"id":2,"host":"127.0.0.1","port":19092,"rack":"r1","up":true}]})");
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(*table,
            "kafka event log, cluster id: 1 of 2 brokers up\n\n"
            "BROKER  ADDRESS          RACK  STATE\n"
            "     1  -                -     AWAY\n"
            "     2  127.0.0.1:19092  r1    up\n");
}

TEST(LogTables, TellSettingsInWords) {
  const auto table = topic_table(
      R"({"topic":"t","topicId":"i","partitionCount":1,"replicationFactor":3,"messages":-0,"partitions":[
          {"partition":0,"leader":null,"replicas":[1,2,3],"inSync":[],"begin":null,"end":null,"messages":null}],
          "settings":[{"name":"retention.ms","value":"604800000"},{"name":"min.insync.replicas","value":"2"},
          {"name":"cleanup.policy","value":"compact"},{"name":"segment.ms","value":"1"},
          {"name":"max.message.bytes","value":"1100000"}]})");
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(*table,
            "t: 1 partition, 3 replicas, 0 messages\n"
            "topic id i\n\n"
            "PARTITION  LEADER  REPLICAS  IN SYNC  BEGIN  END  MESSAGES\n"
            "        0    NONE  1,2,3     none         -    -         -\n\n"
            "records are kept for 7 d\n"
            "a write is acknowledged by at least 2 replicas\n"
            "of each key only the last record is kept\n"
            "a record has at most 1.0 MiB\n");
}

TEST(LogTables, ShowGroupsWithTheirTrendAndMembersThatStandBy) {
  const std::string group =
      R"({"group":"g","state":"Stable","lag":1500,"trend":{"direction":"growing","perSecond":12.34},
          "members":[{"id":"m1","clientId":"c","host":"h","partitions":[{"topic":"t","partition":0},
          {"topic":"t","partition":2}]},{"id":"m2","clientId":"c","host":"h","partitions":[]}],
          "partitions":[{"topic":"t","partition":0,"committed":10,"end":1510,"lag":1500,"memberId":"m1"}]})";
  const auto list = groups_table(R"({"groups":[)" + group + "]}");
  ASSERT_TRUE(list.has_value());
  EXPECT_EQ(*list,
            "GROUP  STATE   MEMBERS  TOPICS    LAG  TREND\n"
            "g      Stable        2  t       1,500  growing +12.3/s\n\n"
            "1 group, 1,500 records behind\n");
  const auto one = group_table(group);
  ASSERT_TRUE(one.has_value());
  EXPECT_EQ(*one,
            "g: Stable, 2 members, lag 1,500 (growing +12.3/s)\n\n"
            "TOPIC  PARTITION  COMMITTED    END    LAG  MEMBER\n"
            "t              0         10  1,510  1,500  m1\n\n"
            "MEMBER  CLIENT  HOST  PARTITIONS\n"
            "m1      c       h     t/0,2\n"
            "m2      c       h     none (stands by)\n");
  EXPECT_EQ(group_table(R"({"groups":[)" + group + "]}").value(), *one);
}

TEST(LogTables, RefuseWhatIsNoAnswer) {
  EXPECT_FALSE(topics_table("[]", false).has_value());
  EXPECT_FALSE(group_table("nothing").has_value());
}

}  // namespace
}  // namespace millrace::app
