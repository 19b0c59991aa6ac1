"""Starting where something is in the way, twice, and side by side."""
import contextlib
import os
import random
import socket
import subprocess
import threading

import pytest

from system import wait_until


@contextlib.contextmanager
def foreign_listener(port):
    """Somebody else's server: greets whoever connects, and counts what it is sent."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        listener.settimeout(0.2)
        ended = threading.Event()
        received = []

        def serve():
            while not ended.is_set():
                try:
                    client, _ = listener.accept()
                except TimeoutError:
                    continue
                with client:
                    client.settimeout(5)
                    try:
                        client.sendall(b"foreign\n")
                        received.append(client.recv(1_000))
                    except OSError:
                        received.append(None)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield received
        finally:
            ended.set()
            thread.join()


@pytest.mark.parametrize("port", ["api.port", "mysql.port", "clickhouse.port"])
def test_a_port_in_use_is_named_and_nothing_is_left_running(make, port):
    millrace = make()
    number = millrace.settings[port]
    with foreign_listener(number) as received:
        done = millrace.run("up")

        assert done.code not in (0, 1), done
        assert str(number) in done.complaint(), done.err
        assert not millrace.processes()
        with socket.create_connection(("127.0.0.1", number), timeout=20) as client:
            assert client.recv(100) == b"foreign\n"
            client.sendall(b"still there")
        wait_until(lambda: b"still there" in received, "the foreign server goes on")
    assert [data for data in received if data not in (b"still there", b"")] == [], "it was spoken to"

    millrace.start()  # the port is free again, and nothing half-done is in the way
    millrace.order()


def test_a_second_up_on_the_same_directory_is_refused_and_the_first_goes_on(make):
    first = make().start()
    second = make(**{"data.dir": str(first.data)})

    done = second.run("up")

    assert done.code == 4, done
    assert str(first.data) in done.complaint() and str(first.process.pid) in done.complaint()
    assert not second.processes()
    order = first.order()
    wait_until(lambda: first.warehouse_order(order["id"]), "the first one's order arrives")


def test_two_instances_run_side_by_side_and_do_not_mix(make):
    one, other = make(), make()
    one.start(wait=False)
    other.start(wait=False)
    one.wait_ready()
    other.wait_ready()

    mine = one.order("user-1", [("prod-1", 1)])
    theirs = [other.order("user-2", [("prod-6", 3)]) for _ in range(2)]

    wait_until(lambda: one.get("/api/analytics/stats")["total_orders"] == 1, "one order here")
    wait_until(lambda: other.get("/api/analytics/stats")["total_orders"] == 2, "two orders there")
    assert one.http("GET", "/api/orders/" + theirs[0]["id"]).status == 404
    assert other.http("GET", "/api/orders/" + mine["id"]).status == 404
    one.verify()
    other.verify()
    one.stop()
    assert other.order()["id"], "stopping one does not touch the other"


def test_the_data_outlive_a_restart(make):
    millrace = make().start()
    order = millrace.order("user-1", [("prod-2", 3)])
    gone = millrace.order("user-1", [("prod-3", 1)])
    assert millrace.delete(gone["id"]).status == 204
    millrace.stop()

    millrace.start()

    assert millrace.get("/api/orders/" + order["id"]) == order
    wait_until(lambda: millrace.warehouse_order(order["id"]) == ("PENDING", "0", "CREATED"), "the order is in the warehouse")
    wait_until(lambda: millrace.warehouse_order(gone["id"]) == ("PENDING", "1", "DELETED"), "the tombstone is in the warehouse")
    later = millrace.order("user-1", [("prod-2", 1)])
    wait_until(lambda: millrace.get("/api/analytics/stats")["total_orders"] == 2, "both count")
    assert later["id"] > order["id"], "ids grow with time"
    millrace.verify()


def test_a_start_that_is_killed_or_interrupted_anywhere_is_finished_by_the_next(make):
    seed = int(os.environ.get("MILLRACE_TEST_SEED", random.SystemRandom().randrange(10**6)))
    print(f"MILLRACE_TEST_SEED={seed}")
    chance = random.Random(seed)
    millrace = make()
    for moment in ("mysql/lock", "mysql/data.unfinished", "mysql/data", "mysql/mysql.sock", "clickhouse/data", "event-log"):
        millrace.start(wait=False)
        wait_until(lambda: (millrace.data / "millrace.lock").read_text().strip() == str(millrace.process.pid), "it has begun")
        # What a former start has made is there at once: that is a moment, too.
        wait_until(lambda: (millrace.data / moment).exists() or (millrace.data / "mysql/data").exists(), f"{moment} is there")
        try:
            millrace.process.wait(chance.uniform(0, 0.3))
        except subprocess.TimeoutExpired:
            pass
        assert millrace.process.poll() is None, millrace.logs()
        if chance.random() < 0.5:
            millrace.kill()
        else:
            millrace.stop()

    millrace.start()

    order = millrace.order()
    wait_until(lambda: millrace.warehouse_order(order["id"]), "the order arrives")
    assert millrace.mysql("SELECT COUNT(*) FROM products") == [(6,)]
    millrace.verify()


def test_the_private_server_leaves_the_temporary_files_of_others_alone(millrace):
    """A starting MariaDB removes all #sql files of its temporary directory, so that must be its own."""
    assert millrace.mysql("SELECT @@tmpdir") == [(str(millrace.data / "mysql/tmp"),)]


