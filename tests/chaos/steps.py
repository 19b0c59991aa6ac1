#!/usr/bin/env python3
"""A crash at every step: one fixed scenario, and `kill -9` of millrace at its 1st, 2nd, 3rd … step, until it passes unharmed.

A step is a message between millrace and one of its servers (before it is passed on; before its answer is; after its answer), or a
sync of the event log. After each crash millrace is started again, and both stores and all views must come to agree with what was
acknowledged.

Usage: steps.py [--every N]      only each N-th step, from the first
"""
import argparse
import collections
import copy
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "e2e")]
sys.dont_write_bytecode = True

import oracle  # noqa: E402
from gate import Gate  # noqa: E402
from load import Load  # noqa: E402
from report import Tally  # noqa: E402
from stacks import Gated  # noqa: E402
from system import tail  # noqa: E402

PASSES_TO_END = 3  # so many scenarios in a row without a hit: there are no more steps
QUIET_SECONDS = 0.6  # after the last change is visible, for the position and the commits
PATIENCE_SECONDS = 60
# Only what the scenario causes shall count: no polls of an idle relay, no purge.
STILL = {"relay.poll_interval": "10s", "relay.poll_interval_min": "10s", "purge.interval": "1h", "purge.period": "7d"}


class Steps:
    """Counts steps while armed; the one asked for kills."""

    def __init__(self):
        self.mutex = threading.Lock()
        self.disarm()

    def arm(self, number, pid):
        with self.mutex:
            self.count, self.number, self.pid, self.hit = 0, number, pid, None

    def disarm(self):
        with self.mutex:
            self.number, self.hit = None, None

    def step(self, name):
        """Whether this is the one; then millrace is dead."""
        with self.mutex:
            if self.number is None or self.hit:
                return False
            self.count += 1
            if self.count != self.number:
                return False
            self.hit = name
            os.kill(self.pid, signal.SIGKILL)
            return True


class StepGate(Gate):
    def __init__(self, gate, name, steps):
        super().__init__(gate.target_port, 0)
        gate.close()
        self.name = name
        self.steps = steps

    def _pass_on(self, connection, piece, sink, to_server):
        if to_server:
            if self.steps.step(f"{self.name}: before a request"):
                return False
            sink.sendall(piece)
            return True
        if self.steps.step(f"{self.name}: before an answer"):
            return False
        sink.sendall(piece)
        self.steps.step(f"{self.name}: after an answer")
        return True


class Differs(Exception):
    """What a crash left wrong for good."""


class Scenario(Gated):
    def __init__(self, folder):
        self.steps = Steps()
        super().__init__(folder, random.Random(0))
        self.millrace.settings.update(STILL)
        for name, gate in list(self.gates.items()):
            self.gates[name] = StepGate(gate, name, self.steps)
        self.direct = copy.copy(self.millrace)
        self.direct.settings = {**self.millrace.settings, "mysql.port": self.mariadb.port, "clickhouse.port": self.warehouse.port}
        self.millrace.settings["mysql.port"] = self.gates["mysql"].port
        self.millrace.settings["clickhouse.port"] = self.gates["warehouse"].port
        self.millrace.start()
        self.load = Load(self.millrace, 0, threads=0)

    def play(self):
        """An order is placed, paid and deleted; ends when that is done or millrace is dead."""
        self.millrace.may_have_ended = True
        order = self.load.place("user-1", [("prod-1", 2), ("prod-2", 1)])
        if order and not self.dead():
            self.load.pay(order)
        if order and not self.dead():
            self.load.delete(order)
        until = None
        while not self.dead():
            if until is None and (not order or self.load.states[order] != {"DELETED"} or self.visible(order)):
                until = time.monotonic() + QUIET_SECONDS
            if until is not None and time.monotonic() > until:
                return
            time.sleep(0.005)

    def visible(self, order):
        return self.direct.clickhouse("SELECT 1 FROM analytics.orders_analytics WHERE order_id = "
                                      f"'{order}' AND is_deleted = 1 LIMIT 1")

    def dead(self):
        return self.millrace.process.poll() is not None

    def recover(self):
        self.start_again()
        self.millrace.wait_ready()

    def differences(self):
        load = self.load
        warehouse = oracle.warehouse_rows(self.direct)
        store = oracle.store_rows(self.direct, float("inf"))
        found = oracle.differences_of_stores(store, warehouse)
        for rows, where in ((store, "order store"), (warehouse, "warehouse")):
            found += oracle.differences_of_acknowledged(load.states, load.totals, load.attempts, rows, where)
        found += oracle.differences_of_views(oracle.views_of_store(self.direct), self.direct.views())
        return found + [f"API: {wrong}" for wrong in load.wrong]

    def check(self, after):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while found := self.differences():
            if time.monotonic() > deadline:
                print(tail(self.millrace.log_file(), 30))
                raise Differs(f"after a crash {after}: " + "; ".join(found))
            time.sleep(0.02)

    def crashed(self, name, tallies):
        """Starts again, and notes how long it took until all agreed."""
        at = time.monotonic()
        self.recover()
        self.check(name)
        tallies.setdefault(f"kill at {name}", Tally()).add(time.monotonic() - at, {"crashes": 1})


