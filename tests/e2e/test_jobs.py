"""Rebuilds and replays of a running Millrace: orders come in meanwhile, and all of it is killed in the middle."""
import json
import shutil
import subprocess
import time

import pytest

from load import Load
from system import MARK, wait_until

ADMIN = {"X-Admin-Id": "e2e"}
MANY = 30_000  # orders: enough that a rebuild can be met in each of its phases


@pytest.fixture
def millrace(make):
    return make().start()


def add_history(millrace, count=MANY):
    """Orders that MySQL has and of which no event was ever sent."""
    millrace.mysql_all([
        "INSERT INTO orders (id, user_id, user_email, total_amount, status, version, created_at, updated_at) "
        "SELECT CONCAT('history-', LPAD(seq, 8, '0')), CONCAT('user-', 1 + MOD(seq, 3)), 'then@example.com', 20.02, "
        "ELT(1 + MOD(seq, 4), 'PENDING', 'SHIPPED', 'CANCELLED', 'DELIVERED'), 1700000000000 + seq, "
        f"TIMESTAMPADD(MINUTE, seq, '2024-01-01'), TIMESTAMPADD(MINUTE, seq, '2024-01-01') FROM seq_1_to_{count}",
        "INSERT INTO order_items (order_id, product_id, product_name, quantity, price, created_at) "
        "SELECT id, CONCAT('prod-', 1 + MOD(CRC32(id), 6)), 'Then', 2, 10.01, created_at FROM orders WHERE LEFT(id, 8) = 'history-'",
        "INSERT INTO payments (id, order_id, amount, status, method, created_at, updated_at) "
        "SELECT RIGHT(id, 36), id, 20.02, 'COMPLETED', 'PAYPAL', created_at, updated_at FROM orders WHERE LEFT(id, 8) = 'history-'"])


def damage(millrace):
    millrace.clickhouse("TRUNCATE TABLE analytics.rollups")
    lose_base_rows(millrace)


def lose_base_rows(millrace):
    millrace.clickhouse("ALTER TABLE analytics.orders_analytics DELETE WHERE cityHash64(order_id) % 2 = 0 SETTINGS mutations_sync = 2")


def assert_differs(millrace):
    assert millrace.run("verify", "--patience", "1s").code == 1


def phase(millrace):
    """Of the running job; None without one."""
    rows = millrace.mysql("SELECT checkpoint FROM jobs WHERE state = 'running'")
    return json.loads(rows[0][0]).get("phase") if rows and rows[0][0] else None


def last_job(millrace):
    answer = millrace.http("GET", "/admin/jobs", headers=ADMIN)
    assert answer.status == 200, answer
    return answer.json["jobs"][0]


def tables(millrace):
    return {name for (name,) in millrace.clickhouse(
        "SELECT name FROM system.tables WHERE database = 'analytics' AND NOT endsWith(name, '_mv')")}


def test_a_rebuild_under_load_goes_on_after_kills_in_its_middle(millrace):
    add_history(millrace)
    load = Load(millrace, seed=1)
    try:
        load.wait_for_more(50, "orders flow")
        damage(millrace)
        follower = millrace.begin("rebuild", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  environment={MARK: "not killed with the others"})
        killed_in = []
        for wanted in ("snapshot", "fill"):
            met = wait_until(lambda: phase(millrace), f"the rebuild comes to {wanted}")
            while met not in (wanted, None):
                met = phase(millrace)
            killed_in.append(met)
            millrace.kill()
            millrace.start()
        out, err = follower.communicate(timeout=120)
        assert follower.returncode == 0, (killed_in, out, err)
        assert "is in use" in out, out
        load.wait_for_more(50, "orders are taken")
    finally:
        load.stop()
    load.check(millrace)
    print("killed in", killed_in)
    assert last_job(millrace)["state"] == "done"
    assert millrace.clickhouse("SELECT DISTINCT splitByChar('/', source)[1] FROM analytics.rollups") == [("1",)]
    assert tables(millrace) == {"connectors", "generations", "orders_analytics", "purged_orders", "rollups", "sink_position", "snapshot_g1"}
    assert millrace.run("rebuild").code == 0, "and once more"
    millrace.verify()


def test_a_cancelled_rebuild_leaves_nothing_behind(millrace):
    add_history(millrace)
    before = tables(millrace)
    assert millrace.run("rebuild", "--no-wait").code == 0
    wait_until(lambda: phase(millrace) == "snapshot", "the rebuild reads orders")
    second = millrace.run("replay", "--from", "0")
    assert second.code == 4, second
    assert "one runs at a time" in second.complaint()
    number = last_job(millrace)["id"]
    assert millrace.run("jobs", "--cancel", number).code == 0
    wait_until(lambda: last_job(millrace)["state"] == "cancelled", "it is cancelled")
    assert tables(millrace) == before
    assert millrace.run("jobs", "--cancel", number).code == 4
    assert millrace.run("jobs", "--follow", number).code == 4
    assert "cancelled" in millrace.run("jobs").out


