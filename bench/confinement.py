#!/usr/bin/env python3
"""What the confinement of millrace-warehouse costs: SELECT 1 and an INSERT of 100 rows, confined and --unconfined by turns.

Usage: confinement.py [PROGRAM]    (build/millrace-warehouse; the same machine, one keep-alive connection to each; Python's clock)

Prints one JSON document: p50 in µs of each, and the ratios confined / unconfined of each round.
"""
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PASSWORD = "bench"
ROUNDS = 12
SELECTS, INSERTS = 400, 60
ROWS = "INSERT INTO t FORMAT TabSeparated\n" + "".join(f"{n}\ttext of row {n}\n" for n in range(100))


class Side:
    def __init__(self, program, *arguments):
        self.folder = tempfile.mkdtemp(prefix="millrace-bench-")
        self.process = subprocess.Popen([program, "--path", self.folder + "/data", "--port", "0", "--log-level", "error", *arguments],
                                        stdout=subprocess.PIPE, env={**os.environ, "MILLRACE_WAREHOUSE_PASSWORD": PASSWORD})
        port = int(self.process.stdout.readline().rsplit(b":", 1)[1])
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.ask("CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 1")

    def ask(self, statement):
        began = time.perf_counter()
        self.connection.request("POST", "/", statement, {"X-ClickHouse-User": "admin", "X-ClickHouse-Key": PASSWORD})
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return (time.perf_counter() - began) * 1e6

    def p50(self, statement, times):
        return statistics.median(self.ask(statement) for _ in range(times))

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "build", "millrace-warehouse")
    sides = {"unconfined": Side(program, "--unconfined"), "confined": Side(program)}
    measured = {name: {"select_1": [], "insert_100": []} for name in sides}
    for turn in range(ROUNDS + 1):
        for name in sorted(sides, reverse=turn % 2 == 0):
            select, insert = sides[name].p50("SELECT 1", SELECTS), sides[name].p50(ROWS, INSERTS)
            if turn > 0:  # the first warms up
                measured[name]["select_1"].append(select)
                measured[name]["insert_100"].append(insert)
    for side in sides.values():
        side.close()
    result = {"rounds": ROUNDS, "of_each": {"select_1": SELECTS, "insert_100": INSERTS}}
    for what in ("select_1", "insert_100"):
        ratios = [after / before for before, after in zip(measured["unconfined"][what], measured["confined"][what])]
        result[what] = {"p50_us": {name: round(statistics.median(measured[name][what]), 1) for name in sides},
                        "ratio_of_medians": round(statistics.median(measured["confined"][what]) / statistics.median(measured["unconfined"][what]), 3),
                        "ratios": sorted(round(ratio, 3) for ratio in ratios)}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
