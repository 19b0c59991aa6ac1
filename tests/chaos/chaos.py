#!/usr/bin/env python3
"""The fault suite: strikes a real `millrace up` under load, again and again, and checks that nothing is lost, doubled or back.

Usage: chaos.py [--log kafka] [--seconds N | --rounds N | --once] [--seed N] [--report FILE] [--faults NAME,NAME]
Ends with 0 when no difference was found; the report is printed and written to FILE. See README.md.
"""
import argparse
import random
import re
import shutil
import sys
import tempfile
import time
import traceback
import zlib
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "e2e")]
sys.dont_write_bytecode = True

import pymysql  # noqa: E402
import pytest  # noqa: E402

import oracle  # noqa: E402
import steps  # noqa: E402
from clocks import Clocks  # noqa: E402
from disks import Disks  # noqa: E402
from kafka_stack import Kafka  # noqa: E402
from load import PRODUCTS, USERS, Load  # noqa: E402
from report import Run, Tally, commit, earlier_runs, keep_runs, machine, write_report  # noqa: E402
from stacks import Embedded, Gated, LeftOut  # noqa: E402
from system import REPOSITORY, QueryFailed, tail, wait_until  # noqa: E402

CHANGES_BETWEEN_FAULTS = 10
# How many rounds between two checks, and how long the system is left alone between two rounds.
ORDINARY = (8, (0.1, 1.2))
DENSE = (30, (0.0, 0.4))
KINDS = ((Embedded, 0.5), (Gated, 0.22), (Disks, 0.16), (Clocks, 0.12))  # the stacks, and their shares of the time
KINDS_OF_LOG = {"embedded": KINDS, "kafka": ((Kafka, 1.0),)}
FAULTS_SHARE_MIN = 0.6  # of the time, however long the crashes at every step took
# A run of that many seconds with all faults must have met so much of each, in all stacks together.
LONG_RUN_SECONDS = 300
MUST_MEET = {
    "embedded": {"starts with rows beyond the position": 100, "inserts half done": 1, "late inserts of a former owner": 1,
                 "API answers lost": 1, "gate: answers lost": 1, "repeats dropped": 1},
    "kafka": {"starts with rows beyond the position": 50, "late inserts of a former owner": 1, "API answers lost": 1,
              "gate: answers lost": 1, "gate: cut": 1, "gate: ended": 1, "repeats dropped": 1, "shards taken": 1,
              "controllers elected": 1, "events that waited": 1, "brokers restarted": 3},
}
# An order that was deleted leaves after two minutes at the earliest, so one stack must live for long.
PURGE_RUN_SECONDS = 600
LOG_LINES_SHOWN = 40
TITLES = {"embedded": "Fault suite", "kafka": "Fault suite on Kafka"}

# What the log of `up` says happened: name in the report -> pattern; a group counts as often as it says.
SEEN_IN_LOG = {
    "sink starts": re.compile(r"sink: partition 0 resumed"),
    "inserts half done": re.compile(r"sink: half of a batch was acknowledged"),
    "rows purged": re.compile(r"purge: removed (\d+) "),
    "repeats dropped": re.compile(r"(?:sink|transform): dropped (\d+) repeats"),
    "relay retries": re.compile(r"relay: (?:.*; retrying|lost shard)"),
    "servers started again": re.compile(r"starting it again in"),
    "shards taken": re.compile(r"relay: shard \d+ taken"),
    "partitions taken": re.compile(r"(?:sink|transform): partition \d+ resumed"),
}
GOES_ON = re.compile(r"(?:sink|transform): partition \d+ resumed at offset (\d+) of (\d+)")


def seen_in(text):
    counts = {name: sum(int(match.group(1)) if pattern.groups else 1 for match in pattern.finditer(text))
              for name, pattern in SEEN_IN_LOG.items()}
    beyond = [int(end) - int(at) for at, end in GOES_ON.findall(text) if int(end) > int(at)]
    counts["starts with rows beyond the position"] = len(beyond)
    counts["rows repeated from the position"] = sum(beyond)
    return counts


