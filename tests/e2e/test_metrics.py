"""GET /metrics, /readyz, and the verification that up runs by itself."""
import os
import re
import signal
import time

from system import REPOSITORY, ask, wait_until

SAMPLE = re.compile(r'^(millrace_[a-z_]+)(?:\{(.*)\})? (-?[0-9.e+-]+|\+?Inf|NaN)$')
DOCUMENT = REPOSITORY / "docs/specs/metrics.md"
# Only beside Kafka, or once a scheduled verification has run.
NOT_IN_THIS_TEST = re.compile("millrace_(kafka_.*|verify_(differences|last_.*))")


def metrics(millrace):
    """name -> labels -> value; the shape of every line is checked."""
    answer = millrace.http("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    described = set()
    for line in answer.text.splitlines():
        if line.startswith("# "):
            described.add(line.split(" ")[2])
            continue
        match = SAMPLE.match(line)
        assert match, line
        name, labels, value = match.groups()
        assert name in described or re.sub("_(bucket|sum|count)$", "", name) in described, line
        found.setdefault(name, {})[labels or ""] = float(value)
    return found


def samples(millrace, port=None):
    """Every line of a process's metrics: name{labels} -> value."""
    text = ask(port or millrace.api_port, "GET", "/metrics").text
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if not line.startswith("#")}


def test_the_document_lists_what_is_served(millrace):
    order = millrace.order()
    wait_until(lambda: millrace.warehouse_order(order["id"]), "the order is loaded")
    wait_until(lambda: samples(millrace).get("millrace_change_freshness_seconds_count", 0) > 0, "its freshness is measured")
    documented = set(re.findall(r"^\| (millrace_\w+) \|", DOCUMENT.read_text(), re.MULTILINE))
    served = {line.split(" ")[2] for line in millrace.http("GET", "/metrics").text.splitlines() if line.startswith("# TYPE")}
    assert served <= documented, served - documented
    assert not {name for name in documented - served if not NOT_IN_THIS_TEST.fullmatch(name)}


def value(millrace, name, labels=""):
    return metrics(millrace).get(name, {}).get(labels)


def test_what_happens_is_counted(millrace):
    before = metrics(millrace)
    orders = [millrace.order()["id"] for _ in range(3)]
    wait_until(lambda: all(millrace.warehouse_order(order) for order in orders), "the orders are loaded")
    wait_until(lambda: value(millrace, "millrace_stage_lag_records", 'stage="sink"') == 0, "nothing is on its way")
    after = metrics(millrace)
    for name in ("millrace_relay_events_sent_total", "millrace_transform_rows_written_total",
                 "millrace_sink_rows_loaded_total"):
        assert after[name][""] - before[name][""] == 3, name
    assert after["millrace_sink_freshness_seconds"][""] < 60
    assert set(after["millrace_stage_lag_records"]) == {'stage="relay"', 'stage="transform"', 'stage="sink"'}
    assert after["millrace_outbox_parked_rows"] == {"": 0}
    assert after["millrace_relay_active"] == {"": 1}
    assert re.fullmatch(r'version="[0-9.]+"', next(iter(after["millrace_build_info"])))
    text = millrace.http("GET", "/metrics").text
    assert all(name.endswith("_total") == ("# TYPE " + name + " counter" in text) for name in after)


def test_open_dead_letters_are_shown_until_somebody_handles_them(millrace):
    written = 'topic="order.events"'
    assert value(millrace, "millrace_dead_letters_open", written) == 0
    for name in ("one", "two"):
        millrace.mysql("INSERT INTO outbox (aggregate_id, aggregate_type, event_type, payload) "
                       "VALUES (%s, 'Order', 'OrderCreated', '{}')", name)
    wait_until(lambda: value(millrace, "millrace_dead_letters_open", written) == 2, "two letters are open")
    assert value(millrace, "millrace_dead_letters_total", written) == 2
    for letter in millrace.http("GET", "/admin/dead-letters", headers={"X-Admin-Id": "e2e"}).json["letters"]:
        assert millrace.run("dlq", "drop", letter["id"], "--reason", "a test").code == 0
    assert value(millrace, "millrace_dead_letters_open", written) == 0
    assert value(millrace, "millrace_dead_letters_total", written) == 2


def test_it_is_ready_while_everything_answers_and_no_stage_has_refused(millrace):
    assert millrace.get("/readyz") == {"status": "ready", "orderStore": True, "warehouse": True, "pipeline": True}
    assert millrace.get("/healthz")["status"] == "up"


def test_a_falsified_row_shows_in_the_next_scheduled_verification(make):
    millrace = make(**{"verify.interval": "1s"}).start()
    order = millrace.order("user-2", [("prod-3", 1)])["id"]
    wait_until(lambda: millrace.warehouse_order(order), "the order is loaded")
    wait_until(lambda: value(millrace, "millrace_verify_runs_total", 'result="clean"'), "a verification was clean")
    assert value(millrace, "millrace_verify_differences") == 0
    first = value(millrace, "millrace_verify_last_success_timestamp_seconds")
    assert abs(first - time.time()) < 600
    assert value(millrace, "millrace_verify_last_duration_seconds") >= 0

    millrace.clickhouse("INSERT INTO analytics.orders_analytics SELECT * REPLACE('SHIPPED' AS status, version + 1 AS version) "
                        f"FROM analytics.orders_analytics FINAL WHERE order_id = '{order}'")
    wait_until(lambda: value(millrace, "millrace_verify_differences") == 1, "the difference is seen")
    assert value(millrace, "millrace_verify_runs_total", 'result="differences"') >= 1
    assert value(millrace, "millrace_verify_last_run_timestamp_seconds") > first
    said = [line for line in millrace.log_file().read_text().splitlines() if "verify: 1 rows" in line]
    assert said and order in said[0] and "SHIPPED" in said[0], said
    millrace.clickhouse(f"DELETE FROM analytics.orders_analytics WHERE order_id = '{order}' AND status = 'SHIPPED'")
    wait_until(lambda: value(millrace, "millrace_verify_differences") == 0, "the repair is seen")


def test_verifications_can_be_switched_off(make):
    millrace = make(**{"verify.interval": "0"}).start()
    assert value(millrace, "millrace_verify_runs_total", 'result="clean"') == 0
    assert value(millrace, "millrace_verify_last_run_timestamp_seconds") is None


def test_measurements_come_while_the_order_store_is_away(make):
    millrace = make().start()
    order = millrace.order()["id"]
    wait_until(lambda: millrace.warehouse_order(order), "the order is loaded")
    pid = millrace.pid_of("mariadbd")
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: millrace.http("GET", "/metrics").status == 200, "a scrape is answered")
        wait_until(lambda: "millrace_outbox_parked_rows" not in metrics(millrace), "what is not known is left out")
        during = metrics(millrace)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert during["millrace_sink_rows_loaded_total"][""] == 1
    assert set(during["millrace_stage_lag_records"]) == {'stage="transform"', 'stage="sink"'}
