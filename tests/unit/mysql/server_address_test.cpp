#include "adapters/mysql/server_address.h"

#include <gtest/gtest.h>

#include "adapters/mysql/errors.h"
#include "adapters/mysql/statements.h"

namespace millrace {
namespace {

using adapters::mysql::kind_of;
using adapters::mysql::parse_server_url;
using adapters::mysql::TlsMode;
using base::ErrorKind;

TEST(MysqlUrl, ReadsAllPartsWithPercentEncoding) {
  const auto address = parse_server_url(
      "mysql://admin:te%40st%2F1%3A@db.example:3307/ecommerce?tls=verify&tls_ca=%2Fetc%2Fca.pem");
  ASSERT_TRUE(address) << address.error().message;
  EXPECT_EQ(address->user, "admin");
  EXPECT_EQ(address->password, "te@st/1:");
  EXPECT_EQ(address->host, "db.example");
  EXPECT_EQ(address->port, 3307);
  EXPECT_EQ(address->database, "ecommerce");
  EXPECT_EQ(address->tls, TlsMode::kVerify);
  EXPECT_EQ(address->tls_ca_file, "/etc/ca.pem");
}

TEST(MysqlUrl, FillsInThePortAndKnowsSockets) {
  const auto plain = parse_server_url("mysql://root@localhost/shop");
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_EQ(plain->port, 3306);
  EXPECT_EQ(plain->password, "");
  EXPECT_EQ(plain->tls, TlsMode::kOff);
  const auto socket = parse_server_url("mysql://root:x@localhost/shop?socket=%2Frun%2Fmysql.sock");
  ASSERT_TRUE(socket) << socket.error().message;
  EXPECT_EQ(socket->unix_socket, "/run/mysql.sock");
}

TEST(MysqlUrl, TakesAnAuthorityForTheWishToVerifyTheServer) {
  const auto address = parse_server_url("mysql://root@db/shop?tls_ca=/etc/ca.pem");
  ASSERT_TRUE(address) << address.error().message;
  EXPECT_EQ(address->tls, TlsMode::kVerify);
  EXPECT_EQ(parse_server_url("mysql://root@db/shop?tls=on&tls_ca=/etc/ca.pem")->tls, TlsMode::kOn);
  EXPECT_FALSE(parse_server_url("mysql://root@db/shop?tls_ca=/etc/ca.pem&tls=off"));
}

TEST(MysqlUrl, NeverShowsThePassword) {
  EXPECT_EQ(parse_server_url("mysql://root:secret@127.0.0.1/shop")->shown(), "root@127.0.0.1:3306/shop");
  for (const char* text : {"mysql://root:secret@127.0.0.1:99999/shop", "mysql://root:secret@127.0.0.1/",
                           "http://root:secret@h/shop", "mysql://root:secret@h/a/b", "root:secret@h/shop",
                           "mysql://root:secret@h/shop?tls=secret", "mysql://root:secret@h/shop;drop",
                           "mysql://:secret@h/shop", "mysql://root:se cret@h/shop"}) {
    const auto refused = parse_server_url(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(refused.error().message.find("secret@"), std::string::npos) << refused.error().message;
    EXPECT_EQ(refused.error().message.find("cret@"), std::string::npos) << refused.error().message;
  }
}

TEST(MysqlErrors, SayWhatTheCallerDoesNext) {
  EXPECT_EQ(kind_of(1062), ErrorKind::kConflict);     // duplicate entry
  EXPECT_EQ(kind_of(1406), ErrorKind::kInvalid);      // data too long
  EXPECT_EQ(kind_of(1045), ErrorKind::kFatal);        // access denied
  EXPECT_EQ(kind_of(1665), ErrorKind::kFatal);        // binlog_format = STATEMENT
  EXPECT_EQ(kind_of(3159), ErrorKind::kFatal);        // require_secure_transport
  EXPECT_EQ(kind_of(1213), ErrorKind::kUnavailable);  // deadlock
  EXPECT_EQ(kind_of(1205), ErrorKind::kUnavailable);  // lock wait time-out
  EXPECT_EQ(kind_of(2013), ErrorKind::kUnavailable);  // connection lost
  EXPECT_TRUE(adapters::mysql::is_connection_lost(2006));
  EXPECT_FALSE(adapters::mysql::is_connection_lost(1213));
}

TEST(MysqlStatements, CutIdListsIntoFewShapes) {
  const std::vector<std::string> ids = {"a", "b", "c", "d", "e", "f", "g"};
  std::vector<std::string> lists;
  std::vector<std::size_t> counts;
  const auto run = [&](std::span<const adapters::mysql::Value> values,
                       const std::string& list) -> base::Result<void> {
    lists.push_back(list);
    counts.push_back(values.size());
    return {};
  };
  ASSERT_TRUE(
      adapters::mysql::in_chunks(ids, [](const std::string& id) { return std::string_view(id); }, run, 4));
  EXPECT_EQ(lists, (std::vector<std::string>{"(?,?,?,?)", "(?,?,?,?)"}));
  EXPECT_EQ(counts, (std::vector<std::size_t>{4, 4}));
}

}  // namespace
}  // namespace millrace
