"""The process: command line, credentials, what is refused, stopping, crashes."""
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
from conftest import PASSWORD, USER, arguments, binary, environment, wait_until


def run(*command, **changes):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**environment(), **changes})


@pytest.mark.parametrize("how", ["headers", "basic", "url"])
def test_credentials_are_taken_in_three_ways(warehouse, how):
    def send(user, password):
        if how == "headers":
            return warehouse.send("SELECT 1", user=user, password=password)
        if how == "url":
            return warehouse.send(b"SELECT 1", path=f"/?user={user}&password={password}", user=None)
        import base64
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        return warehouse.send("SELECT 1", user=None, headers={"Authorization": "Basic " + token})

    assert send(USER, PASSWORD).text == "1\n"
    for user, password in ((USER, "wrong"), (USER, ""), ("other", PASSWORD), ("", "")):
        answer = send(user, password)
        assert (answer.status, answer.code) == (403, 516)
        assert "AUTHENTICATION_FAILED" in answer.text and PASSWORD not in answer.text


def test_no_credentials_are_no_access_and_writes_do_not_happen(warehouse):
    assert warehouse.send("CREATE DATABASE sneaked_in", user=None).code == 516
    assert warehouse.ask("SELECT count() FROM system.databases WHERE name = 'sneaked_in'") == "0\n"


def test_the_password_is_in_no_log_and_no_process_list(warehouse):
    warehouse.send("SELECT 1", password="wrong-one")
    assert PASSWORD not in warehouse.log_text() and "wrong-one" not in warehouse.log_text()
    with open(f"/proc/{warehouse.process.pid}/cmdline") as line:
        assert PASSWORD not in line.read()