def crash_at_messages(scenario, every, tallies):
    """How many steps there are."""
    number, passes = 1, 0
    while passes < PASSES_TO_END:
        scenario.steps.arm(number, scenario.millrace.process.pid)
        scenario.play()
        hit = scenario.steps.hit
        scenario.steps.disarm()
        if hit:
            passes = 0
            scenario.crashed(hit, tallies)
        else:
            passes += 1
            scenario.check("at none")
        number += every
    return number - passes * every - 1


def sync_counts(scenario):
    """Syncs of each thread during one scenario, by the threads' order of creation."""
    pid = scenario.millrace.process.pid
    log = scenario.millrace.home / "syncs"
    threads = sorted(int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir())
    with traced(["-f", "-p", str(pid), "-e", "trace=fdatasync", "-o", str(log)]):
        scenario.play()
    found = collections.Counter(int(line.split()[0]) for line in log.read_text().splitlines() if "fdatasync(" in line)
    return {threads.index(thread): count for thread, count in found.items() if thread in threads}


class traced:
    """strace at work; leaves when its tracee does, or at the end."""

    def __init__(self, words):
        self.words = words

    def __enter__(self):
        self.process = subprocess.Popen(["strace", *self.words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if re.search(r"Process \d+ attached", line):
                break

    def __exit__(self, *problem):
        self.process.send_signal(signal.SIGINT)
        self.process.stderr.read()
        self.process.wait(60)


def crash_at_syncs(scenario, every, tallies):
    """A thread dies, and with it the program, as it enters its n-th sync of the log. How many syncs there are."""
    counts = sync_counts(scenario)
    scenario.check("at none")
    wanted = [(thread, number) for thread, count in sorted(counts.items()) for number in range(1, count + 1)]
    for thread, number in wanted[::every]:
        pid = scenario.millrace.process.pid
        threads = sorted(int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir())
        with traced(["-p", str(threads[thread]), "-e", "trace=fdatasync", "-e", f"inject=fdatasync:signal=KILL:when={number}",
                     "-o", "/dev/null"]):
            scenario.play()
        if scenario.dead():
            scenario.crashed("a sync of the event log", tallies)
        else:
            scenario.check("at none")
    return len(wanted)


def run(folder, every, totals, left_out):
    """Fault -> Tally; raises Differs. The numbers of steps go to `totals`."""
    tallies = {}
    scenario = Scenario(folder)
    try:
        totals["messages' steps in the scenario"] = crash_at_messages(scenario, every, tallies)
        if shutil.which("strace"):
            totals["syncs in the scenario"] = crash_at_syncs(scenario, every, tallies)
        else:
            left_out.append("crashes at syncs of the event log: strace is not installed")
        verified = scenario.millrace.run("verify", "--patience", "60s")
        if verified.code != 0:
            raise Differs(verified.out + verified.err)
        if not tallies:
            raise Differs("nothing was hit")
    finally:
        scenario.close()
    return tallies


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="millrace-steps-"))
    started = time.monotonic()
    totals, left_out = {}, []
    tallies = run(folder, given.every, totals, left_out)
    shutil.rmtree(folder, ignore_errors=True)
    for name, tally in sorted(tallies.items()):
        print(f"{len(tally.recoveries):5} x {name}, at most {max(tally.recoveries):.2f} s until all agreed")
    for line in [*(f"{what}: {count}" for what, count in totals.items()), *left_out]:
        print(line)
    print(f"{time.monotonic() - started:.0f} s, 0 differences")


if __name__ == "__main__":
    main()
