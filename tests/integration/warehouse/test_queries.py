"""Statements that read: formats, parameters, settings, errors, streaming."""
import gzip
import json
import re
import socket
import struct
import threading
import time
import zlib

import lz4.block
import lz4.frame
import pytest
from conftest import Warehouse, wait_until


def test_ping_answers_without_credentials(warehouse):
    for path in ("/ping", "/", "/replicas_status"):
        for method in ("GET", "HEAD"):
            answer = warehouse.send(method=method, path=path, user=None)
            assert answer.status == 200
            assert answer.body == (b"" if method == "HEAD" else b"Ok.\n")


def test_version_and_time_zone_are_the_engines_and_utc(warehouse):
    answer = warehouse.send("SELECT version(), timezone() FORMAT JSONCompactEachRow")
    version, zone = json.loads(answer.text)
    assert zone == "UTC" and answer.headers["X-ClickHouse-Timezone"] == "UTC"
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", version)
    assert f"(version {version})" in warehouse.send("SELECT nosuch").text


def test_headers_tell_query_format_and_summary(warehouse):
    answer = warehouse.send("SELECT number FROM numbers(3)", query_id="my-query", default_format="JSONEachRow")
    assert answer.headers["X-ClickHouse-Query-Id"] == "my-query"
    assert answer.headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert answer.headers["Content-Type"] == "application/x-ndjson; charset=UTF-8"
    assert answer.headers["X-ClickHouse-Server-Display-Name"]
    summary = json.loads(answer.headers["X-ClickHouse-Summary"])
    assert summary["result_rows"] == "3" and summary["read_rows"] == "3" and int(summary["elapsed_ns"]) > 0
    assert len(warehouse.send("SELECT 1").headers["X-ClickHouse-Query-Id"]) == 36