REFUSED = [
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM `file`('/etc/passwd', 'LineAsString')",
    "SELECT * FROM \"fil\\x65\"('/etc/passwd', 'LineAsString')",
    "SELECT * FROM /* x */ file /* y */ ('/etc/passwd', 'LineAsString')",
    "SELECT file('/etc/passwd')",
    "SELECT (SELECT count() FROM url('http://127.0.0.1:1', 'CSV', 'a String'))",
    "SELECT * FROM s3('http://127.0.0.1:1/x')",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM cluster('default', system.one)",
    "SELECT * FROM executable('x', CSV, 'a String')",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM sqlite('/x', 'y')",
    "SELECT * FROM iceberg('http://127.0.0.1:1/x')",
    "DESCRIBE TABLE file('/etc/passwd')",
    "EXPLAIN SELECT * FROM file('/etc/passwd')",
    "CREATE VIEW v AS SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "CREATE TABLE t AS file('/etc/passwd', 'LineAsString')",
    "CREATE FUNCTION f AS (x) -> file(x)",
    "INSERT INTO FUNCTION file('/x', 'CSV', 'a Int8') VALUES (1)",
    "INSERT INTO TABLE FUNCTION file('/x', 'CSV', 'a Int8') SELECT 1",
    "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV",
    "SELECT 1 INTO OUTFILE '/x'",
    "CREATE TABLE t (a Int8) ENGINE = File(CSV)",
    "CREATE TABLE t (a Int8) ENGINE File(CSV)",
    "CREATE TABLE t (a Int8) engine = `URL`('http://127.0.0.1:1', CSV)",
    "CREATE TABLE t (a Int8) ENGINE = Kafka",
    "CREATE TABLE t (a Int8) ENGINE = Distributed(default, system, one)",
    "CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '/x/')",
    "CREATE DATABASE d ENGINE = Filesystem('/etc')",
    "CREATE DATABASE d ENGINE = MySQL('127.0.0.1:1', 'a', 'b', 'c')",
    "CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(FILE(path '/x' format 'CSV')) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(CLICKHOUSE(HOST 'example.org' TABLE t)) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE USER u", "GRANT SELECT ON *.* TO u", "CREATE NAMED COLLECTION c AS a = 1",
    "ATTACH TABLE t", "DETACH TABLE t", "BACKUP TABLE t TO File('x')", "RESTORE TABLE t FROM File('x')",
    "SYSTEM SHUTDOWN", "SYSTEM KILL", "SYSTEM RELOAD CONFIG", "SYSTEM DROP REPLICA 'x'",
    "DROP DATABASE default", "DROP DATABASE IF EXISTS `default`", "RENAME DATABASE default TO x",
    "CREATE TEMPORARY TABLE t (a Int8)", "BEGIN TRANSACTION", "SET ROLE x",
    "SELECT 1 SETTINGS dialect = 'kusto'", "SELECT 1 SETTINGS format_schema = '/x'",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_statements_that_leave_the_database_are_refused(warehouse, statement):
    answer = warehouse.send(statement)
    assert (answer.status, answer.code) == (403, 497), answer.text
    assert "ACCESS_DENIED" in answer.text


@pytest.mark.parametrize("table", ["`/etc/passwd`", "'/etc/passwd'", "default.`/etc/passwd`", "`passwd`", "{t:Identifier}"])
def test_no_table_name_reaches_a_file(warehouse, table):
    answer = warehouse.send(f"SELECT * FROM {table}", param_t="/etc/passwd")
    assert answer.status in (400, 404) and b"root:" not in answer.body


@pytest.mark.parametrize("parameters", [{"dialect": "kusto"}, {"format_schema": "/x:y"}, {"implicit_select": "1"}])
def test_settings_that_change_what_is_checked_are_refused(warehouse, parameters):
    assert warehouse.send("SELECT 1", **parameters).code == 497


def test_typographic_quotes_cannot_hide_a_function(warehouse):
    assert warehouse.send("SELECT \u2018'\u2018, * FROM file('/etc/passwd') -- '").code == 62


ALLOWED = [
    "SYSTEM FLUSH LOGS", "SYSTEM STOP MERGES", "SYSTEM START MERGES", "KILL QUERY WHERE 1 = 0", "SET max_threads = 1", "USE system",
    "CREATE FUNCTION plus_one AS (x) -> x + 1", "DROP FUNCTION plus_one", "OPTIMIZE TABLE {d}.m FINAL", "TRUNCATE TABLE {d}.m",
    "ALTER TABLE {d}.m ADD COLUMN url String", "ALTER TABLE {d}.m DELETE WHERE a = 1",
    "ALTER TABLE {d}.m DELETE WHERE a IN (1, 2) SETTINGS mutations_sync = 2", "ALTER TABLE {d}.m ADD COLUMN IF NOT EXISTS b String",
    "ALTER TABLE {d}.m ADD CONSTRAINT IF NOT EXISTS c CHECK a < 9", "DELETE FROM {d}.m WHERE a = 1",
    "CREATE VIEW {d}.v AS SELECT name, engine FROM system.tables", "CREATE OR REPLACE VIEW {d}.v AS SELECT 1 AS file",
    "CREATE TABLE {d}.x (a UInt64, file String, source String) ENGINE = ReplacingMergeTree(a) ORDER BY a COMMENT 'ENGINE = File'",
    "EXCHANGE TABLES {d}.m AND {d}.x", "RENAME TABLE {d}.x TO {d}.y", "DROP TABLE {d}.y SYNC",
    "SELECT * FROM numbers(3)", "SELECT * FROM merge('{d}', 'm')", "SELECT 'file(x)', `url` FROM (SELECT 1 AS url) -- s3('x')",
    "SELECT * FROM generateRandom('a UInt8') LIMIT 1", "SELECT format('{{}}-{{}}', 1, 2)",
]


def test_ordinary_statements_are_not_refused(warehouse, database):
    warehouse.ask(f"CREATE TABLE {database}.m (a UInt64) ENGINE = MergeTree ORDER BY a")
    for statement in ALLOWED:
        warehouse.ask(statement.format(d=database))


@pytest.mark.parametrize("raw, status", [
    (b"GARBAGE\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nBig: " + b"x" * 200_000 + b"\r\n\r\n", b"431"),
    (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: abc\r\n\r\n", b"400"),
    (b"GET /?query=%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
    (b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", b"405"),
    (b"GET /nosuch HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
    (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999\r\n\r\n", b"413"),
])
def test_bad_requests_get_a_clear_answer_and_harm_nobody(warehouse, raw, status):
    with socket.create_connection(("127.0.0.1", warehouse.port), timeout=20) as peer:
        peer.sendall(raw)
        assert peer.recv(100_000).startswith(b"HTTP/1.1 " + status)
    assert warehouse.ask("SELECT 1") == "1\n"


def test_multipart_bodies_are_refused_with_a_reason(warehouse):
    answer = warehouse.send(b"--x\r\n\r\n", headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert (answer.status, answer.code) == (501, 48)


def test_a_connection_serves_many_requests_and_pipelined_ones(warehouse):
    request = f"GET /?query=SELECT+{{}} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {warehouse.authorization()}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", warehouse.port), timeout=20) as peer:
        peer.sendall("".join(request.format(number) for number in range(10)).encode())
        received = b""
        while received.count(b"HTTP/1.1 200") < 10 or not received.endswith(b"\r\n\r\n9\n"):
            received += peer.recv(10_000)


def test_expect_continue_is_answered_before_the_body_is_read(warehouse):
    with socket.create_connection(("127.0.0.1", warehouse.port), timeout=20) as peer:
        peer.sendall(f"POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: {warehouse.authorization()}\r\nContent-Length: 9\r\n"
                     "Expect: 100-continue\r\n\r\n".encode())
        assert peer.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.sendall(b"SELECT 17")
        assert peer.recv(10_000).endswith(b"17\n")
    with socket.create_connection(("127.0.0.1", warehouse.port), timeout=20) as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        assert peer.recv(10_000).startswith(b"HTTP/1.1 403")


def test_help_and_version_are_printed(tmp_path):
    assert "--path" in run(binary(), "--help").stdout
    assert run(binary(), "--version").returncode == 0


@pytest.mark.parametrize("more, words", [
    (["--no-such-option"], "--help"),
    (["--password-file", "/nonexistent/x"], "password"),
    (["--host", "not-an-address"], "--host"),
])
def test_a_wrong_command_line_is_one_clear_line(tmp_path, more, words):
    ended = run(*arguments(tmp_path / "data"), *more)
    assert ended.returncode == 1 and words in ended.stderr and ended.stderr.strip().count("\n") == 0
    assert ended.stdout == ""


def test_an_impossible_port_is_refused(tmp_path):
    ended = run(*arguments(tmp_path / "data", port=99999))
    assert ended.returncode == 1 and "--port" in ended.stderr


def test_no_password_is_refused(tmp_path):
    ended = subprocess.run(arguments(tmp_path / "data"), capture_output=True, text=True, timeout=60,
                           env={k: v for k, v in os.environ.items() if k != "MILLRACE_WAREHOUSE_PASSWORD"})
    assert ended.returncode == 1 and "--password-file" in ended.stderr


def test_the_password_file_is_read(start, tmp_path):
    (tmp_path / "password").write_text("from-the-file\n")
    program = start("--password-file", str(tmp_path / "password"))
    assert program.send("SELECT 1", password="from-the-file").text == "1\n"
    assert program.send("SELECT 1").code == 516


def test_a_taken_port_is_one_line_and_exit_code_2(warehouse, tmp_path):
    ended = run(*arguments(tmp_path / "data", port=warehouse.port))
    assert ended.returncode == 2 and f":{warehouse.port}" in ended.stderr and ended.stderr.strip().count("\n") == 0


def test_a_second_program_on_the_same_directory_is_refused(start):
    program = start()
    ended = run(*arguments(start.directory))
    assert ended.returncode == 3 and "in use by process " in ended.stderr and ended.stderr.strip().count("\n") == 0
    assert program.ask("SELECT 1") == "1\n"


def test_data_outlive_stop_and_kill(start):
    program = start()
    program.ask("CREATE DATABASE kept")
    for database in ("kept", "default"):
        program.ask("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 1, fsync_part_directory = 1",
                    database=database)
    for turn in range(3):
        for number in range(20):
            for database in ("kept", "default"):
                assert program.send(struct.pack("<Q", turn * 20 + number), database=database, query="INSERT INTO t FORMAT RowBinary").status == 200
        if turn % 2 == 0:
            program.kill()
        else:
            assert program.stop() == 0
        program = start()
        for database in ("kept", "default"):
            assert program.ask("SELECT count(), uniqExact(a), max(a) FROM t", database=database) == \
                f"{turn * 20 + 20}\t{turn * 20 + 20}\t{turn * 20 + 19}\n"


def test_a_kill_during_inserts_loses_nothing_that_was_acknowledged(start):
    program = start()
    program.ask("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 1, fsync_part_directory = 1")
    acknowledged = []

    def write():
        connection = program.connect()
        for number in range(100_000):
            try:
                if program.send(struct.pack("<Q", number), connection=connection, query="INSERT INTO t FORMAT RowBinary").status != 200:
                    return
            except (OSError, Exception):
                return
            acknowledged.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    assert wait_until(lambda: len(acknowledged) > 50)
    program.kill()
    writer.join()
    program = start()
    count, highest = map(int, program.ask("SELECT uniqExact(a), max(a) FROM t").split())
    assert count == highest + 1 and count in (len(acknowledged), len(acknowledged) + 1)


def test_merges_run_in_the_background(warehouse, database):
    warehouse.ask("CREATE TABLE t (a UInt64) ENGINE = ReplacingMergeTree ORDER BY a", database=database)
    for number in range(30):
        warehouse.ask(f"INSERT INTO t VALUES ({number % 3})", database=database)
    assert wait_until(lambda: int(warehouse.ask(
        f"SELECT count() FROM system.parts WHERE database = '{database}' AND active")) < 15)


def test_stopping_lets_a_running_request_end(start):
    program = start()
    got = []
    running = threading.Thread(target=lambda: got.append(program.send("SELECT sleep(2), 'slow-one'")))
    running.start()
    assert wait_until(lambda: program.rows_running("slow-one") == 1)
    idle = program.connect()
    idle.request("GET", "/ping")
    idle.getresponse().read()
    program.process.send_signal(signal.SIGTERM)
    assert wait_until(lambda: refuses(program.port), 5)
    assert program.process.wait(30) == 0
    running.join()
    assert got[0].text == "0\tslow-one\n"


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return False
    except OSError:
        return True


def test_stopping_does_not_wait_for_ever(start):
    program = start("--stop-seconds", "1")
    running = threading.Thread(target=lambda: pytest.raises(Exception, program.send, "SELECT max(sipHash64(number, 'endless')) FROM numbers(1000000000000)"))
    running.start()
    assert wait_until(lambda: program.rows_running("endless") == 1)
    assert program.stop(20) == 0
    running.join()


def test_it_dies_with_its_parent_when_told_to(tmp_path):
    # A parent that starts the program, tells its process id and is killed.
    script = ('"$@" >"$0" 2>&1 & echo $!; wait')
    parent = subprocess.Popen(["/bin/sh", "-c", script, str(tmp_path / "out"), *arguments(tmp_path / "data", "--die-with-parent")],
                              stdout=subprocess.PIPE, env=environment())
    child = int(parent.stdout.readline())
    assert wait_until(lambda: (tmp_path / "out").exists() and "ready on" in (tmp_path / "out").read_text(), 30)
    parent.kill()
    parent.wait()

    def gone():
        try:
            with open(f"/proc/{child}/stat") as stat:
                return stat.read().split()[2] == "Z"
        except FileNotFoundError:
            return True

    assert wait_until(gone)
