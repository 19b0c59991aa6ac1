"""What a run says at its end, as Markdown."""
import os
import platform
import statistics
import subprocess

from system import REPOSITORY

ROUNDS_TO_JUDGE = 4  # a fault that never hit anything in so many rounds is no test


class Tally:
    """The rounds of one fault."""

    def __init__(self):
        self.recoveries = []
        self.hit_rounds = 0
        self.hits = {}

    def add(self, recovery, hits):
        self.recoveries.append(recovery)
        self.hit_rounds += any(hits.values())
        for what, count in hits.items():
            self.hits[what] = self.hits.get(what, 0) + count

    def idle(self):
        return len(self.recoveries) >= ROUNDS_TO_JUDGE and self.hit_rounds == 0


def machine():
    with open("/proc/cpuinfo") as file:
        cpu = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "?")
    return f"{cpu}, {os.cpu_count()} cores, Linux {platform.release()}, load at the end {os.getloadavg()[0]:.1f}"


def commit():
    def git(*words):
        return subprocess.run(["git", "-C", str(REPOSITORY), *words], capture_output=True, text=True).stdout.strip()
    return (git("rev-parse", "--short", "HEAD") or "?") + (" with changes" if git("status", "--porcelain") else "")


def write_report(path, seed, built_from, seconds, tallies, found, totals, left_out=()):
    """Returns the text that it wrote."""
    everything = {}
    rounds = 0
    lines = ["# Fault suite", "", f"- seed: {seed}", f"- machine: {machine()}", f"- commit: {built_from}", f"- took: {seconds:.0f} s"]
    table = ["| set-up | fault | rounds | that hit | recovery p50 | max |", "|---|---|---:|---:|---:|---:|"]
    details = ["| set-up | fault | what it hit |", "|---|---|---|"]
    for setup, faults in tallies.items():
        for fault, tally in sorted(faults.items()):
            rounds += len(tally.recoveries)
            table.append(f"| {setup.lower()} | {fault} | {len(tally.recoveries)} | {tally.hit_rounds} | "
                         f"{statistics.median(tally.recoveries):.2f} s | {max(tally.recoveries):.2f} s |")
            details.append(f"| {setup.lower()} | {fault} | "
                           + ", ".join(f"{what} {count}" for what, count in tally.hits.items() if count) + " |")
            for what, count in tally.hits.items():
                everything[what] = everything.get(what, 0) + count
    lines += [*(f"- left out: {why}" for why in left_out), f"- rounds: {rounds}", *(f"- {what}: {count}" for what, count in totals.items()),
              f"- **differences found: {len(found)}**", "", "Recovery: from the kill, or from the end of the disturbance, until an "
              "order placed after it is visible in the warehouse.", "", *table, "", "## What was hit", "", *details, "",
              "| in all | |", "|---|---:|", *(f"| {what} | {count} |" for what, count in everything.items())]
    if found:
        lines += ["", "## Differences", "", *(f"- {difference}" for difference in found)]
    text = "\n".join(lines) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return text
