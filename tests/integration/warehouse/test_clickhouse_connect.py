"""The `clickhouse-connect` client works against the program as it does against a server."""
import datetime
from decimal import Decimal

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from conftest import PASSWORD, USER


@pytest.fixture(params=[False, "gzip", "lz4", "zstd"], ids=["plain", "gzip", "lz4", "zstd"])
def client(request, warehouse, database):
    made = clickhouse_connect.get_client(host="127.0.0.1", port=warehouse.port, username=USER, password=PASSWORD, database=database,
                                         compress=request.param)
    yield made
    made.close()


def test_client_creates_inserts_and_queries(client):
    assert client.server_tz.key == "UTC" if hasattr(client.server_tz, "key") else str(client.server_tz) == "UTC"
    client.command("CREATE TABLE t (a UInt32, s String, d DateTime, m Nullable(Decimal(18, 2)), l Array(String), c LowCardinality(String)) "
                   "ENGINE = MergeTree ORDER BY a")
    moment = datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc)
    rows = [[number, f"line\n{number}", moment, Decimal("1.25") if number % 2 else None, ["a", "b"], "x"] for number in range(5000)]
    summary = client.insert("t", rows, column_names=["a", "s", "d", "m", "l", "c"])
    assert summary.written_rows == 5000
    result = client.query("SELECT count(), sum(a), min(d), sum(m), any(l), any(c) FROM t")
    assert result.column_names[0] == "count()"
    assert result.result_rows[0] == (5000, sum(range(5000)), moment.replace(tzinfo=None), Decimal("3125.00"), ["a", "b"], "x")


def test_client_binds_parameters(client):
    result = client.query("SELECT {n:UInt32} + 1, {s:String}, {l:Array(String)}", parameters={"n": 41, "s": "a'b\\c\td", "l": ["x'y"]})
    assert result.result_rows == [(42, "a'b\\c\td", ["x'y"])]


def test_client_streams_many_blocks(client):
    with client.query_row_block_stream("SELECT number FROM numbers(1000000)") as blocks:
        assert sum(row[0] for block in blocks for row in block) == sum(range(1_000_000))


def test_client_sees_errors_before_and_inside_an_answer(client):
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.query("SELECT * FROM nosuch")
    with pytest.raises(StreamFailureError, match="throwIf"):
        with client.query_row_block_stream("SELECT sipHash64(throwIf(number = 3000000), number) FROM numbers(4000000)") as blocks:
            for _ in blocks:
                pass
    assert client.query("SELECT 1").result_rows == [(1,)]


def test_client_commands_return_values_and_settings_are_checked(client):
    assert client.command("SELECT 42") == 42
    assert client.command("SELECT getSetting('max_block_size')", settings={"max_block_size": 1000}) == 1000
    with pytest.raises(Exception, match="nosuch|unknown|Unknown"):
        client.command("SELECT 1", settings={"nosuch_setting": 1})


def test_client_inserts_raw_bytes(client):
    client.command("CREATE TABLE raw (a UInt32, s String) ENGINE = MergeTree ORDER BY a")
    client.raw_insert("raw", column_names=["a", "s"], insert_block=b"1,x\n2,y\n", fmt="CSV")
    assert client.raw_query("SELECT * FROM raw ORDER BY a", fmt="CSV") == b'1,"x"\n2,"y"\n'
