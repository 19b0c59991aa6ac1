"""Statements that write: formats, streaming, cut-off and damaged bodies."""
import gzip
import http.client
import json
import os
import resource
import socket
import struct
import threading
import time

import lz4.frame
import pytest
from conftest import wait_until


@pytest.fixture
def table(warehouse, database):
    warehouse.ask("CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 1", database=database)
    return f"{database}.t"


def rows(count, text=b"a\n\n;\t"):
    return b"".join(struct.pack("<QB", number, len(text)) + text for number in range(count))


@pytest.mark.parametrize("form, body", [
    ("RowBinary", rows(2, b"x")),
    ("TabSeparated", b"0\tx\n1\tx\n"),
    ("CSV", b'0,"x"\n1,x\n'),
    ("CSVWithNames", b's,a\nx,0\nx,1\n'),
    ("JSONEachRow", b'{"a":0,"s":"x"}\n{"s":"x","a":1}'),
    ("Values", b"(0,'x'),(1,concat('x',''))"),
    ("Native", b"\x02\x02\x01a\x06UInt64" + struct.pack("<QQ", 0, 1) + b"\x01s\x06String\x01x\x01x"),
])
@pytest.mark.parametrize("where", ["url", "body"])
def test_every_input_format_is_taken_from_the_body(warehouse, table, form, body, where):
    statement = f"INSERT INTO {table} (a, s) FORMAT {form}"
    answer = warehouse.send(body, query=statement) if where == "url" else warehouse.send(statement.encode() + b"\n" + body)
    assert answer.status == 200, answer.text
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    assert warehouse.ask(f"SELECT * FROM {table} ORDER BY a") == "0\tx\n1\tx\n"


@pytest.mark.parametrize("statement", [
    "INSERT INTO {t} VALUES (1, 'x'), (2, 'y')",
    "insert into table {t} (a, s) values (1,'x') , (2,'y');",
    "INSERT INTO {t} (s, a) SETTINGS async_insert = 0 VALUES ('x', 1), ('y', 2)",
    "INSERT INTO {t} SELECT number + 1, ['x', 'y'][number + 1] FROM numbers(2)",
    "INSERT INTO {t} (a, s) (SELECT 1, 'x' UNION ALL SELECT 2, 'y')",
    "INSERT INTO {t} WITH 1 AS one SELECT one, 'x' UNION ALL SELECT 2, 'y'",
    "/* FORMAT x */ INSERT -- VALUES\n INTO {t} FORMAT CSV 1,x\n2,y\n",
])
def test_inline_inserts_are_understood(warehouse, table, statement):
    assert warehouse.send(statement.format(t=table)).status == 200
    assert warehouse.ask(f"SELECT * FROM {table} ORDER BY a") == "1\tx\n2\ty\n"


def test_format_header_names_the_format_of_a_bare_insert(warehouse, table):
    headers = {"X-ClickHouse-Format": "RowBinary"}
    assert warehouse.send(rows(5), headers=headers, query=f"INSERT INTO {table}").status == 200
    assert warehouse.ask(f"SELECT count() FROM {table}") == "5\n"


def test_chunked_rows_with_line_ends_arrive_unharmed(warehouse, table):
    data = rows(150_000)

    def pieces():
        # Odd sizes, so that rows are cut anywhere.
        at = 0
        while at < len(data):
            yield data[at:at + 7919]
            at += 7919

    connection = warehouse.connect()
    connection.request("POST", f"/?query=INSERT+INTO+{table}+FORMAT+RowBinary", body=pieces(), encode_chunked=True,
                       headers={"Authorization": warehouse.authorization(), "Transfer-Encoding": "chunked"})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    connection.close()
    assert warehouse.ask(f"SELECT count(), uniqExact(a), sum(a), min(s), max(s) FROM {table}") == \
        f"150000\t150000\t{sum(range(150_000))}\ta\\n\\n;\\t\ta\\n\\n;\\t\n"


