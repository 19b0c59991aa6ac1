"""The suite's own parts: the oracle finds planted differences, and the gate does what its modes say."""
import decimal
import socket
import threading

import pytest

import oracle
from chaos import seen_in
from gate import Gate
from oracle import Row
from report import ROUNDS_TO_JUDGE, Run, Tally, earlier_runs, keep_runs, write_report
from system import wait_until

ONE = decimal.Decimal("1.00")
STATES = {"a": {"PENDING"}, "b": {"DELETED"}, "c": {"PENDING", "PAYMENT_CONFIRMED"}}
TOTALS = {"a": ONE, "b": ONE, "c": ONE}
ATTEMPTS = {"attempt 1": "a", "attempt 2": "b", "attempt 3": "c", "attempt 4": None}
GOOD = {"a": Row("PENDING", 1, ONE, "attempt 1"), "b": Row("DELETED", 2, ONE, "attempt 2"),
        "c": Row("PAYMENT_CONFIRMED", 2, ONE, "attempt 3"), "d": Row("PENDING", 1, ONE, "attempt 4")}


def acknowledged(rows):
    return oracle.differences_of_acknowledged(STATES, TOTALS, ATTEMPTS, rows, "store")


def test_the_oracle_finds_nothing_where_all_is_well():
    assert acknowledged(GOOD) == []
    assert oracle.differences_of_stores(GOOD, GOOD) == []
    assert oracle.differences_of_versions(GOOD, GOOD, "store") == []
    assert oracle.differences_of_views({"v": {("day",): (1,)}}, {"v": {("day",): (1,)}}) == []


@pytest.mark.parametrize("planted, word", [
    ({"a": None}, "lost"),
    ({"a": Row("DELETED", 2, ONE, "attempt 1")}, "is DELETED"),
    ({"b": Row("PENDING", 3, ONE, "attempt 2")}, "is PENDING"),
    ({"a": Row("PENDING", 1, ONE + 1, "attempt 1")}, "total"),
    ({"e": Row("PENDING", 1, ONE, "attempt 5")}, "not asked for"),
    ({"e": Row("PENDING", 1, ONE, "attempt 4")}, "made twice"),
    ({"a": None, "e": Row("PENDING", 1, ONE, "attempt 1")}, "acknowledged as a and is e"),
])
def test_the_oracle_finds_what_differs_from_the_acknowledged(planted, word):
    rows = {id: row for id, row in {**GOOD, **planted}.items() if row is not None}
    assert any(word in difference for difference in acknowledged(rows))


@pytest.mark.parametrize("planted", [
    {"a": None}, {"e": Row("PENDING", 1, ONE)}, {"a": Row("PENDING", 2, ONE)}, {"a": Row("DELETED", 1, ONE)},
    {"a": Row("PENDING", 1, ONE + 1)}])
def test_the_oracle_finds_where_the_stores_differ(planted):
    other = {id: row for id, row in {**GOOD, **planted}.items() if row is not None}
    assert len(oracle.differences_of_stores(GOOD, other)) == 1


@pytest.mark.parametrize("planted", [
    {"a": None}, {"b": Row("PENDING", 9, ONE)}, {"a": Row("PENDING", 0, ONE)}, {"a": Row("PAYMENT_CONFIRMED", 1, ONE)}])
def test_the_oracle_finds_versions_that_fall_and_orders_that_come_back(planted):
    now = {id: row for id, row in {**GOOD, **planted}.items() if row is not None}
    assert len(oracle.differences_of_versions(GOOD, now, "store")) == 1


def test_what_may_be_purged_may_be_absent_and_must_not_come_back():
    store = {**GOOD, "b": Row("DELETED", 2, ONE, "attempt 2", may_be_purged=True)}
    warehouse = {id: row for id, row in GOOD.items() if id != "b"}
    gone = oracle.may_be_gone(store)
    assert gone == {"b"}
    assert oracle.differences_of_stores(store, warehouse) == []
    assert oracle.differences_of_acknowledged(STATES, TOTALS, ATTEMPTS, warehouse, "warehouse", gone) == []
    assert oracle.differences_of_versions(GOOD, warehouse, "warehouse", gone) == []
    assert oracle.differences_of_purged(gone, warehouse) == []
    assert len(oracle.differences_of_purged(gone, GOOD)) == 1


def test_runs_are_summed_and_what_was_not_met_is_said(tmp_path):
    tally = Tally()
    tally.add(0.5, {"answers lost": 2})
    run = Run(1, "abc", "a machine", 10, {"orders acknowledged": 3}, {"Embedded": {"kill_all": tally}}, [], [])
    run.must_meet({"answers lost": 1, "repeats dropped": 1})
    keep_runs(tmp_path / "runs.json", [run, run])
    text = write_report(tmp_path / "report.md", earlier_runs(tmp_path / "runs.json"))
    assert "rounds: 2, of them with `kill -9`: 2" in text
    assert "orders acknowledged: 6" in text and "| answers lost | 4 |" in text
    assert text.count("not met: repeats dropped") == 1 and "not met: answers" not in text


