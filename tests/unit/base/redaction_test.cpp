#include "base/redaction.h"

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

TEST(Redaction, KnowsASecretByItsKeyInAnySpelling) {
  for (const char* key : {"password",
                          "mysql.password",
                          "PASSWD",
                          "db_pwd",
                          "client.secret",
                          "access-token",
                          "apikey",
                          "api.key",
                          "api_key",
                          "apiKey",
                          "x-api-key",
                          "basic.auth.user.info",
                          "basic.auth.credentials.source",
                          "sasl.jaas.config",
                          "ssl.key.password",
                          "ssl.keystore.key",
                          "private.key",
                          "privateKey",
                          "AWS_ACCESS_KEY_ID",
                          "aws.secret.access.key",
                          "auth",
                          "proxy.auth",
                          "proxyAuth",
                          "http.authorization",
                          "ssl.key.pem",
                          "user.pass",
                          "session-cookie",
                          "connection.string",
                          "passphrase"})
    EXPECT_TRUE(is_secret_key(key)) << key;
}

TEST(Redaction, LetsOrdinaryKeysBe) {
  for (const char* key : {"connector.class", "tasks.max", "topics", "hostname", "port", "ssl", "database",
                          "username", "key.converter", "value.converter.schemas.enable",
                          "consumer.override.auto.offset.reset", "errors.tolerance", "author", "bypass.cache",
                          "errors.deadletterqueue.topic.name", "exactlyOnce", "keeper", ""})
    EXPECT_FALSE(is_secret_key(key)) << key;
}

TEST(Redaction, TakesTheUserInformationOutOfUrls) {
  EXPECT_EQ(without_userinfo("http://u:p@h:1/x"), "http://***@h:1/x");
  EXPECT_EQ(without_userinfo("mysql://root:a@b/c@h/db and https://t@g"),
            "mysql://***@h/db and https://***@g");
  EXPECT_EQ(without_userinfo("at http://h:1/x: refused"), "at http://h:1/x: refused");
  EXPECT_EQ(without_userinfo("://@"), "://***@");
  EXPECT_EQ(without_userinfo(""), "");
}

TEST(Redaction, TakesSecretsOutOfValues) {
  EXPECT_EQ(without_secrets("jdbc:mysql://h/db?user=a&password=b&ssl=1"),
            "jdbc:mysql://h/db?user=a&password=***&ssl=1");
  EXPECT_EQ(without_secrets("sasl.username=u;sasl.password=p"), "sasl.username=u;sasl.password=***");
  EXPECT_EQ(without_secrets("login required username=\"u\" password=\"p q\";"),
            "login required username=\"u\" password=***;");
  EXPECT_EQ(without_secrets("https://a:b@h/?apiKey=c"), "https://***@h/?apiKey=***");
  EXPECT_EQ(without_secrets("Authorization: Basic YWRtaW46YQ=="), "***");
  EXPECT_EQ(without_secrets("orders_analytics=orders_analytics"), "orders_analytics=orders_analytics");
  EXPECT_EQ(without_secrets("password="), "password=");
}

TEST(Redaction, TakesAddressesOfPeopleOutOfMessages) {
  EXPECT_EQ(without_personal_data("Duplicate entry 'ann.b+c@example.org' for key 'email'"),
            "Duplicate entry '***' for key 'email'");
  EXPECT_EQ(without_personal_data("a@b.c, d@e.f"), "***, ***");
  EXPECT_EQ(without_personal_data("user 'shop'@'localhost' at http://u:p@h"),
            "user 'shop'@'localhost' at http://***@h");
  EXPECT_EQ(without_personal_data("@ a@ @b a@b"), "@ a@ @b a@b");
}

}  // namespace
}  // namespace millrace::base