@pytest.mark.parametrize("first", [b"\n", b"\n\n", b"\r\n", b" ", b"\t\n"])
def test_rows_may_begin_with_bytes_that_look_like_blanks(warehouse, table, first):
    body = (first + b"\0" * 8)[:8] + b"\x00"
    assert warehouse.send(body, query=f"INSERT INTO {table} FORMAT RowBinary").status == 200
    assert warehouse.ask(f"SELECT a, length(s) FROM {table}") == f"{struct.unpack('<Q', body[:8])[0]}\t0\n"


@pytest.mark.parametrize("encoding, pack", [("gzip", gzip.compress), ("lz4", lz4.frame.compress)])
def test_compressed_bodies_are_unpacked(warehouse, table, encoding, pack):
    answer = warehouse.send(pack(rows(50_000)), headers={"Content-Encoding": encoding}, query=f"INSERT INTO {table} FORMAT RowBinary")
    assert answer.status == 200, answer.text
    assert warehouse.ask(f"SELECT count(), uniqExact(a) FROM {table}") == "50000\t50000\n"
    cut = warehouse.send(pack(rows(50_000))[:-20], headers={"Content-Encoding": encoding}, query=f"INSERT INTO {table} FORMAT RowBinary")
    assert cut.status == 500 and cut.code == 271
    assert warehouse.ask(f"SELECT count() FROM {table}") == "50000\n"


def test_zstd_bodies_and_answers_go_through(warehouse, table):
    # Packed by the server itself: the standard library of older Pythons has no zstd.
    warehouse.ask(f"INSERT INTO {table} SELECT number, 'z' FROM numbers(200000)")
    packed = warehouse.send(f"SELECT a + 1000000, s FROM {table} FORMAT RowBinary", headers={"Accept-Encoding": "zstd"}, enable_http_compression="1")
    assert packed.headers["Content-Encoding"] == "zstd" and packed.body[:4] == b"\x28\xb5\x2f\xfd"
    assert warehouse.send(packed.body, headers={"Content-Encoding": "zstd"}, query=f"INSERT INTO {table} FORMAT RowBinary").status == 200
    assert warehouse.ask(f"SELECT count(), uniqExact(a) FROM {table}") == "400000\t400000\n"


def test_unknown_encodings_are_refused(warehouse, table):
    answer = warehouse.send(b"x", headers={"Content-Encoding": "br"}, query=f"INSERT INTO {table} FORMAT RowBinary")
    assert (answer.status, answer.code) == (415, 779)


@pytest.mark.parametrize("form, body, code", [
    ("RowBinary", rows(1000)[:-3], 33),
    ("CSV", b"1,x\nnot a number,y\n", 27),
    ("JSONEachRow", b'{"a":1,"s":"x"}\n{"a":', 32),
    ("NoSuchFormat", b"x", 73),
])
def test_damaged_rows_write_nothing_and_say_why(warehouse, table, form, body, code):
    answer = warehouse.send(body, query=f"INSERT INTO {table} FORMAT {form}")
    assert answer.status >= 400 and answer.code == code, answer.text
    assert warehouse.ask(f"SELECT count() FROM {table}") == "0\n"


def test_insert_into_a_missing_table_fails_though_all_rows_are_sent(warehouse, database):
    answer = warehouse.send(rows(300_000), database=database, query="INSERT INTO nosuch FORMAT RowBinary")
    assert (answer.status, answer.code) == (404, 60)


def begin_insert(warehouse, table):
    peer = socket.create_connection(("127.0.0.1", warehouse.port), timeout=60)
    peer.sendall((f"POST /?query=INSERT+INTO+{table}+FORMAT+RowBinary HTTP/1.1\r\nHost: localhost\r\n"
                  f"Authorization: {warehouse.authorization()}\r\nTransfer-Encoding: chunked\r\n\r\n").encode())
    data = rows(1000)
    peer.sendall(b"%x\r\n" % len(data) + data + b"\r\n")
    return peer


