"""The commands beside the pipeline: verify, load, and up on a terminal."""
import decimal
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios

import pytest

from system import PATIENCE, wait_until

TABLES = ("orders", "daily_sales_mv", "hourly_sales_mv", "order_status_mv", "user_analytics_mv", "product_ranking_mv")


def verify(millrace, *words):
    done = millrace.run("verify", "--json", *words)
    return done.code, json.loads(done.out)


def test_verify_is_clean_on_an_empty_shop_and_on_a_full_one(make):
    millrace = make().start()
    code, report = verify(millrace)
    assert (code, report["clean"], report["differences"]) == (0, True, 0)
    assert {table["name"] for table in report["tables"]} == set(TABLES)
    for _ in range(3):
        millrace.order("user-1", [("prod-1", 1), ("prod-2", 1)])
    code, report = verify(millrace)
    compared = {table["name"]: table["compared"] for table in report["tables"]}
    assert (code, compared["orders"], compared["product_ranking_mv"]) == (0, 3, 2)


def spoil_orders(millrace, order):
    millrace.clickhouse("INSERT INTO analytics.orders_analytics SELECT * REPLACE('SHIPPED' AS status, version + 1 AS version) "
                        f"FROM analytics.orders_analytics FINAL WHERE order_id = '{order}'")


def spoil_views(millrace, order):
    millrace.clickhouse("INSERT INTO analytics.rollups SELECT * REPLACE(amount + 0.01 AS amount, upto + 1 AS upto) "
                        "FROM analytics.rollups FINAL WHERE dimension = 'day_product'")


def lose_order(millrace, order):
    millrace.clickhouse(f"DELETE FROM analytics.orders_analytics WHERE order_id = '{order}'")


def change_store(millrace, order):
    millrace.mysql("UPDATE orders SET total_amount = total_amount + 1 WHERE id = %s", order)


@pytest.fixture(scope="module")
def spoilt_order(millrace):
    """One order, in the warehouse."""
    order = millrace.order("user-2", [("prod-3", 1)])["id"]
    millrace.verify()
    return order


@pytest.mark.parametrize("spoil, named", [(spoil_orders, "orders"), (spoil_views, "product_ranking_mv"), (change_store, "daily_sales_mv"),
                                          (lose_order, "orders")])
def test_verify_finds_what_is_wrong_and_names_it(millrace, spoilt_order, spoil, named):
    spoil(millrace, spoilt_order)

    code, report = verify(millrace, "--patience", "1s")

    assert (code, report["clean"]) == (1, False), report
    assert named in {difference["table"] for difference in report["first"]}
    if named == "orders":
        assert spoilt_order in {difference["key"] for difference in report["first"]}
    plain = millrace.run("verify", "--patience", "1s")
    assert plain.code == 1 and named in plain.out


def test_load_reports_what_it_sent_and_loses_nothing(make):
    millrace = make().start()
    done = millrace.run("load", "--rate", "60", "--duration", "2s", "--workers", "8", "--delete-share", "0.2", "--seed", "7")
    assert done.code == 0, done
    report = json.loads(done.out)
    orders = millrace.mysql("SELECT COUNT(*) FROM orders")[0][0]
    assert orders > 0 and orders in report.values(), report
    millrace.verify()


class Terminal:
    """A program with a terminal of its own, so that Ctrl-C is what it is for a user."""

    def __init__(self, millrace, *words):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.screen = b""

        def own_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        millrace.process = millrace.begin_on(slave, own_terminal, *words)
        os.close(slave)

    def read(self):
        """All that was written so far, as text."""
        while select.select([self.master], [], [], 0)[0]:
            try:
                data = os.read(self.master, 65_536)
            except OSError:  # nobody has the other end any more
                break
            if not data:
                break
            self.screen += data
        return self.screen.decode(errors="replace")

    def press(self, key):
        os.write(self.master, key)

    def close(self):
        os.close(self.master)


