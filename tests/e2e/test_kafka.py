"""The pipeline over a Kafka cluster of three nodes: brokers are killed, a second instance of each stage comes and goes."""
import os
import signal
import time

import pytest

from system import free_port, wait_until


CONTROLLER_ABOVE = 10_000  # a node's controller listens that far above its broker


def kafka_settings():
    return {"event_log.kind": "kafka", "kafka.embedded": True,
            "kafka.brokers": ",".join(f"127.0.0.1:{free_port(also=[CONTROLLER_ABOVE])}" for _ in range(3))}

@pytest.fixture
def millrace(make):
    return make(**kafka_settings())

def node_of(millrace, number):
    found = [pid for pid, command in millrace.processes().items() if f"node-{number}/server.properties" in command]
    return found[0] if len(found) == 1 else None

def see(millrace, order):
    wait_until(lambda: millrace.warehouse_order(order["id"]) == ("PENDING", "0", "CREATED"), "the order arrives")

def test_orders_flow_while_brokers_are_killed_and_everything_is(millrace):
    millrace.start()
    orders = [millrace.order()]
    see(millrace, orders[0])
    for number in (1, 3):
        killed = node_of(millrace, number)
        os.kill(killed, signal.SIGKILL)
        orders += [millrace.order() for _ in range(5)]
        see(millrace, orders[-1])
        wait_until(lambda: node_of(millrace, number) not in (None, killed), "the broker is started again")
    # Two of three: nothing can be acknowledged until one is back, and nothing is lost.
    for number in (1, 2):
        os.kill(node_of(millrace, number), signal.SIGKILL)
    orders += [millrace.order() for _ in range(5)]
    for order in orders:
        see(millrace, order)
    assert millrace.delete(orders[0]["id"]).status == 204
    wait_until(lambda: millrace.warehouse_order(orders[0]["id"]) == ("PENDING", "1", "DELETED"), "the tombstone arrives")
    millrace.verify()

    orders += [millrace.order() for _ in range(20)]
    millrace.kill()
    millrace.start()
    orders.append(millrace.order())
    for order in orders[1:]:
        see(millrace, order)
    millrace.verify()

def test_two_of_each_stage_share_the_work_and_one_may_die(millrace):
    millrace.start()
    second = {stage: millrace.begin(stage, "--log-file", millrace.home / f"{stage}.log") for stage in ("relay", "transform", "sink")}
    try:
        kept = []
        for round_number in range(6):
            kept += [millrace.order() for _ in range(10)]
            stage = ("sink", "transform", "relay")[round_number % 3]
            process = second[stage]
            assert process.poll() is None, f"{stage} ended by itself with {process.returncode}"
            if round_number < 3:
                process.send_signal(signal.SIGKILL)
                process.wait(60)
                second[stage] = millrace.begin(stage, "--log-file", millrace.home / f"{stage}.log")
            else:
                process.send_signal(signal.SIGSTOP)
                time.sleep(1)
                process.send_signal(signal.SIGCONT)
        for order in kept:
            see(millrace, order)
        millrace.verify()
    finally:
        for process in second.values():
            process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(60)
            finally:
                process.kill()
            assert code == 0
