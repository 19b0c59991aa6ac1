"""What a run says at its end, and several runs together, as Markdown; runs are kept as JSON between."""
import dataclasses
import json
import os
import platform
import re
import statistics
import subprocess

from system import REPOSITORY

ROUNDS_TO_JUDGE = 4  # a fault that never hit anything in so many rounds is no test
KILLS = "kill_"  # faults whose names begin so are `kill -9`
ONE_OF_TWO = re.compile(r"(kill|stop|pause)_(api|relay|transform|sink)")  # faults on Kafka: one of the two processes of a role
RECOVERY_GOAL_SECONDS = 3.0
OF_THE_SCENARIO = ("in the scenario", "longest distance of a repeat")  # numbers whose names end so are not summed: the highest counts


@dataclasses.dataclass
class Tally:
    """The rounds of one fault."""
    recoveries: list = dataclasses.field(default_factory=list)  # seconds
    hit_rounds: int = 0
    hits: dict = dataclasses.field(default_factory=dict)

    def add(self, recovery, hits):
        self.recoveries.append(round(recovery, 3))
        self.hit_rounds += any(hits.values())
        self.count(hits)

    def count(self, hits):
        for what, count in hits.items():
            self.hits[what] = self.hits.get(what, 0) + count

    def merge(self, other):
        self.recoveries = self.recoveries + other.recoveries
        self.hit_rounds += other.hit_rounds
        self.count(other.hits)

    def idle(self):
        return len(self.recoveries) >= ROUNDS_TO_JUDGE and self.hit_rounds == 0


@dataclasses.dataclass
class Run:
    seed: int
    commit: str
    machine: str
    seconds: float
    totals: dict
    tallies: dict  # stack -> fault -> Tally
    found: list
    left_out: list
    idle: list = dataclasses.field(default_factory=list)  # what should have been met and was not

    def __post_init__(self):
        self.idle = self.idle or [f"{fault} never hit anything" for faults in self.tallies.values()
                                  for fault, tally in faults.items() if tally.idle()]

    def met(self):
        everything = Tally()
        for faults in self.tallies.values():
            for tally in faults.values():
                everything.count(tally.hits)
        return everything.hits

    def must_meet(self, wanted):
        met = self.met()
        self.idle += [f"{what}: met {met.get(what, 0)} times, at least {count} wanted" for what, count in wanted.items()
                      if met.get(what, 0) < count]

    def rounds(self, prefix=""):
        return sum(len(tally.recoveries) for faults in self.tallies.values() for fault, tally in faults.items()
                   if prefix in fault)


def earlier_runs(path):
    if path is None or not path.exists():
        return []
    return [Run(**{**kept, "tallies": {stack: {fault: Tally(**tally) for fault, tally in faults.items()}
                                       for stack, faults in kept["tallies"].items()}})
            for kept in json.loads(path.read_text())]


def keep_runs(path, runs):
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(json.dumps([dataclasses.asdict(run) for run in runs], indent=1) + "\n")
    unfinished.rename(path)


def machine():
    with open("/proc/cpuinfo") as file:
        cpu = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "?")
    return f"{cpu}, {os.cpu_count()} cores, Linux {platform.release()}, load at the end {os.getloadavg()[0]:.1f}"


def commit():
    def git(*words):
        return subprocess.run(["git", "-C", str(REPOSITORY), *words], capture_output=True, text=True).stdout.strip()
    return (git("rev-parse", "--short", "HEAD") or "?") + (" with changes" if git("status", "--porcelain") else "")


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def summed(runs):
    tallies, totals = {}, {}
    for run in runs:
        for stack, faults in run.tallies.items():
            for fault, tally in faults.items():
                tallies.setdefault(stack, {}).setdefault(fault, Tally()).merge(tally)
        for what, count in run.totals.items():
            before = totals.get(what, 0)
            totals[what] = max(before, count) if what.endswith(OF_THE_SCENARIO) else before + count
    return tallies, totals


def heading(runs):
    if len(runs) == 1:
        run = runs[0]
        return [f"- seed: {run.seed}", f"- machine: {run.machine}", f"- commit: {run.commit}", f"- took: {run.seconds:.0f} s"]
    return [f"- runs: {len(runs)}, {sum(run.seconds for run in runs) / 60:.0f} minutes together", f"- machine: {runs[-1].machine}"]


def write_report(path, runs, title="Fault suite"):
    """Returns the text that it wrote."""
    tallies, totals = summed(runs)
    found = [difference for run in runs for difference in run.found]
    table = ["| stack | fault | rounds | that hit | recovery p50 | p90 | max |", "|---|---|---:|---:|---:|---:|---:|"]
    details = ["| stack | fault | what it hit |", "|---|---|---|"]
    everything = Tally()
    kills = []
    for stack, faults in tallies.items():
        for fault, tally in sorted(faults.items()):
            if fault.startswith(KILLS):
                kills += tally.recoveries
            table.append(f"| {stack.lower()} | {fault} | {len(tally.recoveries)} | {tally.hit_rounds} | "
                         f"{statistics.median(tally.recoveries):.2f} s | {percentile(tally.recoveries, 0.9):.2f} s | "
                         f"{max(tally.recoveries):.2f} s |")
            details.append(f"| {stack.lower()} | {fault} | "
                           + ", ".join(f"{what} {count}" for what, count in tally.hits.items() if count) + " |")
            everything.count(tally.hits)
    one_of_two = sum(len(tally.recoveries) for faults in tallies.values() for fault, tally in faults.items()
                     if ONE_OF_TWO.fullmatch(fault))
    lines = [f"# {title}", "", *heading(runs), *sorted({f"- left out: {why}" for run in runs for why in run.left_out}),
             f"- rounds: {sum(run.rounds() for run in runs)}, of them with `kill -9`: {sum(run.rounds('kill') for run in runs)}",
             *([f"- rounds in which one of two of a role was killed, stopped or paused: {one_of_two}"] if one_of_two else []),
             *(f"- {what}: {count}" for what, count in totals.items())]
    if kills:
        within = sum(recovery < RECOVERY_GOAL_SECONDS for recovery in kills)
        lines.append(f"- from `kill -9` to the first fresh order: p50 {statistics.median(kills):.2f} s, "
                     f"p90 {percentile(kills, 0.9):.2f} s, p99 {percentile(kills, 0.99):.2f} s, max {max(kills):.2f} s; "
                     f"{within} of {len(kills)} below {RECOVERY_GOAL_SECONDS:.0f} s")
    lines += [*sorted({f"- not met: {what}" for run in runs for what in run.idle}), f"- **differences found: {len(found)}**", "",
              "Recovery: from the kill, or from the end of the disturbance, until an order placed after it is visible in the "
              "warehouse.", "", *table, "", "## What was hit", "", *details, "",
              "| in all | |", "|---|---:|", *(f"| {what} | {count} |" for what, count in everything.hits.items())]
    if len(runs) > 1:
        lines += ["", "## Runs", "", "| seed | commit | took | rounds | with kill -9 | orders | differences |",
                  "|---:|---|---:|---:|---:|---:|---:|",
                  *(f"| {run.seed} | {run.commit} | {run.seconds:.0f} s | {run.rounds()} | {run.rounds('kill')} | "
                    f"{run.totals['orders acknowledged']} | {len(run.found)} |" for run in runs)]
    if found:
        lines += ["", "## Differences", "", *(f"- {difference}" for difference in found)]
    text = "\n".join(lines) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return text
