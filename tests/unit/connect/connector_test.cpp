#include "connect/connector.h"

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

namespace millrace::connect {
namespace {

std::string text_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

Config right() {
  return {{"connector.class", std::string(kConnectorClass)},
          {"topics", "orders_analytics"},
          {"database", "analytics"}};
}

std::string wrong_key(Config config, const std::string& key, const std::string& value) {
  config[key] = value;
  const auto problems = problems_of(config);
  return problems.size() == 1 ? problems[0].key : std::to_string(problems.size()) + " problems";
}

TEST(Connector, TakesTheCommittedFileOfTheOtherConnector) {
  const auto named = parse_named_config(text_of(MILLRACE_CONNECTOR_FILE));

  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->name, kConnectorName);
  EXPECT_TRUE(problems_of(named->config).empty());
  EXPECT_EQ(named->config.at("topics"), "orders_analytics");
}

TEST(Connector, RefusesWhatTheSinkDoesNotDo) {
  EXPECT_TRUE(problems_of(right()).empty());
  EXPECT_EQ(wrong_key(right(), "topics", "orders_analytics,payments"), "topics");
  EXPECT_EQ(wrong_key(right(), "topics.regex", ".*"), "topics.regex");
  EXPECT_EQ(wrong_key(right(), "database", "default"), "database");
  EXPECT_EQ(wrong_key(right(), "topic2TableMap", "orders_analytics=other"), "topic2TableMap");
  EXPECT_EQ(wrong_key(right(), "connector.class", "org.example.OtherConnector"), "connector.class");
  EXPECT_EQ(wrong_key(right(), "tasks.max", "none"), "tasks.max");
  EXPECT_EQ(wrong_key(right(), "name", "another"), "name");
  EXPECT_EQ(problems_of({}).size(), 3U) << "class, topic and database must be given";
}

TEST(Connector, TakesTheShortNamesOfItsClassAndKeysThatMeanNothingToIt) {
  Config config = right();
  config["connector.class"] = "ClickHouseSink";
  config["topic2TableMap"] = "orders_analytics=orders_analytics";
  config["transforms"] = "none.of.our.business";
  EXPECT_TRUE(problems_of(config).empty());
}

TEST(Connector, KeepsNoSecret) {
  const Config shown = masked({{"password", "test123"},
                               {"ssl.keystore.password", "a"},
                               {"sasl.jaas.config", "b"},
                               {"client.secret", "c"},
                               {"passwd", "d"},
                               {"apikey", "e"},
                               {"basic.auth.user.info", "u:f"},
                               {"proxy.url", "http://u:g@h:1"},
                               {"jdbcConnectionProperties", "user=u&password=h"},
                               {"username", "admin"}});

  EXPECT_EQ(
      config_json(shown),
      R"({"apikey":"[hidden]","basic.auth.user.info":"[hidden]","client.secret":"[hidden]",)"
      R"("jdbcConnectionProperties":"user=u&password=***","passwd":"[hidden]","password":"[hidden]",)"
      R"("proxy.url":"http://***@h:1","sasl.jaas.config":"[hidden]","ssl.keystore.password":"[hidden]",)"
      R"("username":"admin"})");
  EXPECT_EQ(masked(shown), shown) << "what was shown can be sent back";
}

TEST(Connector, ReadsNumbersAndTruthValuesAsText) {
  const auto config = parse_config(R"({"tasks.max":3,"ssl":false,"nothing":null,"ratio":0.5})");

  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(*config, (Config{{"tasks.max", "3"}, {"ssl", "false"}, {"ratio", "0.5"}}));
}

TEST(Connector, RefusesWhatIsNoConfiguration) {
  EXPECT_EQ(parse_config("[]").error().kind, base::ErrorKind::kInvalid);
  EXPECT_EQ(parse_config(R"({"a":{"b":1}})").error().kind, base::ErrorKind::kInvalid);
  EXPECT_EQ(parse_config("{").error().kind, base::ErrorKind::kInvalid);
  EXPECT_EQ(parse_named_config(R"({"name":"x"})").error().kind, base::ErrorKind::kInvalid);
  EXPECT_EQ(parse_named_config(R"({"config":{}})").error().kind, base::ErrorKind::kInvalid);
  std::string many = "{\"k\":\"v\"";
  for (int i = 0; i < 300; ++i) many += ",\"k" + std::to_string(i) + "\":\"v\"";
  EXPECT_EQ(parse_config(many + "}").error().kind, base::ErrorKind::kInvalid);
}

}  // namespace
}  // namespace millrace::connect
