"""The stack on Kafka: three brokers, two processes of each role, and their servers, all of them the suite's own, with gates between.

A fault strikes one of two, or brokers, or a server. What it killed comes back at once or only when a fresh order has become visible
without it, as chance has it: see `mend`.
"""
import os
import signal
import subprocess
import time

import pytest

import log_check
from gate import Gate
from kafka_cluster import Cluster, end_with_the_suite
from own_servers import Mariadb, Warehouse
from stacks import LATE_SECONDS, Stack
from system import Millrace, ask, free_port, program, wait_until

ROLES = ("api", "relay", "transform", "sink")
WAYS = ("kill", "stop", "pause")
SESSION_SECONDS = 6.0  # the shortest that brokers take by default; longer than they need to replace one of them
# Short, so that a pause outlasts it; a window that is as small as is allowed, so that a repeat beyond it would be met.
RELAY_BATCH = 50
WINDOW = 2 * RELAY_BATCH
SETTINGS = {"event_log.kind": "kafka", "kafka.session_timeout": f"{SESSION_SECONDS:.0f}s", "relay.batch_size": RELAY_BATCH,
            "relay.shards": 3, "transform.window": WINDOW}
PAUSE_SECONDS = (SESSION_SECONDS + 0.5, SESSION_SECONDS + 2.5)
SHORT_PAUSE_SECONDS = (2.5, 4.5)  # longer than the time-outs of orders and inserts
LONG_SHARE = 0.1
LONG_SECONDS = (10.5, 12.0)  # longer than the 10 s of every call, too
GATE_SECONDS = (0.5, 4.0)
AWAY_SECONDS = (1.5, 5.0)
COMES_BACK_AT_ONCE = 0.5
STOP_SECONDS = 60