def test_an_insert_that_is_cut_off_writes_nothing(warehouse, table):
    peer = begin_insert(warehouse, table)
    assert wait_until(lambda: warehouse.rows_running("INSERT INTO") == 1)
    peer.close()
    assert wait_until(lambda: warehouse.rows_running("INSERT INTO") == 0)
    assert warehouse.ask(f"SELECT count() FROM {table}") == "0\n"


def test_a_broken_chunk_ends_the_insert_with_an_error(warehouse, table):
    peer = begin_insert(warehouse, table)
    peer.sendall(b"not a size\r\n")
    received = b""
    while piece := peer.recv(10_000):
        received += piece
    assert received.startswith(b"HTTP/1.1 400") and b"body is broken" in received
    assert warehouse.ask(f"SELECT count() FROM {table}") == "0\n"


def test_a_peer_that_stops_sending_is_let_go(start):
    program = start("--receive-timeout-ms", "300")
    program.ask("CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    peer = begin_insert(program, "t")
    received = b""
    while piece := peer.recv(10_000):
        received += piece
    assert received.startswith(b"HTTP/1.1 503") and b"SOCKET_TIMEOUT" in received
    assert program.ask("SELECT count() FROM t") == "0\n"


def test_bodies_above_the_limit_are_refused(start):
    program = start("--body-bytes-max", "100000", "--statement-bytes-max", "2000")
    program.ask("CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    whole = program.send(rows(10_000), query="INSERT INTO t FORMAT RowBinary")
    assert whole.status == 413
    connection = program.connect()
    data = rows(10_000)
    pieces = (data[at:at + 5000] for at in range(0, len(data), 5000))
    try:
        connection.request("POST", "/?query=INSERT+INTO+t+FORMAT+RowBinary", body=pieces, encode_chunked=True,
                           headers={"Authorization": program.authorization(), "Transfer-Encoding": "chunked"})
        assert connection.getresponse().status in (413, 500)
    except ConnectionError:
        pass
    assert program.ask("SELECT count() FROM t") == "0\n"
    long = program.send("SELECT '" + "x" * 3000 + "'")
    assert (long.status, long.code) == (413, 229)


def test_a_body_of_200_mb_goes_through_in_bounded_memory(start):
    program = start()
    program.ask("CREATE TABLE t (a UInt64, s String) ENGINE = Null")
    text = b"x" * 100
    piece = b"".join(struct.pack("<QB", number, len(text)) + text for number in range(10_000))

    def resident():
        with open(f"/proc/{program.process.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

    before = resident()
    seen = []

    def pieces():
        for number in range(200):
            if number % 10 == 0:
                seen.append(resident())
            yield piece

    connection = program.connect()
    connection.request("POST", "/?query=INSERT+INTO+t+FORMAT+RowBinary", body=pieces(), encode_chunked=True,
                       headers={"Authorization": program.authorization(), "Transfer-Encoding": "chunked"})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    assert json.loads(response.headers["X-ClickHouse-Summary"])["written_rows"] == "2000000"
    # Far less than the body; the engine gathers blocks of about a million rows.
    assert max(seen) - before < 600 << 20


def test_inserts_at_once_do_not_mix(warehouse, table):
    def client(number):
        for turn in range(10):
            body = b"".join(struct.pack("<QB", number * 1000 + turn * 100 + row, 1) + b"x" for row in range(100))
            assert warehouse.send(body, query=f"INSERT INTO {table} FORMAT RowBinary").status == 200

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warehouse.ask(f"SELECT count(), uniqExact(a) FROM {table}") == "8000\t8000\n"


def test_get_may_not_write(warehouse, table):
    for statement in (f"INSERT INTO {table} VALUES (1, 'x')", f"INSERT INTO {table} SELECT 1, 'x'", f"DROP TABLE {table}",
                      "CREATE DATABASE made_by_get"):
        answer = warehouse.send(method="GET", query=statement)
        assert (answer.status, answer.code) == (500, 164), answer.text
    assert warehouse.ask(f"SELECT count() FROM {table}") == "0\n"


def test_materialized_views_get_the_rows_in_the_same_insert(warehouse, database):
    for statement in ("CREATE TABLE source (a UInt64) ENGINE = Null",
                      "CREATE TABLE target (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 1",
                      "CREATE MATERIALIZED VIEW through TO target AS SELECT a * 2 AS a FROM source"):
        warehouse.ask(statement, database=database)
    warehouse.send(struct.pack("<QQ", 1, 2), database=database, query="INSERT INTO source FORMAT RowBinary")
    assert warehouse.ask("SELECT * FROM target ORDER BY a", database=database) == "2\n4\n"


def test_rows_refused_by_a_constraint_are_not_written(warehouse, database):
    warehouse.ask("CREATE TABLE t (a UInt64, not_after DateTime, CONSTRAINT in_time CHECK now() <= not_after) ENGINE = MergeTree ORDER BY a",
                  database=database)
    late = warehouse.send(struct.pack("<QI", 1, int(time.time()) - 60), database=database, query="INSERT INTO t FORMAT RowBinary")
    assert late.code == 469
    warehouse.send(struct.pack("<QI", 1, int(time.time()) + 60), database=database, query="INSERT INTO t FORMAT RowBinary")
    assert warehouse.ask("SELECT count() FROM t", database=database) == "1\n"


FSYNC = "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1"


def limit_files(program, size):
    """Every write beyond so many bytes of a file fails from now on, as on a full disk; -1: no more."""
    resource.prlimit(program.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


# The engine itself acknowledges an insert none of whose bytes could be written, and commits such merges.
def test_an_insert_that_cannot_be_written_is_refused_and_harms_nothing(start):
    program = start()
    program.ask(f"CREATE TABLE default.t (a UInt64, s String) ENGINE = MergeTree ORDER BY a {FSYNC}")
    insert = "INSERT INTO default.t SELECT number, randomPrintableASCII(100) FROM numbers(1000)"
    program.ask(insert)
    limit_files(program, 2_000)
    for _ in range(3):
        assert program.send(insert).status != 200
        assert program.ask("SELECT count() FROM default.t WHERE length(s) = 100") == "1000\n"
    limit_files(program, resource.RLIM_INFINITY)
    program.ask(insert)
    assert program.ask("SELECT count() FROM default.t WHERE length(s) = 100") == "2000\n"
    program.kill()
    assert start().ask("SELECT count() FROM default.t WHERE length(s) = 100") == "2000\n"


def test_a_merge_that_cannot_be_written_keeps_the_parts_that_it_would_replace(start):
    program = start()
    program.ask(f"CREATE TABLE default.t (a UInt64, s String) ENGINE = MergeTree ORDER BY a {FSYNC}")
    program.ask("SYSTEM STOP MERGES default.t")
    for _ in range(3):
        program.ask("INSERT INTO default.t SELECT number, randomPrintableASCII(100) FROM numbers(1000)")
    program.ask("SYSTEM START MERGES default.t")
    limit_files(program, 2_000)
    assert program.send("OPTIMIZE TABLE default.t FINAL").status != 200
    assert program.ask("SELECT count() FROM default.t WHERE length(s) = 100") == "3000\n"
    limit_files(program, resource.RLIM_INFINITY)
    program.ask("OPTIMIZE TABLE default.t FINAL")
    assert program.ask("SELECT count() FROM default.t WHERE length(s) = 100") == "3000\n"


def test_a_table_without_fsync_ends_the_program_rather_than_lose_a_write(start):
    program = start()
    program.ask("CREATE TABLE default.t (a UInt64, s String) ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 0")
    insert = "INSERT INTO default.t SELECT number, randomPrintableASCII(100) FROM numbers(1000)"
    program.ask(insert)
    limit_files(program, 2_000)
    try:
        assert program.send(insert).status != 200
    except (OSError, http.client.HTTPException):
        assert program.process.wait(60) == 4
        assert "could not be written" in program.log_text()
        program = start()
    assert program.ask("SELECT count() FROM default.t WHERE length(s) = 100") == "1000\n"
