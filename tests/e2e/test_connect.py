"""Kafka Connect's REST interface of the sink: pausing, resuming, restarting and deleting the connector, with nothing lost or doubled."""
import json
import signal
import subprocess
import time


from system import REPOSITORY, ask, free_port, program, wait_until
from test_kafka import kafka_settings

CONNECTOR = "/connectors/clickhouse-sink-orders"


class Connect:
    """What a person does with curl."""

    def __init__(self, millrace):
        self.millrace = millrace
        self.port = millrace.settings["connect.port"]

    def ask(self, method, path, expected, body=None):
        answer = ask(self.port, method, path, body, {"Content-Type": "application/json"} if body is not None else None)
        assert answer.status == expected, (method, path, answer.status, answer.body)
        return answer.json if answer.body else None

    def state(self):
        return self.ask("GET", CONNECTOR + "/status", 200)

    def wait_for(self, state):
        wait_until(lambda: (self.state()["connector"]["state"], self.state()["tasks"][0]["state"]) == (state, state),
                   f"the connector is {state}")


def arrived(millrace, order):
    return millrace.warehouse_order(order["id"]) is not None


def assert_stays_away(millrace, order, seconds=1.5):
    """There is no event to wait for: what should not come has this long to come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert not arrived(millrace, order), "an order was loaded although nothing should be"
        time.sleep(0.1)


def make_target(millrace, *words):
    return subprocess.run(["make", "-o", "build", f"BUILD={program().parent}", "RUNTIME=local",
                           f"CONNECT_PORT={millrace.settings['connect.port']}", *words],
                          cwd=REPOSITORY, env=millrace.environment(), text=True, timeout=120, capture_output=True)


def test_the_committed_connector_is_registered_by_curl_and_by_make(make):
    millrace = make(**{"connect.port": free_port()}).start()
    connect = Connect(millrace)
    committed = json.loads((REPOSITORY / "kafka-connect/clickhouse-sink.json").read_text())
    assert connect.ask("GET", "/connectors", 200) == [committed["name"]], "it is registered by default"
    connect.wait_for("RUNNING")
    assert connect.ask("POST", "/connectors", 409, committed)["error_code"] == 409
    connect.ask("DELETE", CONNECTOR, 204)
    created = connect.ask("POST", "/connectors", 201, committed)
    assert created["config"] == {**committed["config"], "name": committed["name"], "password": "[hidden]"}
    assert "test123" not in (millrace.home / "up.log").read_text()
    assert not millrace.clickhouse("SELECT 1 FROM analytics.connectors WHERE position(config, 'test123') > 0")

    status = make_target(millrace, "connector-status")
    assert status.returncode == 0 and "clickhouse-sink-orders" in status.stdout and "RUNNING" in status.stdout, status
    connect.ask("DELETE", CONNECTOR, 204)
    status = make_target(millrace, "connector-status")
    assert status.returncode != 0 and "not registered" in status.stdout + status.stderr, status
    for _ in range(2):
        registered = make_target(millrace, "register-connector")
        assert registered.returncode == 0 and "clickhouse-sink-orders" in registered.stdout, registered
    connect.wait_for("RUNNING")
    order = millrace.order()
    wait_until(lambda: arrived(millrace, order), "the order arrives")
    # Ten times the commands of the handbook, under orders: nothing is lost or doubled.
    for _ in range(10):
        millrace.order()
        connect.ask("POST", CONNECTOR + "/restart", 204)
    millrace.verify()


def test_pausing_and_deleting_hold_for_all_sinks_and_over_kills_and_lose_nothing(make):
    settings = kafka_settings()
    settings["connect.port"] = free_port()
    millrace = make(**settings).start()
    connect = Connect(millrace)
    second = millrace.begin("sink", "--log-file", millrace.home / "sink.log")
    try:
        orders = [millrace.order()]
        wait_until(lambda: arrived(millrace, orders[0]), "the first order arrives")

        connect.ask("PUT", CONNECTOR + "/pause", 202)
        connect.wait_for("PAUSED")
        wait_until(lambda: "is PAUSED" in (millrace.home / "sink.log").read_text(), "the other sink has heard it")
        orders += [millrace.order() for _ in range(5)]
        assert_stays_away(millrace, orders[-1])
        connect.ask("PUT", CONNECTOR + "/resume", 202)
        wait_until(lambda: all(arrived(millrace, order) for order in orders), "what came meanwhile arrives")

        connect.ask("DELETE", CONNECTOR, 204)
        wait_until(lambda: "is DELETED" in (millrace.home / "sink.log").read_text(), "the other sink has heard it")
        orders += [millrace.order() for _ in range(5)]
        second.send_signal(signal.SIGKILL)
        second.wait(60)
        millrace.kill()
        millrace.start()
        second = millrace.begin("sink", "--log-file", millrace.home / "sink-2.log")
        assert connect.ask("GET", "/connectors", 200) == [], "it stays deleted"
        orders.append(millrace.order())
        assert_stays_away(millrace, orders[-1])

        committed = json.loads((REPOSITORY / "kafka-connect/clickhouse-sink.json").read_text())
        connect.ask("POST", "/connectors", 201, committed)
        connect.ask("POST", CONNECTOR + "/restart?includeTasks=true", 202)
        wait_until(lambda: all(arrived(millrace, order) for order in orders), "all orders arrive")
        millrace.verify()
    finally:
        second.send_signal(signal.SIGTERM)
        try:
            assert second.wait(60) == 0
        finally:
            second.kill()
