"""The two stacks that the suite strikes, each with the faults that only it can have: a fault is a method named in `faults`.

A fault method strikes, ends its own disturbance, and returns the moment (time.monotonic) from which recovery counts: the kill, or
the end of what was stopped or held.
"""
import os
import signal
import subprocess
import time

from gate import Gate
from own_servers import Mariadb, Warehouse
from system import Millrace, program, wait_until

# Short, so that a pause outlasts them; the relay's and the transformer's own are 10 s, which LONG_SECONDS outlasts.
TIMEOUTS = {"ordering.timeout": "2s", "sink.insert_timeout": "2s"}
# The shortest that is allowed, so that deleted orders leave the warehouse while faults strike.
PURGE_SECONDS = 60
PURGE = {"purge.period": f"{PURGE_SECONDS}s", "purge.interval": "2s"}
# Every start of a stage counts, also those that an outage repeats.
TOLD = {"log.level": "debug"}
LONG_SHARE = 0.1
LONG_SECONDS = (10.5, 12.0)
PAUSE_SECONDS = (2.2, 4.0)
GATE_SECONDS = (0.3, 3.0)
LATE_SECONDS = 0.1  # for what was held to be passed on and counted
ORDERS_OF_ONE_BATCH = 5
REPEATS_MAX = 300  # of one partition; a small part of the transformer's window
START_SECONDS = (0.02, 1.5)
MILLRACE, MARIADBD, WAREHOUSE = "millrace", "mariadbd", "millrace-warehouse"


class LeftOut(Exception):
    """This machine does not permit the stack; the text says what it lacks."""


class Stack:
    """What both have in common: one `up`, which can be killed, paused and started again."""

    answer_seconds = 60  # the load's patience
    load_pause_seconds = 0.005
    check_log = None  # of a log that others can read
    partitions = 1  # of which each must be seen to go on

    def __init__(self, folder, chance, program=Millrace, **settings):
        self.chance = chance
        self.purge_seconds = PURGE_SECONDS
        self.millrace = program(folder, **{**TIMEOUTS, **PURGE, **TOLD, **settings})
        self.notes = {}
        self.load = None  # the part's, once it runs

    def note(self, what, count=1):
        """Counts what the fault itself saw happen."""
        self.notes[what] = self.notes.get(what, 0) + count

    def pid(self, name):
        if name == MILLRACE:
            return self.millrace.process.pid
        return wait_until(lambda: self.millrace.pid_of(name), f"{name} runs")

    def kill(self, *names):
        pids = [self.pid(name) for name in names]
        at = time.monotonic()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return at

    def start_again(self):
        """After a kill of the program: its servers end with it, and the directory is free."""
        self.millrace.may_have_ended = True
        self.millrace.process.wait()
        wait_until(lambda: not self.millrace.processes(), "its servers end with it")
        self.millrace.start(wait=False)

    def pause_seconds(self):
        return self.chance.uniform(*(LONG_SECONDS if self.chance.random() < LONG_SHARE else PAUSE_SECONDS))

    def pause(self, *pids):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(self.pause_seconds())
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        return time.monotonic()

    def kill_millrace(self):
        at = self.kill(MILLRACE)
        self.start_again()
        return at

    def pause_millrace(self):
        return self.pause(self.pid(MILLRACE))

    def mend(self):
        """Called when a fresh order has become visible after a fault."""

    def keep(self):
        """Called before close() when something was found."""

    def close(self):
        self.millrace.close()