def test_the_report_counts_rounds_with_one_of_two_and_keeps_the_longest_distance(tmp_path):
    tally = Tally()
    tally.add(0.5, {"shards taken": 1})
    totals = {"orders acknowledged": 1, "log check: events": 3}
    runs = [Run(seed, "abc", "a machine", 10, {**totals, "log check: longest distance of a repeat": distance},
                {"Kafka": {"stop_relay": tally, "kill_broker": tally}}, [], []) for seed, distance in ((1, 7), (2, 5))]
    text = write_report(tmp_path / "report.md", runs, "Fault suite on Kafka")
    assert text.startswith("# Fault suite on Kafka\n") and "one of two of a role was killed, stopped or paused: 2" in text
    assert "events: 6" in text and "longest distance of a repeat: 7" in text


@pytest.mark.parametrize("have", [{}, {("day",): (2,)}, {("day",): (1,), ("other",): (1,)}])
def test_the_oracle_finds_where_a_view_differs(have):
    assert len(oracle.differences_of_views({"v": {("day",): (1,)}}, {"v": have})) == 1


def test_the_log_says_how_often_something_was_hit():
    counts = seen_in("sink: half of a batch was acknowledged, the base rows\npurge: removed 7 deleted orders for good\n"
                     "sink: partition 0 resumed at offset 5 of 9 (3 cumulative aggregates in memory)\n"
                     "sink: partition 1 resumed at offset 5 of 5 (3 cumulative aggregates in memory)\n"
                     "transform: dropped 12 repeats from partition 1\n"
                     "relay: away; retrying\nmariadbd was killed; starting it again in 200 ms\n")
    assert counts == {"sink starts": 1, "inserts half done": 1, "rows purged": 7,
                      "rows repeated from the position": 4, "starts with rows beyond the position": 1,
                      "repeats dropped": 12, "relay retries": 1, "servers started again": 1, "shards taken": 0,
                      "partitions taken": 2}


def test_a_fault_that_never_hit_is_idle():
    tally = Tally()
    for _ in range(ROUNDS_TO_JUDGE):
        tally.add(0.1, {"answers lost": 0})
    assert tally.idle()
    tally.add(0.1, {"answers lost": 1})
    assert not tally.idle()


class Echo:
    """Answers every piece with itself, and keeps what it got."""

    def __init__(self):
        self.got = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        try:
            while piece := peer.recv(1 << 16):
                self.got += piece
                peer.sendall(piece)
        except OSError:
            pass
        peer.close()


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.listener.close()


@pytest.fixture
def gate(echo):
    between = Gate(echo.port, 1)
    yield between
    between.close()


def client_of(gate):
    return socket.create_connection(("127.0.0.1", gate.port), timeout=30)


def says(client, piece):
    client.sendall(piece)
    return client.recv(1 << 16)


def ends(client, piece=b"x"):
    """Whether the connection ends, orderly or not, when spoken on."""
    try:
        client.sendall(piece)
        return client.recv(1) == b""
    except OSError:
        return True


def test_the_gate_passes_on_what_it_gets_and_an_orderly_end(gate, echo):
    client = client_of(gate)
    assert says(client, b"hello") == b"hello"
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert set(gate.counts.values()) == {0}


def test_the_gate_drops_open_and_new_connections(gate):
    client = client_of(gate)
    assert says(client, b"hello") == b"hello"
    gate.set("drop")
    assert ends(client) and ends(client_of(gate))
    gate.set("pass")
    assert says(client_of(gate), b"again") == b"again"
    assert gate.counts["ended"] == 2


def test_the_gate_cuts_in_the_middle(gate, echo):
    client = client_of(gate)
    gate.set("cut")
    try:
        client.sendall(b"x" * 1_000_000)
        while client.recv(1 << 16):
            pass
    except OSError:
        pass
    wait_until(lambda: gate.counts["cut"] >= 1, "the connection is cut")
    assert len(echo.got) < 1_000_000


def test_the_gate_loses_answers_of_requests_that_were_carried_out(gate, echo):
    gate.set("lose")
    sent = 0
    while gate.counts["answers lost"] == 0:
        with client_of(gate) as client:
            sent += 1
            try:
                says(client, b"x")
            except OSError:
                pass
    assert len(echo.got) == sent


def test_the_gate_delays(gate):
    client = client_of(gate)
    gate.set("delay")
    assert says(client, b"hello") == b"hello"
    assert gate.counts["delayed"] == 2


def test_the_gate_holds_open_connections_and_delivers_late_for_a_client_that_is_gone(gate, echo):
    client = client_of(gate)
    assert says(client, b"first") == b"first"
    gate.set("hold")
    client.sendall(b" late")
    client.close()
    assert says(client_of(gate), b" new") == b" new"
    gate.set("pass")
    wait_until(lambda: echo.got == b"first new late", "what was held arrives")
    assert gate.counts["delivered late"] == 1


def test_the_gate_parts_a_network_and_delivers_everything_when_it_is_back(gate, echo):
    client = client_of(gate)
    assert says(client, b"first") == b"first"
    gate.set("part")
    client.sendall(b" late")
    other = client_of(gate)
    other.sendall(b" other")
    other.settimeout(0.2)
    with pytest.raises(TimeoutError):
        other.recv(1)
    assert echo.got == b"first"
    gate.set("pass")
    other.settimeout(30)
    assert other.recv(1 << 16) == b" other" and client.recv(1 << 16) == b" late"
    assert gate.counts["delivered late"] == 2
