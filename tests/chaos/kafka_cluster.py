"""A Kafka cluster of three combined nodes that the suite runs itself, with a gate before each.

Clients are told the gates' addresses (the listener CLIENT); brokers and the suite itself speak behind the gates (INTERNAL). So a gate
stands between all clients and one broker, and the brokers go on hearing each other.
"""
import base64
import ctypes
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from gate import Gate
from system import MARK, REPOSITORY, free_port, tail, wait_until

NODES = (1, 2, 3)
HEAP_MIB = 256
# As the private cluster of `up` has them (src/supervise/embedded_kafka.cpp).
SETTINGS = {
    "process.roles": "broker,controller", "inter.broker.listener.name": "INTERNAL", "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "num.partitions": 3, "default.replication.factor": 3, "min.insync.replicas": 2, "offsets.topic.replication.factor": 3,
    "offsets.topic.num.partitions": 6, "transaction.state.log.replication.factor": 3, "transaction.state.log.min.isr": 2,
    "share.coordinator.state.topic.replication.factor": 3, "share.coordinator.state.topic.min.isr": 2,
    "auto.create.topics.enable": "false", "unclean.leader.election.enable": "false", "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000, "broker.session.timeout.ms": 3000, "broker.heartbeat.interval.ms": 500,
    "controller.quorum.fetch.timeout.ms": 1000, "controller.quorum.election.timeout.ms": 500, "replica.lag.time.max.ms": 5000,
    "log.retention.ms": -1, "num.network.threads": 2, "num.io.threads": 4, "log.cleaner.dedupe.buffer.size": 8388608,
}
LOGGING = ("rootLogger.level=WARN\nrootLogger.appenderRefs=console\nrootLogger.appenderRef.console.ref=console\n"
           "appender.console.type=Console\nappender.console.name=console\nappender.console.layout.type=PatternLayout\n"
           "appender.console.layout.pattern=%d %p %m (%c)%n\n")
ASK_SECONDS = 3
STOP_SECONDS = 60
DESCRIBE_QUORUM = 55  # the number of the request in Kafka's protocol
METADATA_TOPIC = b"__cluster_metadata"
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None)


def end_with_the_suite():
    """In a new process: the kernel kills it when the thread that made it has ended, however that happens."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def jars():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "millrace"
    version = re.search(r"^readonly kafka_version=(\S+)", (REPOSITORY / "scripts/bootstrap").read_text(), re.MULTILINE).group(1)
    folder = cache / f"kafka-{version}"
    if not (folder / "complete").exists() or shutil.which("java") is None:
        pytest.fail("Kafka's jars or Java are not there: run scripts/bootstrap --test")
    return folder


class Broker:
    """One node: its process, its ports, its gate."""

    def __init__(self, number, folder, mark, seed):
        self.number = number
        self.folder = folder
        self.mark = mark
        self.client_port, self.port, self.controller_port = free_port(), free_port(), free_port()
        self.gate = Gate(self.client_port, seed)
        self.process = None
        (folder / "data").mkdir(parents=True)

    def java(self, main_class, *words):
        return ["java", f"-Xmx{HEAP_MIB}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError",
                "-Djava.awt.headless=true", "-Djava.net.preferIPv4Stack=true",
                f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}", "-cp", f"{jars()}/*", main_class,
                *map(str, words)]

    def begin(self, main_class, *words):
        with (self.folder / "kafka.log").open("ab") as log:
            return subprocess.Popen(self.java(main_class, *words), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                    env={**os.environ, MARK: self.mark}, start_new_session=True,
                                    preexec_fn=end_with_the_suite)

    def prepare(self, voters):
        host = "127.0.0.1"
        settings = {**SETTINGS, "node.id": self.number, "controller.quorum.voters": voters, "log.dirs": self.folder / "data",
                    "listeners": f"CLIENT://{host}:{self.client_port},INTERNAL://{host}:{self.port},"
                                 f"CONTROLLER://{host}:{self.controller_port}",
                    "advertised.listeners": f"CLIENT://{host}:{self.gate.port},INTERNAL://{host}:{self.port}"}
        (self.folder / "server.properties").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        (self.folder / "log4j2.properties").write_text(LOGGING)

    def format(self, cluster_id):
        return self.begin("kafka.tools.StorageTool", "format", "--cluster-id", cluster_id, "--config",
                          self.folder / "server.properties", "--feature", "eligible.leader.replicas.version=0")

    @property
    def runs(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        assert not self.runs
        self.process = self.begin("kafka.Kafka", self.folder / "server.properties")

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Cleanly: it hands its partitions over before it ends."""
        self.process.terminate()
        self.process.wait(STOP_SECONDS)

    def quorum_leader(self):
        """The number of the controllers' leader, as this node knows it; raises OSError when it does not answer in time."""
        body = (b"\x02" + bytes([len(METADATA_TOPIC) + 1]) + METADATA_TOPIC + b"\x02" + struct.pack(">i", 0) + b"\0\0\0")
        request = struct.pack(">hhih", DESCRIBE_QUORUM, 0, 1, -1) + b"\0" + body
        with socket.create_connection(("127.0.0.1", self.port), timeout=ASK_SECONDS) as connection:
            connection.settimeout(ASK_SECONDS)
            connection.sendall(struct.pack(">i", len(request)) + request)
            size = struct.unpack(">i", exactly(connection, 4))[0]
            answer = exactly(connection, size)
        at = 4 + 1  # correlation, tags
        error = struct.unpack_from(">h", answer, at)[0]
        if error:
            raise OSError(f"the broker answers about the quorum with error {error}")
        at += 2 + 1 + 1 + len(METADATA_TOPIC) + 1  # error, topics, the name's length, the name, partitions
        _, error, leader = struct.unpack_from(">ihi", answer, at)
        if error or leader < 1:
            raise OSError(f"no leader now, error {error}")
        return leader


