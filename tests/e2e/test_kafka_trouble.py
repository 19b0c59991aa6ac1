"""Beside a Kafka that is somebody else's: away, refusing us, with more partitions, with offsets set and a topic recreated."""
import pytest

from own_kafka import OwnKafka
from system import Millrace, wait_until

RIGHT = "the-right-password"
NO_SERVERS = {"mysql.password": "none", "clickhouse.password": "none"}  # a stage alone would look for the credentials of an `up`
GROUPS = ("order-event-transformer", "clickhouse-sink-orders")


@pytest.fixture
def world(make, tmp_path):
    millrace = make()
    kafka = OwnKafka(tmp_path / "kafka", millrace.mark + "-kafka", "another-password")
    millrace.settings.update(kafka.settings(RIGHT))
    try:
        yield millrace, kafka
    finally:
        try:
            if millrace.process is not None and millrace.process.poll() is None:
                millrace.stop()
        finally:
            kafka.stop()


def lines(millrace, *words):
    return [line for line in millrace.log_file().read_text().splitlines() if all(word in line for word in words)]


def see(millrace, order):
    wait_until(lambda: millrace.warehouse_order(order["id"]) == ("PENDING", "0", "CREATED"), "the order arrives")


def test_every_trouble_is_said_once_and_gone_on_after(world):
    millrace, kafka = world
    # Nobody is there: orders are taken, and wait.
    millrace.start("--no-summary")
    orders = [millrace.order()]
    wait_until(lambda: lines(millrace, "waiting for the event log", "refused", "kafka.brokers"), "it says what it waits for")

    # The broker is there and does not know our password; then it does.
    kafka.start()
    wait_until(lambda: lines(millrace, "waiting for the event log", "sasl.password"), "it says that its password is refused")
    orders.append(millrace.order())
    kafka.set_password(RIGHT)
    for order in orders:
        see(millrace, order)
    assert lines(millrace, "the event log is there after")
    assert len(lines(millrace, "waiting for the event log", "sasl.password")) == 1
    assert len(lines(millrace, "waiting for the event log")) <= 4, lines(millrace, "waiting for the event log")

    # More partitions of the first topic: the second gets as many, and nothing is lost or doubled.
    kafka.tool("org.apache.kafka.tools.TopicCommand", "--alter", "--topic", "order.events", "--partitions", "5")
    wait_until(lambda: kafka.partitions("orders_analytics") == 5, "the rows' topic has as many partitions", pause=0.5)
    orders += [millrace.order() for _ in range(20)]
    for order in orders[-20:]:
        see(millrace, order)

    # Away while it runs: each stage says so once.
    kafka.stop()
    orders += [millrace.order() for _ in range(5)]
    for stage in ("relay", "transform", "sink"):
        wait_until(lambda stage=stage: lines(millrace, f"{stage}: ", "kafka.brokers"), f"the {stage} says it")
    kafka.start()
    for order in orders[-5:]:
        see(millrace, order)
    for stage in ("relay", "transform", "sink"):
        assert len(lines(millrace, f"{stage}: ", "kafka.brokers")) <= 3, lines(millrace, f"{stage}: ")
    millrace.verify()

    # Offsets that somebody sets.
    millrace.stop()
    for group, where in zip(GROUPS, ("--to-earliest", "--to-latest")):
        kafka.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--group", group, "--all-topics", "--reset-offsets", where,
                   "--execute")
    millrace.start("--no-summary")
    wait_until(lambda: lines(millrace, "was not set by us"), "it does not take the offset for its own")
    orders.append(millrace.order())
    see(millrace, orders[-1])
    millrace.verify()

    # A topic that is deleted under it: the stage fails, with the cure, and orders are taken; and the cure.
    kafka.tool("org.apache.kafka.tools.TopicCommand", "--delete", "--topic", "orders_analytics")
    wait_until(lambda: lines(millrace, "orders_analytics was deleted and recreated", "millrace up --rebuild"), "it names the cure")
    unready = millrace.http("GET", "/readyz")
    assert unready.status == 503 and any(trouble["state"] == "failed" and "millrace up --rebuild" in trouble["reason"]
                                         for trouble in unready.json["stages"]), unready.json
    orders.append(millrace.order())
    millrace.stop()
    millrace.start("--no-summary", "--rebuild")
    orders.append(millrace.order())
    see(millrace, orders[-1])
    millrace.verify()
    for secret in (RIGHT, "another-password"):
        assert secret not in millrace.log_file().read_text()


def test_settings_that_no_wait_mends_end_at_once(make):
    millrace = make(**{"event_log.kind": "kafka", "kafka.brokers": "127.0.0.1:1", **NO_SERVERS})
    for setting, value in (("kafka.client", "no.such.name=1"), ("kafka.client", "ssl.key.pem=hunter2;security.protocol=ssl"),
                           ("kafka.brokers", "127.0.0.1:99999")):
        before = millrace.settings.get(setting)
        millrace.settings[setting] = value
        for role in ("relay", "transform", "sink"):
            done = millrace.run(role)
            assert done.code == 2, done
            assert setting in done.complaint()
            assert "hunter2" not in done.err + done.out
        millrace.settings[setting] = before


@pytest.mark.parametrize("role", ["sink"])
def test_a_stage_that_waits_ends_when_it_is_asked_to(make, role):
    millrace: Millrace = make(**{"event_log.kind": "kafka", "kafka.brokers": "no-such-host.invalid:9092", **NO_SERVERS})
    log = millrace.home / "stage.log"
    process = millrace.begin(role, "--log-file", log)
    try:
        wait_until(lambda: log.exists() and "resolve" in log.read_text(), "it says that the name is unknown")
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
