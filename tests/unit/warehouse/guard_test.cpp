#include "warehouse/sql/guard.h"

#include <gtest/gtest.h>

namespace millrace::warehouse {
namespace {

/// The engine's print is its own test (tests/integration/warehouse/test_guard.py); here the texts stand as it
/// prints them.
const Guard& guard() {
  static const Guard made({"file", "url", "numbers", "merge", "somethingNew"},
                          [](std::string_view text) { return base::Result<std::string>(text); });
  return made;
}

int code_of(std::string_view text, StatementClass verdict = StatementClass::kReadOnly) {
  const auto checked = guard().check(text, verdict);
  return checked ? 0 : checked.error().vendor_code;
}

TEST(Guard, RefusesFunctionsHoweverTheyAreWritten) {
  for (const char* text :
       {"SELECT * FROM file('x')", "SELECT * FROM `file` ('x')", R"(SELECT * FROM "fil\x65"('x'))",
        "SELECT * FROM FILE('x')", "SELECT * FROM url /* y */\n('x')",
        "INSERT INTO t SELECT * FROM remote('h', a.b)", "SELECT ((file('x')))",
        "WITH (SELECT file('x')) AS a SELECT a", "CREATE VIEW v AS SELECT * FROM loop(file('x'))",
        "CREATE TABLE t (a String DEFAULT file('x')) ENGINE = Memory", "CREATE TABLE t AS file('x')",
        "ALTER TABLE t (ADD COLUMN a String DEFAULT file('x'))", "DESCRIBE TABLE file('x')",
        "INSERT INTO FUNCTION file('x') SELECT 1", "CREATE FUNCTION f AS x -> file(x)",
        "EXPLAIN SELECT file('x')", "SELECT hasColumnInTable('host', 'd', 't', 'c')"})
    EXPECT_EQ(code_of(text), 497) << text;
}

TEST(Guard, RefusesFunctionsThatNobodyHasLookedAtYet) {
  EXPECT_EQ(code_of("SELECT * FROM somethingNew()"), 497);
  EXPECT_EQ(code_of("SELECT * FROM numbers(1)"), 0);
  EXPECT_EQ(code_of("SELECT * FROM merge('a', 'b')"), 0);
  EXPECT_EQ(code_of("SELECT sumMergeIfOrNull(a), myOwnFunction(b) FROM t"), 0);
}

TEST(Guard, LetsNamesPassThatAreNoCalls) {
  for (const char* text :
       {"SELECT file, url FROM t", "SELECT 'file(x)'",
        "CREATE TABLE t (file String, source String) ENGINE = Memory",
        "CREATE VIEW v AS SELECT engine FROM system.tables",
        "ALTER TABLE t (COMMENT COLUMN a 'ENGINE = File')", "CREATE TABLE source (a Int8) ENGINE = Null",
        "CREATE TABLE g.file (a Int8) ENGINE = Null",
        "CREATE TABLE IF NOT EXISTS file (a Int8) ENGINE = Null", "INSERT INTO file (a, b) SELECT 1, 2",
        "CREATE TABLE t (format_schema String) ENGINE = Memory", "SELECT format_schema FROM t",
        "SELECT format('{} {}', f(a), b)", "SELECT ENGINE = FILE, SETTINGS FROM t", "SELECT url.file(1)"})
    EXPECT_EQ(code_of(text, StatementClass::kMutating), 0) << text;
}

TEST(Guard, ChecksTextsThatTheEngineReadsAsSql) {
  for (const char* text : {"SELECT * FROM format(`Values`, 's String', '(file(\\'/etc/hostname\\'))')",
                           "SELECT * FROM format(JSONEachRow, 's String DEFAULT file(\\'x\\')', '{}')",
                           "SELECT * FROM format('Values', 's String', concat('(file(', '))'))",
                           "SELECT * FROM format(CSV, {s:String}, 'a')",
                           "SELECT * FROM values('s String DEFAULT file(\\'x\\')', 1)",
                           "SELECT * FROM input(concat('s String', ' DEFAULT 1'))",
                           "SELECT * FROM format(`Values`, 's String', '((SELECT * FROM t))')",
                           "SELECT * FROM generateRandom('s String DEFAULT file(\\'x\\')')"})
    EXPECT_EQ(code_of(text), 497) << text;
  for (const char* text :
       {"SELECT * FROM format(CSV, 's String', 'a file')",
        "SELECT * FROM values('a UInt8, b String', (1, 'x'), (2, 'y'))",
        "SELECT * FROM generateRandom('a UInt8')", "SELECT * FROM format(JSONEachRow, '{\"a\": 1}')"})
    EXPECT_EQ(code_of(text), 0) << text;
}

TEST(Guard, AllowsEnginesByAListOfItsOwn) {
  const auto code = [](const char* text) { return code_of(text, StatementClass::kMutating); };
  EXPECT_EQ(code("CREATE TABLE t (a Int8) ENGINE = ReplacingMergeTree(a) ORDER BY a"), 0);
  EXPECT_EQ(code("CREATE TABLE t (a Int8) ENGINE = File(CSV)"), 497);
  EXPECT_EQ(code("CREATE TABLE `select` (a Int8) ENGINE = File(CSV)"), 497);
  EXPECT_EQ(code("CREATE TABLE t (a Int8) ENGINE = S3('x')"), 497);
  EXPECT_EQ(code("CREATE TABLE t (a Int8) ENGINE = NotInventedYet"), 497);
  EXPECT_EQ(code("EXPLAIN CREATE TABLE t (a Int8) ENGINE = File(CSV)"), 497);
  EXPECT_EQ(code("CREATE DATABASE d ENGINE = Atomic"), 0);
  EXPECT_EQ(code("CREATE DATABASE d ENGINE = Filesystem('x')"), 497);
}

TEST(Guard, AllowsSettingsByAListAtEveryDepth) {
  for (const char* text :
       {"SELECT 1 SETTINGS additional_result_filter = 'x'",
        "SELECT 1 SETTINGS max_threads = 1, `format_schema` = 'x'",
        "SELECT * FROM (SELECT 1 SETTINGS dialect = 'prql')",
        "SET max_threads = 1, format_template_row = '/x'",
        "SELECT 1 SETTINGS additional_table_filters = map('t', 'x'), max_threads = 1", "SET implicit_select",
        "CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS index_granularity = 1, disk = "
        "disk(type = local, path = '/')",
        "ALTER TABLE t (MODIFY SETTING storage_policy = 'x')", "ALTER TABLE t (RESET SETTING disk)",
        "INSERT INTO t SETTINGS output_format_schema = '/x' SELECT 1",
        "SELECT 1 SETTINGS max_threads = -1, format_schema = 'x'",
        "SELECT 1 SETTINGS session_timezone = 'UTC', http_response_headers = map('a', 'b')"})
    EXPECT_EQ(code_of(text, StatementClass::kMutating), 497) << text;
  EXPECT_EQ(code_of("SELECT 1 SETTINGS not_invented_yet = 1"), 115);
  for (const char* text : {"SELECT 1 SETTINGS max_threads = 1, session_timezone = 'UTC'", "SET param_x = 1",
                           "SET max_memory_usage = 1000",
                           "CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS index_granularity "
                           "= 1, fsync_after_insert = 1"})
    EXPECT_EQ(code_of(text, StatementClass::kMutating), 0) << text;
}

TEST(Guard, FillsDictionariesFromTablesOfThisServerOnly) {
  const auto code = [](const std::string& source, const std::string& layout = "FLAT()") {
    return code_of("CREATE DICTIONARY d (`id` UInt64) PRIMARY KEY id SOURCE(" + source +
                       ") LIFETIME(MIN 0 MAX 1) LAYOUT(" + layout + ")",
                   StatementClass::kMutating);
  };
  EXPECT_EQ(code("CLICKHOUSE(TABLE 't' DB 'd')"), 0);
  EXPECT_EQ(code("CLICKHOUSE(QUERY 'SELECT id FROM t')"), 0);
  EXPECT_EQ(code("CLICKHOUSE(TABLE 't' WHERE 'id > 1')"), 0);
  EXPECT_EQ(code("CLICKHOUSE(QUERY 'SELECT * FROM file(\\'x\\')')"), 497);
  EXPECT_EQ(code("CLICKHOUSE(TABLE 't' WHERE '1) UNION ALL (SELECT file(\\'x\\')')"), 497);
  EXPECT_EQ(code("CLICKHOUSE(TABLE 't' INVALIDATE_QUERY 'SELECT file(\\'x\\')')"), 497);
  EXPECT_EQ(code("CLICKHOUSE(HOST 'h' TABLE 't')"), 497);
  EXPECT_EQ(code("CLICKHOUSE(NAME collection)"), 497);
  EXPECT_EQ(code("EXECUTABLE(COMMAND 'id' FORMAT 'CSV')"), 497);
  EXPECT_EQ(code("NotInventedYet(TABLE 't')"), 497);
  EXPECT_EQ(code("CLICKHOUSE(TABLE 't')", "SSD_CACHE(PATH '/x')"), 497);
}

TEST(Guard, RefusesFormatsThatReadFilesOrAskOthers) {
  for (const char* name : {"Template", "Protobuf", "AvroConfluent", "protobufsingle"}) {
    EXPECT_EQ(code_of(std::string("SELECT 1 FORMAT ") + name), 497) << name;
    EXPECT_FALSE(StatementRules::check_format(name)) << name;
  }
  EXPECT_EQ(code_of("SELECT 1 FORMAT JSON"), 0);
  // Its own error says which formats there are.
  EXPECT_EQ(code_of("SELECT 1 FORMAT NotInventedYet"), 0);
}

TEST(Guard, RefusesRowsThatItCannotSee) {
  for (const char* text : {"INSERT INTO t FORMAT Values", "EXPLAIN INSERT INTO t FORMAT Values",
                           "INSERT INTO t SELECT * FROM input('s String') FORMAT Values"})
    EXPECT_EQ(code_of(text, StatementClass::kMutating), 497) << text;
}

TEST(Guard, JudgesControlStatementsByTheirVerb) {
  for (const char* text : {"SET max_threads = 1", "USE d", "KILL QUERY WHERE 1", "SYSTEM FLUSH LOGS",
                           "SYSTEM SYNC REPLICA t", "SYSTEM STOP MERGES t"})
    EXPECT_EQ(code_of(text, StatementClass::kControl), 0) << text;
  for (const char* text : {"SET ROLE r", "SYSTEM SHUTDOWN", "SYSTEM STOP LISTEN", "ATTACH TABLE t",
                           "SELECT 1 INTO OUTFILE 'x'", "COPY t TO 'x'"})
    EXPECT_EQ(code_of(text, StatementClass::kControl), 497) << text;
}

TEST(Guard, ServesAClosedListOfVerbsWhateverTheEngineSaysOfThem) {
  for (const char* text :
       {"EXECUTE AS default SELECT 1", "BACKUP TABLE t TO File('x')", "RESTORE TABLE t FROM File('x')",
        "GRANT SELECT ON *.* TO x", "ATTACH TABLE t FROM '/x' (`a` Int8) ENGINE = Memory", "CREATE USER u",
        "CREATE NAMED COLLECTION c AS a = 1", "DROP USER u", "CREATE FUNCTION f LANGUAGE WASM FROM 'x'",
        "SELECT 1 PARALLEL WITH SELECT 2", "CREATE VIEW v DEFINER = default SQL SECURITY DEFINER AS SELECT 1",
        "CREATE VIEW v SQL SECURITY NONE AS SELECT 1"})
    EXPECT_EQ(code_of(text), 497) << text;
}

TEST(Guard, AllowsAnAlterWithSettingsByItsCommands) {
  for (const char* text : {"ALTER TABLE a.t (DELETE WHERE x = 1) SETTINGS mutations_sync = 2",
                           "ALTER TABLE `t` (DELETE WHERE (id IN ('a', 'b')) AND ((v, w) IN [(1, 2)])) "
                           "SETTINGS mutations_sync = 1",
                           "ALTER TABLE t (UPDATE a = 1 WHERE b), (DROP COLUMN c) SETTINGS alter_sync = 1"})
    EXPECT_EQ(code_of(text, StatementClass::kControl), 0) << text;
  for (const char* text :
       {"ALTER TABLE t (DELETE WHERE 1), (FETCH PARTITION 1 FROM 'x') SETTINGS mutations_sync = 1",
        "ALTER TABLE t (DELETE WHERE 1) SETTINGS mutations_sync = 1, dialect = 'x'",
        "ALTER TABLE t (FREEZE) SETTINGS mutations_sync = 1", "ALTER TABLE t (ATTACH PARTITION 1)",
        "ALTER TABLE t (DELETE WHERE x IN (SELECT * FROM file('x'))) SETTINGS mutations_sync = 1",
        "ALTER USER t (DELETE WHERE 1 = 1) SETTINGS mutations_sync = 1", "ALTER TABLE t (DELETE WHERE 1)"})
    EXPECT_EQ(code_of(text, StatementClass::kControl), 497) << text;
}

TEST(Guard, KeepsTheWholeServersThingsFromChanging) {
  EXPECT_EQ(code_of("CREATE USER u", StatementClass::kMutatingGlobal), 497);
  EXPECT_EQ(code_of("CREATE FUNCTION f AS x -> x", StatementClass::kMutatingGlobal), 0);
  EXPECT_EQ(code_of("DROP FUNCTION f", StatementClass::kMutatingGlobal), 0);
  EXPECT_EQ(code_of("DROP DATABASE `default`", StatementClass::kMutating), 497);
  EXPECT_EQ(code_of("DROP DATABASE analytics", StatementClass::kMutating), 0);
}

TEST(Guard, SaysTheSameOfAStatementThatItRemembers) {
  int printed = 0;
  const Guard counting({}, [&](std::string_view text) {
    ++printed;
    return base::Result<std::string>(text);
  });
  for (int i = 0; i < 3; ++i) {
    const auto facts = counting.check("SELECT 1 FORMAT JSON", StatementClass::kReadOnly);
    ASSERT_TRUE(facts);
    EXPECT_EQ(facts->format, "JSON");
    EXPECT_TRUE(facts->is_select);
    EXPECT_FALSE(counting.check("SELECT file('x')", StatementClass::kReadOnly));
  }
  EXPECT_EQ(printed, 4);
  for (int i = 0; i < 2'000; ++i)
    ASSERT_TRUE(counting.check("SELECT " + std::to_string(i), StatementClass::kReadOnly));
  ASSERT_TRUE(counting.check("SELECT 1 FORMAT JSON", StatementClass::kReadOnly));
  EXPECT_EQ(printed, 2'005);
}

}  // namespace
}  // namespace millrace::warehouse