class Instance:
    """One process of one role."""

    def __init__(self, millrace, role, number):
        self.millrace = millrace
        self.role = role
        self.name = f"{role} {number}"
        self.api_port = free_port() if role == "api" else None
        self.log = millrace.home / f"{role}-{number}.log"
        self.process = None

    @property
    def runs(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        assert not self.runs, self.name
        flags = self.millrace.flags({"api.port": self.api_port} if self.api_port else {})
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([str(program()), self.role, *flags], cwd=self.millrace.home, stdin=subprocess.DEVNULL,
                                            env=self.millrace.environment(), start_new_session=True, stdout=log, stderr=log,
                                            preexec_fn=end_with_the_suite)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.ended()

    def ended(self):
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{self.name} did not end within {STOP_SECONDS} s")
        assert code == 0, f"{self.name} ended with {code}: {self.log.read_text(errors='replace')[-2000:]}"


class Roles(Millrace):
    """As `up`, with each role twice, in a process of its own."""

    def __init__(self, home, **settings):
        super().__init__(home, **settings)
        self.instances = [Instance(self, role, number) for role in ROLES for number in (1, 2)]

    def flags(self, more=()):
        ours, self.settings = self.settings, {**self.settings, **dict(more)}
        try:
            return super().flags()
        finally:
            self.settings = ours

    def of(self, role):
        return [instance for instance in self.instances if instance.role == role]

    @property
    def api_port(self):
        return next((instance.api_port for instance in self.of("api") if instance.runs), self.of("api")[0].api_port)

    @property
    def api_ports(self):
        return [instance.api_port for instance in self.of("api")]

    def start(self, *words, wait=True):
        for instance in self.instances:
            instance.start()
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        for port in self.api_ports:
            wait_until(lambda: ask(port, "GET", "/api/products").status == 200, "the API answers")

    def log_files(self):
        return [instance.log for instance in self.instances if instance.log.exists()]

    def close(self):
        try:
            running = [instance for instance in self.instances if instance.runs]
            for instance in running:
                instance.process.send_signal(signal.SIGCONT)
                instance.process.terminate()
            for instance in running:
                instance.ended()
        finally:
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


class Kafka(Stack):
    one_of_two = tuple(f"{way}_{role}" for role in ROLES for way in WAYS)
    gate_modes = ("part", "drop", "delay", "cut", "lose", "hold")
    broker_faults = ("kill_broker", "kill_controller", "kill_two_brokers", "kill_all_brokers", "pause_broker", "pause_controller",
                     "rolling_restart", *(f"{mode}_broker" for mode in gate_modes))
    faults = one_of_two + broker_faults + (
        "kill_broker_and_role", "late_insert_of_paused_sink", "late_mark_of_killed_relay", "kill_mariadbd", "kill_warehouse",
        "hold_mysql", "hold_warehouse", "kill_everything")
    partitions = 3
    load_pause_seconds = 0.04  # thirteen processes share the machine
    answer_seconds = 3  # an API that stands still must not hold the load for long

    def __init__(self, folder, chance):
        self.mariadb = self.warehouse = self.cluster = None
        self.gates = {}
        self.missing = []  # what a fault killed, and is to be started again
        folder = folder / "kafka"
        folder.mkdir(parents=True)
        try:
            self.cluster = Cluster(folder / "cluster", "", chance).start()
            self.mariadb = Mariadb(folder / "mariadb")
            self.warehouse = Warehouse(folder / "warehouse", mark="")
            self.mysql_gate = Gate(self.mariadb.port, chance.random())
            self.warehouse_gate = Gate(self.warehouse.port, chance.random())
            self.gates = {"mysql": self.mysql_gate, "warehouse": self.warehouse_gate,
                          **{f"broker {broker.number}": broker.gate for broker in self.cluster}}
            super().__init__(folder / "millrace", chance, Roles, **SETTINGS, **{
                "kafka.brokers": self.cluster.addresses(), "mysql.embedded": False, "mysql.port": self.mysql_gate.port,
                "mysql.user": "chief", "mysql.password": "chief", "clickhouse.embedded": False,
                "clickhouse.port": self.warehouse_gate.port})
            wait_until(lambda: self.millrace.clickhouse("SELECT 1"), "the suite's own warehouse answers")
            for words in (["init-db"], ["init-warehouse"]):
                done = self.millrace.run(*words)
                assert done.code == 0, done.err
            self.cluster.wait_in_sync()
        except BaseException:
            self.close_servers()
            raise

    # What must run again, and does

    def comes_back(self, *what):
        """Now, or when mend() is called."""
        if self.chance.random() < COMES_BACK_AT_ONCE:
            for one in what:
                one.start()
        else:
            self.missing += what

    def mend(self):
        """After a fresh order: everything runs again, and the brokers are in sync."""
        for one in self.missing:
            one.start()
        self.missing = []
        self.cluster.wait_in_sync()
        for instance in self.millrace.instances:
            assert instance.runs, (f"{instance.name} ended by itself with {instance.process.returncode}: "
                                   f"{instance.log.read_text(errors='replace')[-2000:]}")

    def wait_longer_than_a_session(self):
        self.wait(PAUSE_SECONDS)

    def wait(self, seconds):
        time.sleep(self.chance.uniform(*(LONG_SECONDS if self.chance.random() < LONG_SHARE else seconds)))

    def waiting(self):
        return self.millrace.mysql("SELECT COUNT(*) FROM outbox WHERE processed = 0")[0][0]

    # One of two

    def kill_one(self, role):
        victim = self.chance.choice(self.millrace.of(role))
        at = time.monotonic()
        victim.kill()
        self.comes_back(victim)
        return at

    def stop_one(self, role):
        victim = self.chance.choice(self.millrace.of(role))
        at = time.monotonic()
        victim.stop()
        self.comes_back(victim)
        return at

    def pause_one(self, role):
        """A stage for longer than its session: the other takes over. It wakes up in the middle of what it did."""
        victim = self.chance.choice(self.millrace.of(role))
        victim.process.send_signal(signal.SIGSTOP)
        try:
            self.wait(SHORT_PAUSE_SECONDS if role == "api" else PAUSE_SECONDS)
        finally:
            victim.process.send_signal(signal.SIGCONT)
        return time.monotonic()

    def late_insert_of_paused_sink(self):
        """What a sink has sent waits in the gate; it stands still, its partitions move, and then its inserts arrive."""
        before = self.warehouse_gate.counts["inserts delivered late"]
        victim = self.chance.choice(self.millrace.of("sink"))
        self.warehouse_gate.set("hold")
        time.sleep(self.chance.uniform(0.05, 0.5))
        victim.process.send_signal(signal.SIGSTOP)
        try:
            self.wait_longer_than_a_session()
            self.warehouse_gate.set("pass")
            time.sleep(self.chance.uniform(0.0, 0.5))
        finally:
            self.warehouse_gate.set("pass")
            victim.process.send_signal(signal.SIGCONT)
        self.note("late inserts of a former owner", self.warehouse_gate.counts["inserts delivered late"] - before)
        return time.monotonic()

    def late_mark_of_killed_relay(self):
        before = self.mysql_gate.counts["delivered late"]
        self.mysql_gate.set("hold")
        try:
            time.sleep(self.chance.uniform(0.1, 1.0))
            victims = self.millrace.of("relay")
            at = time.monotonic()
            for victim in victims:
                victim.kill()
                victim.start()
            time.sleep(self.chance.uniform(0.5, 2.0))
        finally:
            self.mysql_gate.set("pass")
        time.sleep(LATE_SECONDS)
        self.note("late statements of a former owner", self.mysql_gate.counts["delivered late"] - before)
        return at

    # Brokers

    def some_broker(self):
        return self.chance.choice(list(self.cluster))

    def led(self, *brokers):
        return sum(leader in [broker.number for broker in brokers] for leader in self.cluster.leaders().values())

    def kill_brokers(self, *brokers):
        self.note("partitions led by what was killed", self.led(*brokers))
        at = time.monotonic()
        for broker in brokers:
            broker.signal(signal.SIGKILL)
        for broker in brokers:
            broker.process.wait()
        return at

    def kill_broker(self):
        broker = self.some_broker()
        at = self.kill_brokers(broker)
        self.comes_back(broker)
        return at

    def the_controller(self):
        return self.cluster.brokers[self.cluster.wait_controller()]

    def kill_controller(self):
        broker = self.the_controller()
        at = self.kill_brokers(broker)
        self.note("controllers elected", self.cluster.wait_controller() != broker.number)
        self.comes_back(broker)
        return at

    def kill_two_brokers(self):
        """Nothing is acknowledged then, so no event leaves the outbox."""
        brokers = self.chance.sample(list(self.cluster), 2)
        self.kill_brokers(*brokers)
        time.sleep(self.chance.uniform(*AWAY_SECONDS))
        marked = "SELECT COUNT(*) FROM outbox WHERE processed = 1"
        before = self.millrace.mysql(marked)
        time.sleep(1)
        after = self.millrace.mysql(marked)
        assert before == after, f"events were acknowledged by one of three brokers: {before} then, {after} a second later"
        self.note("events that waited", self.waiting())
        for broker in brokers:
            broker.start()
            time.sleep(self.chance.uniform(0.0, 2.0))
        return time.monotonic()

    def kill_all_brokers(self):
        self.kill_brokers(*self.cluster)
        time.sleep(self.chance.uniform(*AWAY_SECONDS))
        self.note("events that waited", self.waiting())
        self.cluster.start()
        return time.monotonic()

    def pause_brokers(self, broker):
        self.note("partitions led by what stood still", self.led(broker))
        broker.signal(signal.SIGSTOP)
        try:
            self.wait(SHORT_PAUSE_SECONDS)
            # The others have noticed, however slow the machine is.
            others = [other for other in self.cluster if other is not broker]
            wait_until(lambda: others[0].quorum_leader() != broker.number, "another leads the controllers", pause=0.1)
        finally:
            broker.signal(signal.SIGCONT)
        return time.monotonic()

    def pause_broker(self):
        return self.pause_brokers(self.some_broker())

    def pause_controller(self):
        return self.pause_brokers(self.the_controller())

    def rolling_restart(self):
        """Each is stopped cleanly, and the next one only when all are back in sync."""
        brokers = list(self.cluster)
        self.chance.shuffle(brokers)
        for broker in brokers:
            self.note("partitions handed over", self.led(broker))
            before = self.load.acknowledged
            broker.stop()
            broker.start()
            self.cluster.wait_in_sync()
            self.note("brokers restarted")
            self.note("changes acknowledged meanwhile", self.load.acknowledged - before)
        return time.monotonic()

    def gate_before_a_broker(self, mode):
        """One that leads something of ours: the others have little to say to clients."""
        ours = {leader for (topic, _), leader in self.cluster.leaders().items() if topic in (log_check.EVENTS, log_check.ROWS)}
        gate = self.cluster.brokers[self.chance.choice(sorted(ours & self.cluster.brokers.keys()))].gate
        gate.set(mode)
        if mode in ("hold", "part"):
            self.wait(SHORT_PAUSE_SECONDS)
        else:
            time.sleep(self.chance.uniform(*GATE_SECONDS))
        gate.set("pass")
        return time.monotonic()

    # Servers, and several at once

    def kill_server(self, server):
        at = time.monotonic()
        server.process.kill()
        server.process.wait()
        server.start()
        return at

    def kill_mariadbd(self):
        return self.kill_server(self.mariadb)

    def kill_warehouse(self):
        return self.kill_server(self.warehouse)

    def hold(self, gate):
        gate.set("hold")
        self.wait(SHORT_PAUSE_SECONDS)
        gate.set("pass")
        return time.monotonic()

    def hold_mysql(self):
        return self.hold(self.mysql_gate)

    def hold_warehouse(self):
        return self.hold(self.warehouse_gate)

    def kill_broker_and_role(self):
        broker, victim = self.some_broker(), self.chance.choice(self.millrace.instances)
        at = self.kill_brokers(broker)
        victim.kill()
        self.comes_back(broker)
        self.comes_back(victim)
        return at

    def kill_everything(self):
        at = self.kill_brokers(*self.cluster)
        for instance in self.millrace.instances:
            instance.kill()
        for server in (self.mariadb, self.warehouse):
            server.process.kill()
            server.process.wait()
            server.start()
        self.cluster.start()
        for instance in self.millrace.instances:
            instance.start()
        return at

    # The log

    def check_log(self, load, warehouse, may_be_gone, calm):
        return log_check.check_all(self.cluster.inner_addresses(), self.millrace, WINDOW, calm, load.states, warehouse, may_be_gone)

    def close_servers(self):
        for gate in self.gates.values():
            gate.close()
        for server in (self.warehouse, self.mariadb):
            if server is not None:
                server.stop()
        if self.cluster is not None:
            self.cluster.stop()

    def close(self):
        try:
            super().close()
        finally:
            self.close_servers()


def _add(name, method, *words):
    setattr(Kafka, name, lambda self: getattr(self, method)(*words))


for _role in ROLES:
    for _way in WAYS:
        _add(f"{_way}_{_role}", f"{_way}_one", _role)
for _mode in Kafka.gate_modes:
    _add(f"{_mode}_broker", "gate_before_a_broker", _mode)
del _role, _way, _mode