class Failed(Exception):
    pass


class Part:
    """One stack, its load, and what was found on it."""

    def __init__(self, stack, seed, chance, tallies, found, pace):
        self.stack = stack
        self.rounds_between_checks, self.calm_seconds = pace
        self.purged = set()
        self.millrace = stack.millrace
        self.chance = chance
        self.tallies = tallies
        self.found = found
        self.rounds = 0
        self.store_before = {}
        self.warehouse_before = {}
        self.checks = 0
        self.log_counts = {}
        self.millrace.start()
        self.load = stack.load = Load(self.millrace, seed)
        self.load.answer_seconds, self.load.pause_seconds = stack.answer_seconds, stack.load_pause_seconds
        self.calm = []  # stretches of time without a fault, from one with all at rest
        self.calm_since = time.time()

    def log_sizes(self):
        return {file: file.stat().st_size for file in self.millrace.log_files()}

    def log_from(self, sizes):
        text = ""
        for file in self.millrace.log_files():
            with file.open("rb") as log:
                log.seek(sizes.get(file, 0))
                text += log.read().decode(errors="replace")
        return text

    def fresh_order(self, since):
        """Seconds from then until an order that is placed now is visible, where there are several partitions: one of each. They count
        as any other."""
        load = self.load
        fresh = {}
        while len(fresh) < self.stack.partitions:
            order = wait_until(lambda: load.place(self.chance.choice(USERS), [(self.chance.choice(PRODUCTS), 1)]), "an order is taken")
            fresh.setdefault(zlib.crc32(order.encode()) % self.stack.partitions, order)
        for order in fresh.values():
            wait_until(lambda: self.millrace.clickhouse("SELECT 1 FROM analytics.orders_analytics WHERE order_id = "
                                                        f"'{order}' LIMIT 1"), "a fresh order is visible", pause=0.01)
        return time.monotonic() - since

    def gates(self):
        return getattr(self.stack, "gates", {})

    def strike(self, fault):
        self.load.wait_for_more(CHANGES_BETWEEN_FAULTS, "orders flow")
        time.sleep(self.chance.uniform(*self.calm_seconds))
        sizes = self.log_sizes()
        refused, lost = self.load.refused, self.load.lost
        gates_before = {name: dict(gate.counts) for name, gate in self.gates().items()}
        self.stack.notes = {}
        if self.calm_since is not None:
            self.calm.append((self.calm_since * 1000, time.time() * 1000))
            self.calm_since = None
        since = getattr(self.stack, fault)()
        recovery = self.fresh_order(since)
        self.stack.mend()
        hits = dict(self.stack.notes)
        for name, gate in self.gates().items():
            for what, count in gate.counts.items():
                hits[f"gate: {what}"] = hits.get(f"gate: {what}", 0) + count - gates_before[name][what]
        hits.update(seen_in(self.log_from(sizes)))
        hits["API answers lost"] = self.load.lost - lost
        hits["API 503"] = self.load.refused - refused - hits["API answers lost"]
        self.rounds += 1
        self.tallies.setdefault(fault, Tally()).add(recovery, hits)
        print(f"{type(self.stack).__name__.lower():9} {self.rounds:4} {fault:22} {recovery:6.2f} s  "
              + ", ".join(f"{what} {count}" for what, count in hits.items() if count), flush=True)

    def check(self, last=False):
        """With the load at rest. Everything found is kept, so that one report shows all of it."""
        self.load.stop()
        load = self.load
        began = time.monotonic()
        self.checks += 1
        if load.wrong:
            self.found.extend(f"API: {method} {path}: {status} {body!r}" for method, path, status, body in load.wrong[:10])
            load.wrong.clear()
        verified = self.millrace.run("verify", "--patience", "60s", seconds=600)
        verify_seconds = time.monotonic() - began
        if verified.code != 0:
            self.found.append(f"verify ended with {verified.code}:\n{verified.out}\n{verified.err}")
        if last:
            for table in ("orders_analytics", "rollups", "sink_position"):
                self.millrace.clickhouse(f"OPTIMIZE TABLE analytics.{table} FINAL")
        warehouse = oracle.warehouse_rows(self.millrace)
        store = oracle.store_rows(self.millrace, self.stack.purge_seconds)
        may_be_gone = oracle.may_be_gone(store)
        for rows, before, where, gone in ((store, self.store_before, "order store", set()),
                                          (warehouse, self.warehouse_before, "warehouse", may_be_gone)):
            self.found += oracle.differences_of_acknowledged(load.states, load.totals, load.attempts, rows, where, gone)
            self.found += oracle.differences_of_versions(before, rows, where, gone)
        self.found += oracle.differences_of_stores(store, warehouse)
        self.found += oracle.differences_of_purged(self.purged, warehouse)
        self.purged |= may_be_gone - warehouse.keys()
        self.store_before, self.warehouse_before = store, warehouse
        if last:
            self.found += oracle.differences_of_views(oracle.views_of_store(self.millrace), self.millrace.views())
        print(f"check {self.checks}: {len(store)} orders in the store, {len(load.totals)} acknowledged, "
              f"{len(self.found)} differences, {time.monotonic() - began:.1f} s, of them {verify_seconds:.1f} s of verify", flush=True)
        if last or self.found:
            self.check_log(warehouse, may_be_gone)
        if self.found:
            raise Failed
        if not last:
            load.start()
            self.calm_since = time.time()

    def check_log(self, warehouse, may_be_gone):
        """The whole log, by an independent reader, where there is one."""
        if self.stack.check_log is None:
            return
        found, counts = self.stack.check_log(self.load, warehouse, may_be_gone, self.calm)
        self.found += found
        for what, count in counts.items():
            self.log_counts[what] = count
        print("log: " + ", ".join(f"{count} {what}" for what, count in counts.items()) + f", {len(found)} differences", flush=True)

    def run(self, faults, until, rounds):
        """Until the time is up, or for so many rounds; each fault once before any comes again."""
        waiting = []
        while self.rounds < rounds and time.monotonic() < until:
            if not waiting:
                waiting = list(faults)
                self.chance.shuffle(waiting)
            self.strike(waiting.pop())
            if self.rounds % self.rounds_between_checks == 0:
                self.check()
        self.check(last=True)


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600, help="how long faults strike (600)")
    parser.add_argument("--rounds", type=int, help="instead: this many faults in each of the stacks")
    parser.add_argument("--once", action="store_true", help="instead: each of the faults once")
    parser.add_argument("--seed", type=int, help="of a run to repeat; a new one if absent")
    parser.add_argument("--log", choices=KINDS_OF_LOG, default="embedded", help="the event log (embedded)")
    parser.add_argument("--faults", help="only these, separated by commas; one_of_two: every role's, with --log kafka")
    parser.add_argument("--steps", type=int, metavar="N", help="before that, a crash at every N-th step of a scenario (steps.py)")
    parser.add_argument("--dense", action="store_true", help="shorter pauses, fewer checks: more rounds in the time")
    parser.add_argument("--keep", action="store_true", help="leave the data and logs also when nothing was found")
    parser.add_argument("--report", type=Path, default=REPOSITORY / "build/chaos-report.md")
    parser.add_argument("--append", type=Path, metavar="FILE.json",
                        help="keep this run there beside the earlier ones, and report the sum of all")
    given = parser.parse_args()
    if given.seed is None:
        given.seed = random.SystemRandom().randrange(10**6)
    given.kinds = KINDS_OF_LOG[given.log]
    known = {fault for kind, _ in given.kinds for fault in kind.faults}
    given.chosen = known if given.faults is None else set(given.faults.split(","))
    if given.log == "kafka" and "one_of_two" in given.chosen:
        given.chosen = given.chosen - {"one_of_two"} | set(Kafka.one_of_two)
    if given.log == "kafka" and given.steps:
        parser.error("--steps is for the embedded log")
    if given.chosen - known:
        parser.error(f"unknown: {', '.join(sorted(given.chosen - known))}; known: {', '.join(sorted(known))}")
    given.all_faults = given.chosen == known
    return given


