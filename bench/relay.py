#!/usr/bin/env python3
"""The relay on Kafka beside a plain producer, in one run on a cluster of three nodes and a database of its own.

Usage: relay.py [--build DIR] [--rows N] [--seconds N] [--out DIR]
Needs the built programs and scripts/bootstrap --kafka. Ends with the path of the result file; see README.md for what the figures mean.
"""
import argparse
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

from end_to_end import ROOT, git, machine

GOALS = {"backlog_events_per_second": 40_000, "latency_ratio": 1.3, "resident_mib": 64, "cpu_us_per_event": 25}


def goals_of(figures):
    """What was asked for, what came out, and whether that is enough."""
    slow = figures["at_10_per_second"]

    def ratio_of(what, quantile):
        return round(slow[what][f"{quantile}_ms"] / slow["plain"][f"{quantile}_ms"], 2)
    backlog = figures["backlog"]
    return {
        "backlog": {"goal": GOALS["backlog_events_per_second"], "is": backlog["relay_events_per_second"],
                    "of_the_plain_loop": round(backlog["relay_events_per_second"] / backlog["plain_events_per_second"], 2),
                    "met": backlog["relay_events_per_second"] >= GOALS["backlog_events_per_second"]},
        **{f"{quantile}_at_10_per_second": {"goal": GOALS["latency_ratio"], "is": ratio_of("relay_after_the_answer", quantile),
                                            "with_the_commit_itself": ratio_of("relay", quantile),
                                            "met": ratio_of("relay_after_the_answer", quantile) <= GOALS["latency_ratio"]}
           for quantile in ("p50", "p99")},
        "peak_mib": {"goal": GOALS["resident_mib"], "is": figures["relay_peak_mib"],
                     "met": figures["relay_peak_mib"] <= GOALS["resident_mib"]},
        "cpu_us_per_event": {"goal": GOALS["cpu_us_per_event"], "is": backlog["relay_cpu_us_per_event"],
                             "met": backlog["relay_cpu_us_per_event"] <= GOALS["cpu_us_per_event"]},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seconds", type=int, default=30, help="of each rate")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args()
    result = {"benchmark": "relay", "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "commit": git("rev-parse", "--short", "HEAD"), "dirty": bool(git("status", "--porcelain")), "machine": machine(),
              "settings": "defaults; three brokers of 256 MiB, three replicas, acks=all"}
    run = subprocess.run([options.build / "bench_relay", "--program", options.build / "millrace", "--rows", str(options.rows),
                          "--seconds", str(options.seconds)], stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        return run.returncode
    result["figures"] = json.loads(run.stdout)
    result["goals"] = goals_of(result["figures"])
    result["machine"]["load_after"] = os.getloadavg()[0]
    print(json.dumps(result["goals"], indent=2))
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{result['date'][:10]}-{result['commit']}-relay.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