CSV_HEAD = "invoice_no,stock_code,description,quantity,invoice_date,unit_price,customer_id,country\n"
CSV_LINE = "600001,85123A,WHITE HOLDER,{},2010-12-01 08:26:00,2.55,17850,United Kingdom\n"
BROKEN = {
    "too few columns": ("600002,85123A,WHITE HOLDER,6\n", ""),
    "a quantity that is no number": (CSV_LINE.format("six"), "six"),
    "a date that is none": (CSV_LINE.format(6).replace("2010-12-01", "2010-13-01"), "2010-13-01"),
    "a price that is no number": (CSV_LINE.format(6).replace("2.55", "2,55"), ""),
    "a quote that is not closed": (CSV_LINE.format(6).replace("WHITE", '"WHITE'), ""),
    "bytes that are not UTF-8": (CSV_LINE.format(6).replace("WHITE", "W\udcffITE"), "UTF-8"),
}


@pytest.fixture(scope="module")
def imports(millrace):
    """What an import would have changed."""
    return lambda file: (millrace.written(), millrace.run("import", "online-retail", file), millrace.written())


@pytest.mark.parametrize("line, named", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_line_is_named_by_its_number_and_nothing_is_imported(millrace, imports, line, named):
    file = millrace.home / "broken.csv"
    text = CSV_HEAD + CSV_LINE.format(6) * 3 + line + CSV_LINE.format(6)
    file.write_bytes(text.encode(errors="surrogateescape"))

    before, done, after = imports(file)

    assert done.code == 2, done
    assert "line 5" in done.complaint() and named in done.complaint()
    assert after == before


@pytest.mark.parametrize("content", [None, b"", b"hello\n", CSV_HEAD.replace("quantity", "number").encode(), b"\x28\xb5\x2f\xfdtorn"],
                         ids=["no file", "an empty file", "another file", "another column", "a damaged .zst"])
def test_a_file_that_is_none_is_named_and_nothing_is_imported(millrace, imports, content):
    file = millrace.home / "none.csv"
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_bytes(content)

    before, done, after = imports(file)

    assert done.code not in (0, 1), done
    assert "none.csv" in done.complaint() if content is None else done.complaint()
    assert after == before


def test_a_small_import_needs_no_stock_and_says_what_it_did(millrace, imports):
    file = millrace.home / "small.csv"
    file.write_text(CSV_HEAD + CSV_LINE.format(5_000) + CSV_LINE.format(0))

    before, done, after = imports(file)

    assert done.code == 0, done
    table = {row[0].strip(): row[1].split()[0] for row in (line.rsplit("  ", 1) if "new" not in line else
             line.rsplit("  ", 1)[0].rsplit("  ", 1) for line in done.out.splitlines())}
    assert (table["orders"], table["lines"], table["skipped lines: quantity not above 0"]) == ("1", "1", "1"), done.out
    assert after["orders"][0][0] == before["orders"][0][0] + 1
    assert set(after["stock"]) - set(before["stock"]) == {("or-85123A", 0, 0)}
    millrace.verify()


def test_another_kind_of_import_is_refused(millrace):
    done = millrace.run("import", "offline-retail", "file.csv")
    assert done.code == 2
    assert "online-retail" in done.complaint()


def test_tools_say_which_server_is_away(make):
    millrace = make(**{"mysql.password": "test123", "clickhouse.password": "test123"})
    away = {("verify", "--patience", "1s"): "clickhouse.port", ("init-db",): "mysql.port", ("init-warehouse",): "clickhouse.port"}
    for words, port in away.items():
        done = millrace.run(*words)
        assert done.code == 5, done
        assert str(millrace.settings[port]) in done.complaint()
        assert "test123" not in done.err


def test_a_log_that_cannot_be_opened_is_named_in_one_line(make):
    millrace = make()
    millrace.data.mkdir()
    (millrace.data / "millrace.lock").touch()
    (millrace.data / "event-log").write_text("not a folder")
    done = millrace.run("up")

    assert done.code not in (0, 1), done
    assert str(millrace.data / "event-log") in done.complaint(), done.err
    assert not millrace.processes()