def main():
    given = options()
    print(f"seed {given.seed}: `--seed {given.seed}` chooses the same faults and the same load again", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="millrace-chaos-"))
    started = time.monotonic()
    built_from = commit()
    tallies, found, left_out = {}, [], []
    totals = {"orders acknowledged": 0, "changes acknowledged": 0, "checks": 0}
    shares = sum(share for kind, share in given.kinds if given.chosen & set(kind.faults))
    if given.steps:
        try:
            tallies["Steps"] = steps.run(folder / "steps", given.steps, totals, left_out)
        except (steps.Differs, AssertionError, OSError, QueryFailed, pymysql.MySQLError, pytest.fail.Exception) as problem:
            traceback.print_exc()
            found.append(f"Steps: {problem}")
    seconds = max(given.seconds - (time.monotonic() - started), given.seconds * FAULTS_SHARE_MIN)
    started_faults = time.monotonic()
    passed = 0
    for kind, share in given.kinds:
        faults = [fault for fault in kind.faults if fault in given.chosen]
        if not faults or found:
            continue
        chance = random.Random(f"{given.seed}-{kind.__name__}")
        passed += share / shares
        until = float("inf") if given.rounds or given.once else started_faults + seconds * passed
        stack = part = None
        try:
            stack = kind(folder, chance)
            part = Part(stack, given.seed, chance, tallies.setdefault(kind.__name__, {}), found,
                        DENSE if given.dense else ORDINARY)
            faults = [fault for fault in faults if fault in stack.faults]
            part.run(faults, until, given.rounds or (len(faults) if given.once else sys.maxsize))
        except Failed:
            pass
        except LeftOut as why:
            left_out.append(str(why))
            print(why, flush=True)
        except (AssertionError, OSError, QueryFailed, pymysql.MySQLError, pytest.fail.Exception) as problem:
            traceback.print_exc()
            found.append(f"{kind.__name__}, after {part.rounds if part else 0} rounds: {problem}")
        finally:
            if part is not None:
                part.load.stop()
                for what, count in (("orders acknowledged", len(part.load.totals)),
                                    ("changes acknowledged", part.load.acknowledged), ("checks", part.checks)):
                    totals[what] += count
                totals.update({f"log check: {what}": count for what, count in part.log_counts.items()})
            if stack is not None:
                if found:
                    for file in stack.millrace.log_files():
                        print(f"--- {file.name}\n{tail(file, LOG_LINES_SHOWN)}")
                try:
                    if found:
                        stack.keep()
                    stack.close()
                except (AssertionError, shutil.Error, pytest.fail.Exception) as problem:
                    found.append(f"{kind.__name__}: the end: {problem}")
    run = Run(given.seed, built_from, machine(), time.monotonic() - started, totals, tallies, found, left_out)
    if given.all_faults and not given.rounds and not given.once and seconds >= LONG_RUN_SECONDS:
        run.must_meet({**MUST_MEET[given.log], **({"rows purged": 1} if seconds >= PURGE_RUN_SECONDS else {})})
    runs = [*earlier_runs(given.append), run]
    if given.append:
        keep_runs(given.append, runs)
    print(write_report(given.report, runs, TITLES[given.log]))
    for line in run.idle:
        print(line)
    if found or given.keep:
        print(f"the data and logs are in {folder}")
        sys.exit(1 if found or run.idle else 0)
    shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if run.idle else 0)


if __name__ == "__main__":
    main()