@pytest.mark.parametrize("form, type_, text", [
    ("TabSeparated", "text/tab-separated-values", "1\ta\n2\tb\n3\tc\n"),
    ("TabSeparatedWithNamesAndTypes", "text/tab-separated-values", "a\ts\nUInt64\tString\n1\ta\n2\tb\n3\tc\n"),
    ("CSV", "text/csv", '1,"a"\n2,"b"\n3,"c"\n'),
    ("CSVWithNames", "text/csv", '"a","s"\n1,"a"\n2,"b"\n3,"c"\n'),
    ("JSONEachRow", "application/x-ndjson", '{"a":1,"s":"a"}\n{"a":2,"s":"b"}\n{"a":3,"s":"c"}\n'),
    ("Values", "text/plain", "(1,'a'),(2,'b'),(3,'c')"),
    ("RowBinaryWithNamesAndTypes", "application/octet-stream",
     "\x02\x01a\x01s\x06UInt64\x06String" + "".join(chr(n) + "\0" * 7 + "\x01" + c for n, c in ((1, "a"), (2, "b"), (3, "c")))),
])
def test_an_answer_of_several_parts_is_one_document(warehouse, database, form, type_, text):
    warehouse.ask(f"CREATE TABLE {database}.t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    warehouse.ask(f"SYSTEM STOP MERGES {database}.t")
    for row in ("(3, 'c')", "(1, 'a')", "(2, 'b')"):
        warehouse.ask(f"INSERT INTO {database}.t VALUES {row}")
    answer = warehouse.send(f"SELECT * FROM t ORDER BY a FORMAT {form}", database=database)
    assert answer.status == 200 and answer.text == text
    assert answer.headers["Content-Type"].startswith(type_)
    assert answer.headers["X-ClickHouse-Format"] == form


@pytest.mark.parametrize("form", ["JSON", "JSONCompact", "JSONColumnsWithMetadata"])
def test_json_documents_are_whole_for_many_blocks(warehouse, form):
    answer = warehouse.send(f"SELECT number FROM numbers(300000) FORMAT {form}")
    document = json.loads(answer.text)
    assert document["rows"] == 300000
    assert answer.headers["Content-Type"].startswith("application/json")


def test_header_of_names_comes_once_for_many_blocks(warehouse):
    lines = warehouse.ask("SELECT number AS `a\"b\nc` FROM numbers(300000) FORMAT CSVWithNames")
    assert lines.startswith('"a""b\nc"\n0\n1\n') and lines.count("a") == 1 and lines.count("\n") == 300002


def test_empty_answers_still_have_their_header(warehouse):
    assert warehouse.ask("SELECT 1 AS x WHERE 0") == ""
    assert warehouse.ask("SELECT 1 AS x WHERE 0 FORMAT CSVWithNames") == '"x"\n'
    assert json.loads(warehouse.ask("SELECT 1 AS x WHERE 0 FORMAT JSON"))["data"] == []


def test_array_of_rows_setting_gives_one_array(warehouse):
    for parameters, suffix in (({"output_format_json_array_of_rows": "1"}, ""), ({}, " SETTINGS output_format_json_array_of_rows = 1")):
        text = warehouse.ask("SELECT number FROM numbers(200000) FORMAT JSONEachRow" + suffix, **parameters)
        assert len(json.loads(text)) == 200000


def test_format_comes_from_clause_then_header_then_parameter(warehouse):
    assert warehouse.ask("SELECT 1 AS x") == "1\n"
    assert warehouse.ask("SELECT 1 AS x", default_format="JSONEachRow") == '{"x":1}\n'
    header = {"X-ClickHouse-Format": "CSVWithNames"}
    assert warehouse.send("SELECT 1 AS x", headers=header, default_format="JSONEachRow").text == '"x"\n1\n'
    assert warehouse.send("SELECT 1 AS x FORMAT Values", headers=header).text == "(1)"
    assert warehouse.send("SELECT 'a FORMAT JSON' AS format -- FORMAT XML", headers=header).text == '"format"\n"a FORMAT JSON"\n'


def test_statement_may_be_split_between_url_and_body(warehouse):
    assert warehouse.send(" + 41", query="SELECT 1").text == "42\n"
    assert warehouse.send(method="GET", query="SELECT 1").text == "1\n"


def test_parameters_are_values_never_text(warehouse):
    got = warehouse.ask("SELECT {n:UInt32} + 1, {s:String}, {a:Array(String)}, {d:Nullable(String)} FORMAT JSONCompactEachRow",
                        param_n="41", param_s="x'); DROP TABLE t; --", param_a="['a','b']", param_d="\\N")
    assert json.loads(got) == [42, "x'); DROP TABLE t; --", ["a", "b"], None]
    assert warehouse.send("SELECT {s:String}", param_s="a\\tb\\\\").text == "a\\tb\\\\\n"
    bad = warehouse.send("SELECT {n:UInt32}", param_n="x")
    assert bad.code == 457 and bad.status == 500
    assert warehouse.send("SELECT {n:UInt32}").code == 456


def test_parameters_work_in_statements_that_are_not_streamed(warehouse, database):
    warehouse.ask("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a", database=database)
    warehouse.ask("INSERT INTO t SELECT {n:UInt64}", database=database, param_n="7")
    assert warehouse.ask("SELECT a FROM {t:Identifier} FORMAT JSON", database=database, param_t="t").count('"a": 7') == 1


def test_database_and_settings_hold_for_one_request(warehouse):
    with_both = warehouse.send("SELECT currentDatabase(), getSetting('max_threads')", database="system", max_threads="1")
    assert with_both.text == "system\t1\n"
    assert warehouse.send("SELECT currentDatabase()", headers={"X-ClickHouse-Database": "system"}).text == "system\n"
    for _ in range(20):
        assert warehouse.ask("SELECT currentDatabase(), getSetting('max_threads') > 1 OR getSetting('max_threads') = 0").startswith("default")
    warehouse.ask("USE system")
    warehouse.ask("SET max_block_size = 7")
    assert warehouse.ask("SELECT currentDatabase(), getSetting('max_block_size') = 7") == "default\t0\n"


def test_accepted_settings_and_session_parameters_do_not_disturb(warehouse):
    assert warehouse.ask("SELECT 1", wait_end_of_query="1", buffer_size="1000", session_id="s", session_timeout="60", async_insert="1",
                         extremes="0", send_progress_in_http_headers="0", role="x", max_execution_time="30") == "1\n"


@pytest.mark.parametrize("statement, parameters, status, code, name", [
    ("SELECT nosuch", {}, 404, 47, "UNKNOWN_IDENTIFIER"),
    ("SELECT * FROM nosuch", {}, 404, 60, "UNKNOWN_TABLE"),
    ("SELECT * FROM nosuch.t", {}, 404, 81, "UNKNOWN_DATABASE"),
    ("SELECT 1", {"database": "nosuch"}, 404, 81, "UNKNOWN_DATABASE"),
    ("SELECT nosuch(1)", {}, 404, 46, "UNKNOWN_FUNCTION"),
    ("SELECT 1 FORMAT NoSuch", {}, 404, 73, "UNKNOWN_FORMAT"),
    ("SELECT 1", {"nosuch": "1"}, 404, 115, "UNKNOWN_SETTING"),
    ("SELECT 1", {"a b'c": "1"}, 404, 115, "UNKNOWN_SETTING"),
    ("SELECT 1", {"max_threads": "abc"}, 400, 27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED"),
    ("SELEC 1", {}, 400, 62, "SYNTAX_ERROR"),
    ("SELECT 'abc", {}, 400, 62, "SYNTAX_ERROR"),
    ("SELECT 1; SELECT 2", {}, 400, 62, "SYNTAX_ERROR"),
    ("", {}, 400, 62, "SYNTAX_ERROR"),
    ("SELECT 1\0", {}, 400, 62, "SYNTAX_ERROR"),
    ("DROP TABLE nosuch", {}, 404, 60, "UNKNOWN_TABLE"),
    ("CREATE TABLE x (a NoSuchType) ENGINE = Memory", {}, 404, 50, "UNKNOWN_TYPE"),
    ("SELECT throwIf(1)", {}, 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
    ("SELECT toUInt8('x')", {}, 400, 6, "CANNOT_PARSE_TEXT"),
])
def test_errors_carry_clickhouses_code_text_and_status(warehouse, statement, parameters, status, code, name):
    answer = warehouse.send(statement, **parameters)
    assert (answer.status, answer.code) == (status, code), answer.text
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ") and f"({name}) (version " in answer.text
    assert answer.text.count("DB::Exception") == 1


def test_a_failed_statement_leaves_nothing_in_the_next_answer(warehouse):
    connection = warehouse.connect()
    for _ in range(30):
        assert warehouse.send("SELECT number, throwIf(number = 9) FROM numbers(10) FORMAT JSON", connection=connection).code == 395
        assert warehouse.send("SELECT 5", connection=connection).text == "5\n"


def test_an_error_after_the_first_bytes_breaks_the_answer_visibly(warehouse):
    with socket.create_connection(("127.0.0.1", warehouse.port), timeout=60) as peer:
        statement = "SELECT number, throwIf(number = 3000000) FROM numbers(4000000)"
        peer.sendall((f"POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: {warehouse.authorization()}\r\n"
                      f"Content-Length: {len(statement)}\r\n\r\n{statement}").encode())
        received = b""
        while piece := peer.recv(1 << 20):
            received += piece
    head, body = received.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 OK") and b"Transfer-Encoding: chunked" in head
    tag = re.search(rb"X-ClickHouse-Exception-Tag: (\w+)", head).group(1)
    assert b"__exception__\r\n" + tag + b"\r\nCode: 395." in body
    assert not body.endswith(b"0\r\n\r\n")


def test_wait_end_of_query_gives_a_late_error_its_status(warehouse):
    answer = warehouse.send("SELECT number, throwIf(number = 3000000) FROM numbers(4000000)", wait_end_of_query="1")
    assert (answer.status, answer.code) == (500, 395)


def test_large_answers_come_in_chunks_and_complete(warehouse):
    answer = warehouse.send("SELECT number FROM numbers(5000000) FORMAT RowBinary")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert len(answer.body) == 40_000_000
    assert struct.unpack("<Q", answer.body[-8:])[0] == 4_999_999


def test_http_1_0_gets_the_answer_without_chunks(warehouse):
    with socket.create_connection(("127.0.0.1", warehouse.port), timeout=60) as peer:
        peer.sendall(f"GET /?query=SELECT+number+FROM+numbers(100000) HTTP/1.0\r\nAuthorization: {warehouse.authorization()}\r\n\r\n".encode())
        received = b""
        while piece := peer.recv(1 << 20):
            received += piece
    head, body = received.split(b"\r\n\r\n", 1)
    assert b"chunked" not in head and body.split()[-1] == b"99999" and body.count(b"\n") == 100000


@pytest.mark.parametrize("encoding, unpack", [
    ("gzip", gzip.decompress), ("deflate", zlib.decompress), ("lz4", lz4.frame.decompress),
])
def test_answers_are_compressed_when_asked_for(warehouse, encoding, unpack):
    headers = {"Accept-Encoding": encoding}
    plain = warehouse.send("SELECT number FROM numbers(300000)", headers=headers)
    assert "Content-Encoding" not in plain.headers
    packed = warehouse.send("SELECT number FROM numbers(300000)", headers=headers, enable_http_compression="1")
    assert packed.headers["Content-Encoding"] == encoding
    assert unpack(packed.body) == plain.body and len(packed.body) < len(plain.body)
    small = warehouse.send("SELECT 1", headers=headers, enable_http_compression="1")
    assert unpack(small.body) == b"1\n"
    assert warehouse.send("SELECT 1", headers={"Accept-Encoding": "br, identity"}, enable_http_compression="1").body == b"1\n"


def blocks(body):
    """The data of ClickHouse's own compressed blocks."""
    plain = b""
    while body:
        method, packed_size, plain_size = struct.unpack("<BII", body[16:25])
        assert method == 0x82
        plain += lz4.block.decompress(body[25:16 + packed_size], uncompressed_size=plain_size)
        body = body[16 + packed_size:]
    return plain


def test_native_compression_is_written_and_read(warehouse, database):
    statement = "SELECT number FROM numbers(400000) FORMAT RowBinary"
    plain = warehouse.send(statement).body
    packed = warehouse.send(statement, compress="1").body
    assert blocks(packed) == plain
    warehouse.ask("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a", database=database)
    assert warehouse.send(packed, database=database, decompress="1", query="INSERT INTO t FORMAT RowBinary").status == 200
    assert warehouse.ask("SELECT count(), sum(a) FROM t", database=database) == f"400000\t{sum(range(400000))}\n"
    damaged = bytearray(packed)
    damaged[len(damaged) // 2] ^= 1
    assert warehouse.send(bytes(damaged), database=database, decompress="1", query="INSERT INTO t FORMAT RowBinary").code == 40
    assert b"UNKNOWN_TABLE" in blocks(warehouse.send("SELECT * FROM nosuch", compress="1").body)


def test_max_execution_time_ends_a_statement(warehouse):
    answer = warehouse.send("SELECT max(sipHash64(number)) FROM numbers(100000000000)", max_execution_time="1")
    assert (answer.status, answer.code) == (408, 159)


@pytest.mark.parametrize("statement, streams", [
    ("SELECT max(sipHash64(number, 'first')) FROM numbers(1000000000000)", False),
    ("SELECT sipHash64(number, 'second') FROM numbers(1000000000000)", True),
])
def test_a_select_ends_when_its_client_leaves(warehouse, statement, streams):
    marker = "first" if not streams else "second"
    peer = socket.create_connection(("127.0.0.1", warehouse.port), timeout=60)
    peer.sendall((f"POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: {warehouse.authorization()}\r\n"
                  f"Content-Length: {len(statement)}\r\n\r\n{statement}").encode())
    if streams:
        assert peer.recv(1000)
    assert wait_until(lambda: warehouse.rows_running(marker) == 1)
    peer.close()
    assert wait_until(lambda: warehouse.rows_running(marker) == 0)


def test_32_clients_at_once_each_get_their_own_answer(warehouse):
    wrong = []

    def client(number):
        connection = warehouse.connect()
        for turn in range(20):
            wanted = f"{number}\t{turn}\t49995000\n"
            answer = warehouse.send(f"SELECT {number}, {turn}, sum(number) FROM numbers(10000)", connection=connection)
            if answer.text != wanted:
                wrong.append(answer.text)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_more_statements_than_allowed_wait_and_are_then_refused(start):
    program: Warehouse = start("--statements-max", "1", "--statement-wait-ms", "300")
    slow = threading.Thread(target=program.send, args=("SELECT sleep(3)",))
    slow.start()
    assert wait_until(lambda: program.send("SELECT 1").code == 202, 3)
    refused = program.send("SELECT 1")
    slow.join()
    if refused.status != 200:
        assert (refused.status, refused.code) == (503, 202) and "TOO_MANY_SIMULTANEOUS_QUERIES" in refused.text
    assert program.ask("SELECT 1") == "1\n"


def test_more_connections_than_allowed_are_refused(start):
    program: Warehouse = start("--connections-max", "2")
    held = [socket.create_connection(("127.0.0.1", program.port)) for _ in range(2)]
    for peer in held:
        peer.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"Ok." in peer.recv(1000)
    assert program.send(path="/ping", method="GET").status == 503
    held[0].close()
    assert wait_until(lambda: program.send(path="/ping", method="GET").status == 200)


def test_describe_show_explain_and_exists_answer_in_any_format(warehouse, database):
    warehouse.ask("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a", database=database)
    assert json.loads(warehouse.ask("DESCRIBE TABLE t FORMAT JSON", database=database))["data"][0]["name"] == "a"
    assert warehouse.ask("SHOW TABLES", database=database, default_format="CSV") == '"t"\n'
    assert warehouse.ask("EXISTS TABLE t", database=database) == "1\n"
    warehouse.ask("INSERT INTO t VALUES (1)", database=database)
    assert "ReadFromMergeTree" in warehouse.ask("EXPLAIN SELECT * FROM t", database=database)
    assert int(warehouse.ask("SELECT count() FROM system.settings")) > 1000
    assert warehouse.ask("WITH 1 AS x SELECT x") == "1\n"
    assert warehouse.ask("(SELECT 1) UNION ALL (SELECT 1)") == "1\n1\n"


def test_a_statement_that_wants_too_much_memory_fails_alone(start):
    program: Warehouse = start("--memory-bytes-max", "800000000")
    for statement in ("SELECT length(groupArray(number)) FROM numbers(1000000000)",
                      "SELECT number, repeat('x', 1000) FROM numbers(3000000) FORMAT JSON"):
        assert program.send(statement).code == 241
    assert program.ask("SELECT 1") == "1\n"


@pytest.mark.parametrize("statement", [b"SELECT " + b"(" * 50_000 + b"1" + b")" * 50_000, b"SELECT " + b"[" * 20_000, b"SELECT 1" + b" - 1" * 50_000])
def test_deep_statements_are_refused_not_deadly(warehouse, statement):
    assert warehouse.send(statement).status >= 400
    assert warehouse.ask("SELECT 1") == "1\n"


def test_the_kafka_connect_sinks_requests_are_served(warehouse, database):
    """What ClickHouse's own sink connector sends (measured: POST /?compress=1&extremes=0, chunked, two headers)."""
    headers = {"x-clickhouse-database": database, "x-clickhouse-format": "RowBinaryWithNamesAndTypes", "Transfer-Encoding": "chunked",
               "Authorization": warehouse.authorization()}

    def send(*pieces):
        connection = warehouse.connect()
        connection.request("POST", "/?compress=1&extremes=0", body=iter(pieces), headers=headers, encode_chunked=True)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.status == 200, body
        return blocks(body)

    assert send(b"SELECT ", b"1") == b"\x01\x011\x05UInt8\x01"
    assert send(b"SELECT VERSION()").startswith(b"\x01\x09VERSION()\x06String")
    send(b"CREATE TABLE t (a UInt32, s String) ENGINE = MergeTree ORDER BY a")
    assert send(b"SELECT count() AS n FROM system.columns WHERE database = '" + database.encode() + b"'") == \
        b"\x01\x01n\x06UInt64" + struct.pack("<Q", 2)
    assert b"UInt32" in send(b"DESCRIBE TABLE `" + database.encode() + b"`.`t`")
    send(b"INSERT INTO `t` (`a`, `s`) ", b"FORMAT RowBinary\n", struct.pack("<IB", 10, 1), b"\n", struct.pack("<IB", 11, 0))
    assert warehouse.ask("SELECT * FROM t ORDER BY a", database=database) == "10\t\\n\n11\t\n"
