#include "warehouse/guard.h"

#include <gtest/gtest.h>

namespace millrace::warehouse {
namespace {

const Guard& guard() {
  static const Guard made({"file", "url", "remote", "numbers", "merge", "somethingNew"});
  return made;
}

TEST(Guard, RefusesTableFunctionsHoweverTheyAreWritten) {
  for (const char* text :
       {"SELECT * FROM file('x')", "SELECT * FROM `file` ('x')", R"(SELECT * FROM "fil\x65"('x'))",
        "SELECT * FROM FILE('x')", "SELECT * FROM url /* y */\n('x')",
        "INSERT INTO t SELECT * FROM remote('h', a.b)"}) {
    const auto checked = guard().check(text, StatementClass::kReadOnly);
    ASSERT_FALSE(checked) << text;
    EXPECT_EQ(checked.error().vendor_code, 497);
  }
}

TEST(Guard, RefusesTableFunctionsThatNobodyHasLookedAtYet) {
  EXPECT_FALSE(guard().check("SELECT * FROM somethingNew()", StatementClass::kReadOnly));
  EXPECT_TRUE(guard().check("SELECT * FROM numbers(1)", StatementClass::kReadOnly));
  EXPECT_TRUE(guard().check("SELECT * FROM merge('a', 'b')", StatementClass::kReadOnly));
}

TEST(Guard, LetsNamesPassThatAreNoCalls) {
  for (const char* text :
       {"SELECT file, url FROM t", "SELECT 'file(x)'", "SELECT 1 -- file('x')",
        "CREATE TABLE t (file String, source String) ENGINE = Memory",
        "CREATE VIEW v AS SELECT engine FROM system.tables", "ALTER TABLE t COMMENT COLUMN a 'ENGINE = File'",
        "CREATE TABLE source (a Int8) ENGINE = Null"})
    EXPECT_TRUE(guard().check(text, StatementClass::kMutating)) << text;
}

TEST(Guard, AllowsEnginesByAListOfItsOwn) {
  EXPECT_TRUE(guard().check("CREATE TABLE t (a Int8) ENGINE = ReplacingMergeTree(a) ORDER BY a",
                            StatementClass::kMutating));
  EXPECT_FALSE(guard().check("CREATE TABLE t (a Int8) ENGINE = File(CSV)", StatementClass::kMutating));
  EXPECT_FALSE(guard().check("CREATE TABLE t (a Int8) ENGINE S3('x')", StatementClass::kMutating));
  EXPECT_FALSE(guard().check("CREATE TABLE t (a Int8) ENGINE = NotInventedYet", StatementClass::kMutating));
  EXPECT_TRUE(guard().check("CREATE DATABASE d ENGINE = Atomic", StatementClass::kMutating));
  EXPECT_FALSE(guard().check("CREATE DATABASE d ENGINE = Filesystem('x')", StatementClass::kMutating));
}

TEST(Guard, JudgesControlStatementsByTheirVerb) {
  for (const char* text : {"SET a = 1", "USE d", "KILL QUERY WHERE 1", "SYSTEM FLUSH LOGS",
                           "SYSTEM SYNC REPLICA t", "SYSTEM STOP MERGES t"})
    EXPECT_TRUE(guard().check(text, StatementClass::kControl)) << text;
  for (const char* text : {"SET ROLE r", "SYSTEM SHUTDOWN", "SYSTEM STOP LISTEN", "ATTACH TABLE t",
                           "SELECT 1 INTO OUTFILE 'x'", "COPY t TO 'x'"})
    EXPECT_FALSE(guard().check(text, StatementClass::kControl)) << text;
}

TEST(Guard, AllowsADeletionThatIsWaitedForAndNoOtherAlterWithSettings) {
  for (const char* text :
       {"ALTER TABLE a.t DELETE WHERE x = 1 SETTINGS mutations_sync = 2",
        "ALTER TABLE `t` DELETE WHERE id IN ('a', 'b') AND (v, w) IN [(1, 2)] SETTINGS mutations_sync = 1"})
    EXPECT_TRUE(guard().check(text, StatementClass::kControl)) << text;
  for (const char* text :
       {"ALTER TABLE t DELETE WHERE 1, FETCH PARTITION 1 FROM 'x' SETTINGS mutations_sync = 1",
        "ALTER TABLE t DELETE WHERE 1 SETTINGS mutations_sync = 1, max_threads = 1",
        "ALTER TABLE t DELETE WHERE 1 SETTINGS allow_ddl = 1",
        "ALTER TABLE t FREEZE SETTINGS mutations_sync = 1", "ALTER TABLE t ATTACH PARTITION 1",
        "ALTER TABLE t DELETE WHERE x IN (SELECT * FROM file('x')) SETTINGS mutations_sync = 1",
        "ALTER USER t DELETE WHERE 1 = 1 SETTINGS mutations_sync = 1",
        "ALTER TABLE t SETTINGS mutations_sync = 1"})
    EXPECT_FALSE(guard().check(text, StatementClass::kControl)) << text;
}

TEST(Guard, KeepsTheWholeServersThingsFromChanging) {
  EXPECT_FALSE(guard().check("CREATE USER u", StatementClass::kMutatingGlobal));
  EXPECT_TRUE(guard().check("CREATE FUNCTION f AS (x) -> x", StatementClass::kMutatingGlobal));
  EXPECT_FALSE(guard().check("DROP DATABASE `default`", StatementClass::kMutating));
  EXPECT_TRUE(guard().check("DROP DATABASE analytics", StatementClass::kMutating));
}

}  // namespace
}  // namespace millrace::warehouse
