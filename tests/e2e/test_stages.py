"""Stages as processes of their own, and stages that fail: orders are taken, /readyz says why, and it heals by itself."""
import json
import os
import signal
import time

import pytest

from own_servers import Warehouse
from system import ask, free_port, wait_until
from test_kafka import kafka_settings, see
from test_metrics import samples


def readiness(port):
    answer = ask(port, "GET", "/readyz")
    return answer.status, json.loads(answer.text)


@pytest.fixture
def own_warehouse(make, tmp_path):
    millrace = make()
    warehouse = Warehouse(tmp_path / "warehouse", millrace.mark + "-warehouse")
    millrace.settings.update({"clickhouse.embedded": False, "clickhouse.port": warehouse.port})
    try:
        yield millrace, warehouse
    finally:
        if millrace.process is not None and millrace.process.poll() is None:
            millrace.stop()
        warehouse.process.kill()
        warehouse.process.wait()


def test_orders_are_taken_while_the_warehouse_refuses_our_password(own_warehouse):
    millrace, warehouse = own_warehouse
    millrace.start("--no-summary")
    see(millrace, millrace.order())

    right = warehouse.environment["MILLRACE_WAREHOUSE_PASSWORD"]
    warehouse.stop()
    warehouse.environment["MILLRACE_WAREHOUSE_PASSWORD"] = "another-password"
    warehouse.start()
    order = millrace.order()

    def says_why():
        status, body = readiness(millrace.api_port)
        troubles = {trouble["stage"]: trouble for trouble in body.get("stages", [])}
        return status == 503 and troubles.get("sink", {}).get("state") == "failed" and "clickhouse.password" in troubles["sink"]["reason"]
    wait_until(says_why, "readiness names the stage and the cure")
    assert millrace.order()["id"], "orders are taken on"
    assert samples(millrace)['millrace_stage_state{stage="sink",state="failed"}'] == 1
    assert millrace.process.poll() is None

    warehouse.stop()
    warehouse.environment["MILLRACE_WAREHOUSE_PASSWORD"] = right
    warehouse.start()
    see(millrace, order)
    wait_until(lambda: readiness(millrace.api_port)[0] == 200, "it is ready again")
    millrace.verify()


def test_changes_that_stand_still_are_not_ready_though_everything_answers(own_warehouse):
    millrace, _ = own_warehouse
    # No relay serves the shards: the outbox fills, and every system answers.
    millrace.settings.update({"relay.shards": 3, "relay.own_shards": "0"})
    millrace.start("--no-summary")
    begun = time.monotonic()
    for _ in range(12):
        millrace.order()
    wait_until(lambda: readiness(millrace.api_port)[0] == 503, "readiness follows the delivery", pause=0.5)
    print(f"not ready after {time.monotonic() - begun:.1f} s")
    body = readiness(millrace.api_port)[1]
    assert body["orderStore"] and body["warehouse"] and not body["pipeline"], body
    assert "relay" in body["delivery"], body
    assert samples(millrace)["millrace_oldest_invisible_change_seconds"] > 5


def test_each_stage_serves_its_metrics_and_its_readiness(make):
    millrace = make(**kafka_settings())
    millrace.start()
    ports = {role: free_port() for role in ("relay", "transform", "sink")}
    processes = {role: millrace.begin(role, "--log-file", millrace.home / f"{role}.log", f"--{role}-admin-port", port)
                 for role, port in ports.items()}
    try:
        see(millrace, millrace.order())
        for role, port in ports.items():
            wait_until(lambda port=port: readiness(port)[0] == 200, f"the {role} is ready")
            assert json.loads(ask(port, "GET", "/healthz").text) == {"status": "up"}
            found = samples(millrace, port)
            assert found[f'millrace_stage_state{{stage="{role}",state="running"}}'] == 1, found
            assert f'millrace_stage_lag_records{{stage="{role}"}}' in found
            assert ask(port, "GET", "/api/orders").status == 404
            assert ask(port, "POST", "/metrics", {}).status in (403, 405, 415)
        # Another of the same stage that is told to use the same port.
        second = millrace.run("sink", "--sink-admin-port", ports["sink"])
        assert second.code == 4 and "sink.admin_port" in second.complaint(), second
    finally:
        for process in processes.values():
            process.terminate()
            try:
                assert process.wait(60) == 0
            finally:
                process.kill()
    millrace.verify()


def test_a_stage_ends_within_its_time_though_the_warehouse_hangs(make):
    millrace = make(**kafka_settings())
    millrace.start()
    see(millrace, millrace.order())
    sink = millrace.begin("sink", "--log-file", millrace.home / "sink.log", "--stop-timeout", "3s", "--sink-admin-port", "0")
    hung = millrace.pid_of("millrace-warehouse")
    try:
        wait_until(lambda: "sink runs" in (millrace.home / "sink.log").read_text(), "the sink runs")
        os.kill(hung, signal.SIGSTOP)
        for _ in range(50):
            millrace.order()
        sink.terminate()
        assert sink.wait(30) == 0, "long before the 30 s of one insert and the 60 s of one query have passed"
    finally:
        os.kill(hung, signal.SIGCONT)
        sink.kill()
    millrace.verify()
