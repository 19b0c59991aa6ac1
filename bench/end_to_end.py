#!/usr/bin/env python3
"""End-to-end benchmark: orders accepted per second, and commit to visible at 2/s, 10/s and 500/s.

Usage: end_to_end.py [--log embedded|kafka] [--build DIR] [--seconds N] [--out DIR]
Needs the built programs only; with Kafka scripts/bootstrap --kafka, too. Ends with the path of the result file; see README.md for what the figures mean.
"""
import argparse
import datetime
import json
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def broker_port():
    """Below the ports of outgoing connections, and so is the controller's, 10,000 above it."""
    while True:
        port = random.randint(15_000, 22_000)
        try:
            for each in (port, port + 10_000):
                with socket.socket() as listener:
                    listener.bind(("127.0.0.1", each))
            return port
        except OSError:
            continue


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    memory_kb = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gib": round(memory_kb / 2**20, 1), "kernel": platform.release(),
            "load_before": os.getloadavg()[0]}


def git(*words):
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True).stdout.strip()


def resident_mib(process_group):
    """Resident memory of each program of the process group and of its children, by name."""
    sizes = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            parent = int(fields["PPid"])
            if int(fields["Pid"]) == process_group or parent == process_group:
                sizes[fields["Name"].strip()] = round(int(fields.get("VmRSS", "0 kB").split()[0]) / 1024, 1)
        except (OSError, KeyError, ValueError):
            continue
    return sizes


def wait_until_ready(url, process):
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"millrace up ended with exit code {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    sys.exit("millrace up did not become ready")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--log", choices=["embedded", "kafka"], default="embedded", help="between the stages")
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--seconds", type=int, default=30, help="of each load")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args()
    program = str(options.build / "millrace")
    loads = [
        {"name": "2 orders/s", "rate": 2, "workers": 1, "watch": True},
        {"name": "10 orders/s", "rate": 10, "workers": 1, "watch": True},
        {"name": "500 orders/s", "rate": 500, "workers": 16, "watch": True},
        {"name": "as many as accepted, 32 clients", "rate": 100_000, "workers": 32, "watch": False},
    ]
    result = {"benchmark": "end_to_end", "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "commit": git("rev-parse", "--short", "HEAD"), "dirty": bool(git("status", "--porcelain")), "machine": machine(),
              "settings": "defaults", "event_log": options.log, "loads": []}
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as data:
        environment = dict(os.environ, MILLRACE_DATA_DIR=data, MILLRACE_API_PORT=str(free_port()), MILLRACE_MYSQL_PORT=str(free_port()),
                           MILLRACE_CLICKHOUSE_PORT=str(free_port()))
        if options.log == "kafka":
            environment |= {"MILLRACE_EVENT_LOG_KIND": "kafka", "MILLRACE_KAFKA_EMBEDDED": "true",
                            "MILLRACE_KAFKA_BROKERS": ",".join(f"127.0.0.1:{broker_port()}" for _ in range(3))}
        log_path = Path(data) / "up.log"
        with open(log_path, "w") as log:
            process = subprocess.Popen([program, "up", "--no-summary"], env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_until_ready(f"http://127.0.0.1:{environment['MILLRACE_API_PORT']}/api/analytics/stats", process)
            for load in loads:
                command = [program, "load", "--rate", str(load["rate"]), "--workers", str(load["workers"]), "--duration", f"{options.seconds}s"]
                if load["watch"]:
                    command.append("--watch")
                if load["rate"] > 10_000:
                    # More than can be accepted: stopped from outside, since the schedule slips.
                    command[command.index("--duration") + 1] = "600s"
                    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
                    time.sleep(options.seconds)
                    running.send_signal(signal.SIGINT)
                    output = running.communicate(timeout=STOP_SECONDS_MAX)[0]
                else:
                    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
                figures = json.loads(output)
                result["loads"].append({"name": load["name"], **figures})
                print(load["name"], json.dumps(figures), flush=True)
            result["resident_mib"] = resident_mib(process.pid)
            verified = subprocess.run([program, "verify", "--json"], env=environment, capture_output=True, text=True)
            result["verify_exit_code"] = verified.returncode
        finally:
            process.send_signal(signal.SIGINT)
            result["up_exit_code"] = process.wait(timeout=STOP_SECONDS_MAX)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{result['date'][:10]}-{result['commit']}-end_to_end{'-kafka' if options.log == 'kafka' else ''}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(path)
    return 0 if result["verify_exit_code"] == 0 and result["up_exit_code"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