def test_up_on_a_terminal_shows_growing_figures_and_ends_by_ctrl_c(make):
    millrace = make()
    terminal = Terminal(millrace, "up", "--demo", "--demo-rate", "20")
    try:
        wait_until(lambda: f"http://localhost:{millrace.api_port}" in terminal.read(), "the address is shown")
        wait_until(lambda: str(millrace.settings["clickhouse.port"]) in terminal.read(), "the warehouse's address is shown")
        wait_until(lambda: millrace.get("/api/analytics/stats")["total_orders"] >= 10, "demo orders are counted")
        def counts():
            return {int(count.replace(",", "")) for count in re.findall(r"orders +([\d,]+)", terminal.read())}
        wait_until(lambda: len(counts()) >= 2, "the screen shows growing orders")

        terminal.press(b"\x03")

        def ended():
            terminal.read()
            return millrace.process.poll() is not None
        wait_until(ended, "it ends", PATIENCE)
        millrace.assert_ended_cleanly()
        assert "stopping" in terminal.read()
    finally:
        terminal.close()
    log = (millrace.data / "millrace.log").read_text()
    assert "error" not in log, log

    millrace.start()
    millrace.verify()
    stats = millrace.get("/api/analytics/stats")
    assert stats["total_orders"] >= 10 and stats["total_revenue"] > decimal.Decimal(0)


def test_up_ends_cleanly_when_its_terminal_is_closed(make):
    millrace = make()
    terminal = Terminal(millrace, "up")
    wait_until(lambda: f"http://localhost:{millrace.api_port}" in terminal.read(), "the address is shown")
    millrace.order()
    terminal.close()
    millrace.assert_ended_cleanly()


def test_verify_can_be_interrupted(millrace):
    """On a shop that lies differently in both places it would wait out its patience."""
    order = millrace.order("user-2", [("prod-3", 1)])["id"]
    wait_until(lambda: millrace.warehouse_order(order), "the order arrives")
    change_store(millrace, order)
    running = millrace.begin("verify", "--patience", "10m", stdout=-3, stderr=-3)
    wait_until(lambda: millrace.mysql("SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'ecommerce'")[0][0] > 0,
               "verify is at work")
    running.send_signal(signal.SIGINT)
    assert running.wait(60) not in (0, 1)


def test_the_embedded_log_is_shown_while_up_runs_and_after(make):
    def shown(*words):
        done = millrace.run(*words, "--json")
        assert done.code == 0, (words, done)
        return json.loads(done.out)

    millrace = make()
    nobody = millrace.run("topics")
    assert nobody.code == 5 and f":{millrace.api_port}" in nobody.complaint(), nobody
    millrace.start()
    for _ in range(3):
        millrace.order()
    wait_until(lambda: [(g["group"], g["lag"], sum(p["committed"] or 0 for p in g["partitions"])) for g in shown("groups")["groups"]] ==
               [("clickhouse-sink-orders", 0, 3), ("order-event-transformer", 0, 3)], "both groups have committed everything")
    assert shown("cluster") == millrace.get("/api/kafka/cluster") == {
        "eventLog": "embedded", "clusterId": "embedded",
        "brokers": [{"id": 1, "host": "127.0.0.1", "port": None, "rack": None, "up": True}]}
    running = shown("topics")
    assert {topic["topic"]: topic["messages"] for topic in running["topics"]} == {
        "order.events": 3, "order.events-dlq": 0, "orders_analytics": 3, "orders_analytics-dlq": 0}
    messages = shown("topics", "tail", "order.events", "--last", "2")
    assert [message["value"]["eventType"] for message in messages["messages"]] == ["OrderCreated"] * 2
    group = shown("groups", "show", "order-event-transformer")
    assert (group["state"], len(group["members"]), len(group["members"][0]["partitions"])) == ("Stable", 1, 3)
    assert millrace.run("topics", "show", "no.such.topic").code == 3
    assert "was created" in millrace.run("topics", "create", "mine", "--partitions", "2").out

    millrace.stop()
    assert shown("topics", "tail", "order.events", "--last", "2") == messages
    assert [topic for topic in shown("topics")["topics"] if topic["topic"] != "mine"] == running["topics"]
    assert {g["group"]: (g["state"], g["lag"]) for g in shown("groups")["groups"]} == {
        "clickhouse-sink-orders": ("Empty", 0), "order-event-transformer": ("Empty", 0)}