def test_a_lost_warehouse_is_made_again(millrace):
    load = Load(millrace, seed=2)
    try:
        load.wait_for_more(100, "orders flow")
    finally:
        load.stop()
    load.check(millrace)
    millrace.stop()
    shutil.rmtree(millrace.data / "clickhouse")
    millrace.start("--rebuild")
    wait_until(lambda: last_job(millrace)["state"] == "done", "the rebuild is done")
    load.check(millrace)


def test_a_sink_that_refuses_to_go_on_goes_on_after_a_rebuild(millrace):
    load = Load(millrace, seed=5)
    try:
        load.wait_for_more(100, "orders flow")
    finally:
        load.stop()
    load.check(millrace)
    # As if the log were an older copy of itself: the warehouse is beyond its end.
    millrace.clickhouse("INSERT INTO analytics.sink_position SELECT source, upto + 1000000, input_offset + 1000000, now64(3) "
                        "FROM analytics.sink_position FINAL")
    millrace.stop()
    millrace.start(wait=False)

    def trouble_of_the_sink():
        troubles = {trouble["stage"]: trouble for trouble in millrace.http("GET", "/readyz").json.get("stages", [])}
        return troubles.get("sink", {"state": "", "reason": ""})
    wait_until(lambda: "millrace up --rebuild" in trouble_of_the_sink()["reason"], "readiness names the cure")
    time.sleep(3)
    assert trouble_of_the_sink()["state"] == "failed", "it does not go on by itself"
    millrace.stop()

    millrace.start("--rebuild")
    wait_until(lambda: last_job(millrace)["state"] == "done", "the rebuild is done")
    load.check(millrace)
    millrace.stop()
    millrace.start()
    load.check(millrace)


def test_a_lost_log_is_made_up_for(millrace):
    load = Load(millrace, seed=4)
    try:
        load.wait_for_more(100, "orders flow")
        millrace.kill()  # with events that only the log had
        shutil.rmtree(millrace.data / "event-log")
        millrace.start("--no-summary", wait=False)
        wait_until(lambda: any("millrace up --rebuild" in trouble["reason"]
                               for trouble in millrace.http("GET", "/readyz").json.get("stages", [])), "readiness names the cure")
        millrace.stop()
        millrace.start("--rebuild")
        load.wait_for_more(50, "orders flow")
        wait_until(lambda: last_job(millrace)["state"] == "done", "the rebuild is done")
    finally:
        load.stop()
    load.check(millrace)


def test_a_replay_brings_base_rows_back_and_counts_nothing_twice(millrace):
    load = Load(millrace, seed=3)
    try:
        load.wait_for_more(150, "orders flow")
        load.stop()
        load.check(millrace)
        views = millrace.views()
        lose_base_rows(millrace)
        assert_differs(millrace)
        done = millrace.run("replay", "--from", "0")
        assert done.code == 0, done
        assert "base rows written" in done.out
        millrace.verify()
        assert millrace.views() == views

        load.start()
        load.wait_for_more(50, "orders flow")
        lose_base_rows(millrace)
        assert millrace.run("replay", "--from", "2020-01-01T00:00:00Z", "--no-wait").code == 0
        millrace.kill()
        millrace.start()
        wait_until(lambda: last_job(millrace)["state"] == "done", "the replay goes on after the kill")
    finally:
        load.stop()
    load.check(millrace)
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    assert " 0 base rows written" in millrace.run("replay", "--from", later).out


def test_a_job_that_makes_no_sense_is_refused(millrace):
    for words, sentence in (
            (("--from", "yesterday"), "an offset such as 1234, or a time in UTC"),
            (("--from", "0", "--topic", "order.events"), "repeats, which the sink drops"),
            (("--from", "0", "--topic", "nothing"), "orders_analytics can"),
            (("--from", "-5"), "0 or more")):
        refused = millrace.run("replay", *words)
        assert refused.code == 2, refused
        assert sentence in refused.complaint()
    failed = millrace.run("replay", "--from", "0", "--partition", "77")
    assert failed.code == 7 and "no partition 77" in failed.complaint(), failed
    assert millrace.http("GET", "/admin/jobs").status == 400
    assert "kind" in millrace.http("POST", "/admin/jobs", {"kind": "dance"}, ADMIN).problem()
    assert millrace.http("POST", "/admin/jobs", b"[]", ADMIN).status == 400
    assert millrace.http("GET", "/admin/jobs/12345", headers=ADMIN).status == 404
    assert millrace.http("GET", "/admin/jobs/x", headers=ADMIN).status == 400
    assert millrace.http("POST", "/admin/jobs/12345/cancel", headers=ADMIN).status == 404