class Embedded(Stack):
    """`up` with the servers that it brings along."""
    faults = ("kill_millrace", "kill_mariadbd", "kill_warehouse", "kill_both_servers", "kill_all", "kill_while_starting",
              "pause_millrace", "pause_mariadbd", "pause_warehouse", "pause_both_servers", "second_up", "one_batch",
              "outbox_sent_again", "events_twice", "events_late", "events_of_a_killed_relay", "rows_twice")

    def __init__(self, folder, chance):
        super().__init__(folder / "embedded", chance)

    def kill_mariadbd(self):
        return self.kill(MARIADBD)

    def kill_warehouse(self):
        return self.kill(WAREHOUSE)

    def kill_both_servers(self):
        return self.kill(MARIADBD, WAREHOUSE)

    def kill_all(self):
        at = time.monotonic()
        self.millrace.kill()
        self.millrace.start(wait=False)
        return at

    def kill_while_starting(self):
        """The second kill strikes recovery itself."""
        at = self.kill(MILLRACE)
        self.start_again()
        time.sleep(self.chance.uniform(*START_SECONDS))
        self.kill(MILLRACE)
        self.start_again()
        return at

    def pause_mariadbd(self):
        return self.pause(self.pid(MARIADBD))

    def pause_warehouse(self):
        return self.pause(self.pid(WAREHOUSE))

    def pause_both_servers(self):
        return self.pause(self.pid(MARIADBD), self.pid(WAREHOUSE))

    def second_up(self):
        done = self.millrace.run("up", seconds=60)
        at = time.monotonic()
        assert done.code == 4, f"the second up ended with {done.code}: {done.err}"
        assert str(self.millrace.data) in done.complaint(), done.err
        assert self.millrace.process.poll() is None, "the first up ended"
        self.note("second starts refused")
        return at


    def one_batch(self):
        """Orders that are placed, paid and deleted while the warehouse stands still, so that one batch has all of it."""
        pid = self.pid(WAREHOUSE)
        os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(ORDERS_OF_ONE_BATCH):
                if order := self.load.place("user-1", [("prod-1", 1)]):
                    self.load.pay(order)
                    self.load.delete(order)
                    self.note("orders placed, paid and deleted in a batch", self.load.states[order] == {"DELETED"})
        finally:
            os.kill(pid, signal.SIGCONT)
        return time.monotonic()

    # Repeated, late and reordered delivery

    def outbox_sent_again(self):
        """The relay sends rows again that were processed, as if their mark had been lost."""
        rows = self.millrace.mysql("SELECT id FROM outbox WHERE processed = 1 ORDER BY id DESC LIMIT %s",
                                   self.chance.randint(1, REPEATS_MAX))
        if rows:
            self.millrace.mysql("UPDATE outbox SET processed = 0 WHERE id IN (" + ", ".join(str(id) for (id,) in rows) + ")")
        self.note("rows sent again", len(rows))
        return time.monotonic()

    def into_the_log(self, *words, lines=None):
        """The tool appends to the log of the killed program, which is started again then."""
        at = self.kill(MILLRACE)
        self.millrace.may_have_ended = True
        self.millrace.process.wait()
        wait_until(lambda: not self.millrace.processes(), "its servers end with it")
        tool = [program().parent / "tests/chaos_log_tool", self.millrace.data / "event-log", *map(str, words)]
        done = subprocess.run(tool, input=lines, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        self.note("records put into the log", int(done.stdout))
        self.millrace.start(wait=False)
        return at

    def numbers(self):
        return self.chance.randint(1, REPEATS_MAX), self.chance.randrange(1 << 30)

    def events_twice(self):
        """Reordered too: the last events of each partition come once more, shuffled."""
        return self.into_the_log("repeat", "order.events", *self.numbers())

    def events_late(self):
        return self.into_the_log("late", "order.events", *self.numbers())

    def rows_twice(self):
        """As after a crash of the transformer between its output and its position, in the order in which a log would have them."""
        return self.into_the_log("repeat", "orders_analytics", *self.numbers())

    def events_of_a_killed_relay(self):
        """What waits in the outbox comes under the epoch of the relay that dies, or an older one, out of order; then again, from
        its successor."""
        with self.millrace.mysql_connection() as connection, connection.cursor() as cursor:
            # The relay cannot mark what it sends now, and orders go on coming.
            cursor.execute("START TRANSACTION")
            cursor.execute("SELECT epoch FROM relay_shards WHERE shard = 0 FOR UPDATE")
            epoch = cursor.fetchone()[0]
            time.sleep(self.chance.uniform(0.2, 1.5))
            os.kill(self.pid(MILLRACE), signal.SIGSTOP)
            cursor.execute("SELECT id, event_type, aggregate_id, payload FROM outbox WHERE processed = 0 AND "
                           "aggregate_type = 'Order' ORDER BY id LIMIT %s", REPEATS_MAX)
            rows = list(cursor.fetchall())
        self.chance.shuffle(rows)
        epoch -= self.chance.randint(0, 1) if epoch > 1 else 0
        lines = "".join(f"{id}\t{epoch}\t{kind}\t{key}\t{payload}\n" for id, kind, key, payload in rows)
        return self.into_the_log("append", "order.events", lines=lines)


def gate_fault(gate_name, mode):
    def strike(self):
        gate = getattr(self, gate_name)
        gate.set(mode)
        # What is held must outlast the time-outs; the rest needs to meet some requests only.
        time.sleep(self.pause_seconds() if mode == "hold" else self.chance.uniform(*GATE_SECONDS))
        gate.set("pass")
        return time.monotonic()
    return strike


GATE_MODES = ("drop", "delay", "cut", "lose", "hold")


class Gated(Stack):
    """`up` on servers that the suite runs, with a gate before each."""
    faults = tuple(f"{mode}_{server}" for server in ("mysql", "warehouse") for mode in GATE_MODES) + (
        "late_insert_of_killed", "late_commit_of_killed", "kill_millrace", "pause_millrace")

    def __init__(self, folder, chance):
        self.mariadb = self.warehouse = None
        self.gates = {}
        folder = folder / "gated"
        folder.mkdir(parents=True)
        try:
            self.mariadb = Mariadb(folder / "mariadb")
            self.warehouse = Warehouse(folder / "warehouse", mark="")
            self.gates = {"mysql": Gate(self.mariadb.port, chance.random()),
                          "warehouse": Gate(self.warehouse.port, chance.random())}
            self.mysql_gate, self.warehouse_gate = self.gates.values()
            super().__init__(folder / "millrace", chance, **{
                "mysql.embedded": False, "mysql.port": self.mysql_gate.port, "mysql.user": "chief", "mysql.password": "chief",
                "clickhouse.embedded": False, "clickhouse.port": self.warehouse_gate.port})
            wait_until(lambda: self.millrace.clickhouse("SELECT 1"), "the suite's own warehouse answers")
        except BaseException:
            self.close_servers()
            raise

    def late_delivery(self, gate, what, name):
        """What the killed program had sent arrives only when its successor is at work."""
        before = gate.counts[what]
        gate.set("hold")
        try:
            time.sleep(self.chance.uniform(0.1, 1.0))
            at = self.kill(MILLRACE)
            self.start_again()
            self.millrace.wait_ready()
            time.sleep(self.chance.uniform(0.0, 1.0))
        finally:
            gate.set("pass")
        time.sleep(LATE_SECONDS)
        self.note(name, gate.counts[what] - before)
        return at

    def late_insert_of_killed(self):
        return self.late_delivery(self.warehouse_gate, "inserts delivered late", "late inserts of a former owner")

    def late_commit_of_killed(self):
        return self.late_delivery(self.mysql_gate, "delivered late", "late statements of a former owner")

    def close_servers(self):
        for gate in self.gates.values():
            gate.close()
        for server in (self.warehouse, self.mariadb):
            if server is not None:
                server.stop()

    def close(self):
        try:
            super().close()
        finally:
            self.close_servers()


for _server in ("mysql", "warehouse"):
    for _mode in GATE_MODES:
        setattr(Gated, f"{_mode}_{_server}", gate_fault(f"{_server}_gate", _mode))
del _server, _mode
