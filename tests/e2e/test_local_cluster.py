"""The local cluster by its Make targets: up, ps, logs, restart, down and clean, in a directory and on ports of the test's own."""
import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from system import REPOSITORY, free_port, program, tail, wait_until
from test_kafka import kafka_settings


@pytest.fixture
def cluster(make):
    millrace = make(**kafka_settings(), **{"connect.port": free_port()})
    yield Cluster(millrace)
    millrace.may_have_ended = True


class Cluster:
    """`make TARGET` with the settings of an instance; the programs are those under test, nothing is built or fetched."""

    def __init__(self, millrace):
        self.millrace = millrace
        self.settings = millrace.settings

    def make(self, *words, expected=0, seconds=150):
        variables = [f"DATA_DIR={self.millrace.data}", f"KAFKA_BROKERS={self.settings['kafka.brokers']}"]
        variables += [f"{name}_PORT={self.settings[name.lower() + '.port']}" for name in ("API", "MYSQL", "CLICKHOUSE", "CONNECT")]
        done = subprocess.run(["make", "-o", "build", "-o", "bootstrap-kafka", f"BUILD={program().parent}", "RUNTIME=local",
                               *variables, *words], cwd=REPOSITORY, env=self.millrace.environment(), text=True, timeout=seconds,
                              stdin=subprocess.DEVNULL, capture_output=True)
        assert (done.returncode == 0) == (expected == 0), (words, done.returncode, done.stdout, done.stderr, tail(self.log()))
        return done.stdout + done.stderr

    def log(self):
        return self.millrace.data / "millrace.log"

    def services(self):
        done = subprocess.run([str(program()), "ps", "--json", "--data-dir", str(self.millrace.data)],
                              env=self.millrace.environment(), capture_output=True, text=True, timeout=60)
        return {service["service"]: service for service in json.loads(done.stdout)}


def test_goes_up_shows_itself_survives_kills_and_goes_down(cluster):
    millrace = cluster.millrace
    said = cluster.make("up")
    for port in ("api.port", "mysql.port", "clickhouse.port", "connect.port"):
        assert f"localhost:{cluster.settings[port]}" in said, said
    assert "test123" in said and "make down" in said
    # Up means that everything an order needs is there.
    topics = {topic["topic"] for topic in millrace.http("GET", "/api/kafka/topics").json["topics"]}
    assert {"order.events", "order.events-dlq", "orders_analytics", "orders_analytics-dlq"} <= topics, topics
    order = millrace.order()
    assert "already" in cluster.make("up"), "a second time it says so"

    expected = {"millrace", "mysql", "clickhouse", "kafka-1", "kafka-2", "kafka-3", "connect"}
    # What runs is written down from time to time.
    wait_until(lambda: set(cluster.services()) == expected, "all services are shown")
    services = cluster.services()
    table = cluster.make("ps")
    assert re.search(r"(?m)^SERVICE +STATE +PID +PORT +UPTIME +MEMORY +RESTARTS$", table), table
    for name, service in services.items():
        assert re.search(rf"(?m)^{name} +ready +{service['pid']} +{service['port']} ", table), (name, table)
        assert service["memory_bytes"] > 1 << 20
    command = Path(f"/proc/{services['kafka-1']['pid']}/cmdline").read_text()
    if "-XX:SharedArchiveFile=" in command:
        assert "classes.jsa" in Path(f"/proc/{services['kafka-1']['pid']}/maps").read_text(), "the archive fits the class path"
    leader = services["millrace"]["pid"]
    assert os.getsid(leader) == leader, "it has a session of its own: no terminal takes it along"

    # A broker that does not run any more shows, and comes back.
    os.kill(services["kafka-2"]["pid"], signal.SIGSTOP)
    os.kill(services["kafka-2"]["pid"], signal.SIGKILL)
    wait_until(lambda: cluster.services()["kafka-2"]["state"] != "ready", "ps sees that a broker is down", pause=0.01)
    wait_until(lambda: (cluster.services()["kafka-2"]["restarts"], cluster.services()["kafka-2"]["state"]) == (1, "ready"),
               "the broker is back")
    cluster.make("ps")

    assert "ready for connections" in cluster.make("logs", "SERVICE=mysql-local")
    assert "kafka-1    | " in cluster.make("logs")
    assert "no log of 'nobody'" in cluster.make("logs", "SERVICE=nobody", expected=2)

    # kill -9 of everything: the next start is not in the way of what is left, and has all data.
    millrace.process = None
    for pid in [service["pid"] for service in cluster.services().values()]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    assert "it is up" in cluster.make("up")
    assert millrace.get("/api/orders/" + order["id"]) == order
    before = cluster.services()["millrace"]["pid"]
    assert "it is up" in cluster.make("restart")
    assert cluster.services()["millrace"]["pid"] != before
    wait_until(lambda: millrace.warehouse_order(order["id"]), "the order is in the warehouse")

    assert "stopped" in cluster.make("down")
    assert not millrace.processes(), "nothing is left running"
    assert "nothing runs" in cluster.make("ps", expected=1)
    assert "nothing runs" in cluster.make("down")
    assert (millrace.data / "mysql").is_dir(), "the data stay"
    mine = millrace.data / "mine.txt"
    mine.write_text("not of the stack")
    cluster.make("clean")
    assert [entry.name for entry in millrace.data.iterdir()] == ["mine.txt"], "what the stack did not make stays"


def test_a_port_that_is_taken_is_named_and_nothing_is_left_running(cluster):
    taken = int(cluster.settings["kafka.brokers"].split(",")[1].split(":")[1])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", taken))
        listener.listen()
        said = cluster.make("up", expected=4)
    assert f"port {taken} on 127.0.0.1" in said and "kafka.brokers" in said, said
    assert not cluster.millrace.processes()


def test_ctrl_c_while_it_starts_leaves_nothing_running(cluster):
    process = cluster.millrace.begin("up", "--detach", stdout=subprocess.PIPE, text=True)
    assert "starting" in process.stdout.readline()
    assert "ready" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 5, out
    wait_until(lambda: not cluster.millrace.processes(), "nothing is left running")


def test_docker_is_refused_with_the_reason_while_there_is_no_compose_file():
    if (REPOSITORY / "docker-compose.yml").exists():
        pytest.skip("docker-compose.yml is there")
    done = subprocess.run(["make", "up", "RUNTIME=docker"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "docker-compose.yml" in done.stderr and "RUNTIME=local" in done.stderr, done
