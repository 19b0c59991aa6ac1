"""Servers and the program itself are killed and paused while orders flow: what was acknowledged is there afterwards, once."""
import os
import random
import signal

import pytest

from load import Load
from system import wait_until

SOME = 100  # acknowledged changes: enough for many batches


@pytest.fixture
def load(millrace):
    seed = int(os.environ.get("MILLRACE_TEST_SEED", random.SystemRandom().randrange(10**6)))
    print(f"MILLRACE_TEST_SEED={seed}")
    running = Load(millrace, seed)
    try:
        running.wait_for_more(SOME, "orders flow")
        yield running
    finally:
        running.stop()


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def replaced(millrace, name, pid):
    return lambda: millrace.pid_of(name) not in (None, pid)


def test_the_order_store_is_killed(millrace, load):
    pid = wait_until(lambda: millrace.pid_of("mariadbd"), "the order store runs")
    kill(pid)
    wait_until(replaced(millrace, "mariadbd", pid), "it is started again")
    load.wait_for_more(SOME, "orders are taken again")
    load.stop().check(millrace)


def test_the_order_store_is_killed_again_and_again(millrace, load):
    for _ in range(3):
        pid = wait_until(lambda: millrace.pid_of("mariadbd"), "the order store runs")
        kill(pid)
        wait_until(replaced(millrace, "mariadbd", pid), "it is started again")
        load.wait_for_more(1, "orders are taken again")
    load.stop().check(millrace)


def test_the_warehouse_is_killed(millrace, load):
    pid = wait_until(lambda: millrace.pid_of("millrace-warehouse"), "the warehouse runs")
    kill(pid)
    load.wait_for_more(SOME, "orders are taken while it is away")
    wait_until(replaced(millrace, "millrace-warehouse", pid), "it is started again")
    load.stop().check(millrace)


def test_the_warehouse_hangs_for_a_while(millrace, load):
    pid = wait_until(lambda: millrace.pid_of("millrace-warehouse"), "the warehouse runs")
    os.kill(pid, signal.SIGSTOP)
    try:
        load.wait_for_more(SOME, "orders are taken meanwhile")
        wait_until(lambda: millrace.http("GET", "/readyz").status == 503, "readiness says that the warehouse is away")
        unready = millrace.http("GET", "/readyz").json
        assert (unready["status"], unready["orderStore"], unready["warehouse"]) == ("not ready", True, False)
        assert millrace.http("GET", "/api/analytics/health").json == {"status": "unhealthy", "clickhouse": False}
        assert millrace.http("GET", "/api/analytics/stats").status == 503
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: millrace.http("GET", "/readyz").status == 200, "it is ready again")
    load.stop().check(millrace)
    assert millrace.pid_of("millrace-warehouse") == pid, "a server that hung for a while is not replaced"


def test_the_order_store_hangs_for_a_while(millrace, load):
    pid = wait_until(lambda: millrace.pid_of("mariadbd"), "the order store runs")
    os.kill(pid, signal.SIGSTOP)
    try:
        refused = load.refused
        wait_until(lambda: load.refused > refused, "orders are refused with 503")
    finally:
        os.kill(pid, signal.SIGCONT)
    load.wait_for_more(SOME, "orders are taken again")
    load.stop().check(millrace)


def test_the_program_is_killed(millrace, load):
    millrace.may_have_ended = True
    kill(millrace.process.pid)
    millrace.process.wait()
    wait_until(lambda: not millrace.processes(), "its servers end with it")
    millrace.start()
    load.wait_for_more(SOME, "orders are taken again")
    load.stop().check(millrace)


def test_everything_is_killed_at_once(millrace, load):
    for _ in range(2):
        millrace.kill()
        millrace.start()
        load.wait_for_more(SOME, "orders are taken again")
    load.stop().check(millrace)


@pytest.mark.parametrize("signal_sent", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_under_load_loses_nothing_that_was_accepted(millrace, load, signal_sent):
    os.killpg(millrace.process.pid, signal_sent)
    millrace.assert_ended_cleanly()
    load.stop()
    assert load.refused, "requests after the stop are refused"
    millrace.start()
    load.check(millrace)