def exactly(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise OSError("the answer was cut off")
        data += piece
    return data


class Cluster:
    def __init__(self, folder, mark, chance):
        self.brokers = {number: Broker(number, folder / f"node-{number}", mark, chance.random()) for number in NODES}
        self.admin_client = None
        voters = ",".join(f"{broker.number}@127.0.0.1:{broker.controller_port}" for broker in self)
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        for broker in self:
            broker.prepare(voters)
        for broker, formatting in [(broker, broker.format(cluster_id)) for broker in self]:
            assert formatting.wait(STOP_SECONDS) == 0, tail(broker.folder / "kafka.log")

    def __iter__(self):
        return iter(self.brokers.values())

    def addresses(self):
        """For clients: the gates."""
        return ",".join(f"127.0.0.1:{broker.gate.port}" for broker in self)

    def inner_addresses(self):
        return ",".join(f"127.0.0.1:{broker.port}" for broker in self)

    def start(self):
        for broker in self:
            if not broker.runs:
                broker.start()
        return self

    def metadata(self):
        """What the brokers say of the topics; one client for all questions, so that none is made in vain. Raises OSError."""
        if self.admin_client is None:
            self.admin_client = AdminClient({"bootstrap.servers": self.inner_addresses(), "log_level": 0,
                                             "reconnect.backoff.max.ms": 500, "socket.timeout.ms": 5000})
        try:
            return self.admin_client.list_topics(timeout=ASK_SECONDS)
        except KafkaException as problem:
            raise OSError(str(problem)) from None

    def leaders(self):
        return {(name, partition): about.leader for name, topic in self.metadata().topics.items()
                for partition, about in topic.partitions.items()}

    def is_in_sync(self):
        # One that was killed stands in the metadata until its session has ended: it must answer for itself.
        for broker in self:
            broker.quorum_leader()
        metadata = self.metadata()
        return (len(metadata.brokers) == len(self.brokers) and
                all(len(about.isrs) == len(self.brokers) and about.leader in self.brokers
                    for topic in metadata.topics.values() for about in topic.partitions.values()))

    def wait_in_sync(self):
        wait_until(self.is_in_sync, "all brokers are there and in sync", pause=0.1)

    def controller(self):
        """The number of the leader of the controllers; raises OSError while there is none."""
        problem = OSError("no broker runs")
        for broker in self:
            if broker.runs:
                try:
                    return broker.quorum_leader()
                except OSError as now:
                    problem = now
        raise problem

    def wait_controller(self):
        return wait_until(self.controller, "the controllers have a leader", pause=0.1)

    def stop(self):
        for broker in self:
            if broker.runs:
                broker.signal(signal.SIGCONT)
                broker.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for broker in self:
            if broker.process is not None:
                try:
                    broker.process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    broker.kill()
            broker.gate.close()
