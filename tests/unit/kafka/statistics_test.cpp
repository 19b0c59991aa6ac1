#include "adapters/kafka/statistics.h"

#include <gtest/gtest.h>

namespace millrace::adapters::kafka {
namespace {

TEST(KafkaStatistics, AreReadFromWhatTheLibraryCounts) {
  const auto statistics = parse_statistics(R"({
    "name": "millrace#producer-1", "client_id": "millrace", "type": "producer", "replyq": 3,
    "msg_cnt": 22710, "msg_size": 704010, "txmsgs": 4300753, "rxmsgs": 7,
    "brokers": {
      "localhost:9094/3": {"name": "localhost:9094/3", "nodeid": 3, "state": "DOWN", "outbuf_cnt": 0, "waitresp_cnt": 0,
        "tx": 0, "txerrs": 2, "rxerrs": 1, "txretries": 4, "req_timeouts": 5},
      "localhost:9093/bootstrap": {"name": "localhost:9093/bootstrap", "nodeid": -1, "state": "UP"},
      "localhost:9092/2": {"name": "localhost:9092/2", "nodeid": 2, "state": "UP", "outbuf_cnt": 6, "waitresp_cnt": 8,
        "tx": 320, "txerrs": 0, "rxerrs": 0, "txretries": 0, "req_timeouts": 0,
        "rtt": {"min": 1580, "max": 3389, "avg": 2349, "p99": 3100}}},
    "topics": {}})");
  ASSERT_TRUE(statistics) << statistics.error().message;
  EXPECT_EQ(statistics->client_id, "millrace");
  EXPECT_EQ(statistics->type, "producer");
  EXPECT_EQ(statistics->messages_queued, 22'710);
  EXPECT_EQ(statistics->bytes_queued, 704'010);
  EXPECT_EQ(statistics->operations_queued, 3);
  EXPECT_EQ(statistics->messages_sent, 4'300'753u);
  EXPECT_EQ(statistics->messages_received, 7u);
  ASSERT_EQ(statistics->brokers.size(), 2u) << "an address to begin with is no broker";
  const BrokerStatistics& up = statistics->brokers[0];
  EXPECT_EQ(up.id, 2);
  EXPECT_EQ(up.name, "localhost:9092/2");
  EXPECT_TRUE(up.is_up);
  EXPECT_EQ(up.requests_queued, 6);
  EXPECT_EQ(up.requests_in_flight, 8);
  EXPECT_EQ(up.round_trip_us_avg, 2'349);
  EXPECT_EQ(up.round_trip_us_p99, 3'100);
  EXPECT_EQ(up.requests, 320u);
  const BrokerStatistics& down = statistics->brokers[1];
  EXPECT_EQ(down.id, 3);
  EXPECT_FALSE(down.is_up);
  EXPECT_EQ(down.round_trip_us_avg, 0);
  EXPECT_EQ(down.send_errors, 2u);
  EXPECT_EQ(down.receive_errors, 1u);
  EXPECT_EQ(down.retries, 4u);
  EXPECT_EQ(down.timeouts, 5u);
}

TEST(KafkaStatistics, AreZeroWhereTheLibrarySaysNothing) {
  const auto statistics = parse_statistics(R"({"brokers": {"x": 1}, "msg_cnt": "many", "txmsgs": -4})");
  ASSERT_TRUE(statistics);
  EXPECT_EQ(statistics->messages_queued, 0);
  EXPECT_EQ(statistics->messages_sent, 0u);
  EXPECT_TRUE(statistics->brokers.empty());
}

TEST(KafkaStatistics, RefuseWhatIsNoJsonObject) {
  for (const char* text : {"", "[]", "{", "1"})
    EXPECT_EQ(parse_statistics(text).error().kind, base::ErrorKind::kInvalid) << text;
}

}  // namespace
}  // namespace millrace::adapters::kafka
