"""Loss of power: a system-call trace shows that what is acknowledged, or marked as done, is on the disk before.

The three programs run with their defaults and are traced together, so one clock orders their calls.
"""
import dataclasses
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from system import Millrace, wait_until

CALLS = "fdatasync,fsync,write,pwrite64,writev,sendto,sendmsg,recvfrom,recvmsg,read"
LINE = re.compile(r"(\d+) +(\d+\.\d+) (?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)")
DURATION = re.compile(r"<(\d+\.\d+)>$")
PATH_OF_FILE = re.compile(r"^\d+<([^>]*)>")


@dataclasses.dataclass
class Call:
    pid: int
    name: str
    begin: float
    end: float
    text: str  # arguments and result

    @property
    def path(self):
        match = PATH_OF_FILE.match(self.text)
        return match.group(1) if match else ""


def calls_in(text):
    """By the moment they began; those that had not ended are left out."""
    waiting, found = {}, []
    for line in text.splitlines():
        match = LINE.match(line)
        if not match:
            continue
        pid, at, resumed, name, rest = int(match[1]), float(match[2]), match[3], match[4], match[5]
        if "<unfinished ...>" in rest:
            waiting[pid] = Call(pid, name, at, 0, rest)
            continue
        duration = DURATION.search(rest)
        if resumed:
            call = waiting.pop(pid, None)
            if call is None or call.name != resumed:
                continue
            call.end, call.text = at, call.text + rest
        elif duration:
            call = Call(pid, name, at, at + float(duration[1]), rest)
        else:
            continue
        found.append(call)
    return sorted(found, key=lambda call: call.begin)


def test_a_trace_is_read_with_calls_that_were_interrupted():
    calls = calls_in('7 10.5 fdatasync(3</a/b> <unfinished ...>\n8 10.6 write(4</c>, "x", 1) = 1 <0.000100>\n'
                     "7 10.9 <... fdatasync resumed>) = 0 <0.400000>\n")
    assert [(call.name, call.path, call.begin, round(call.end, 4)) for call in calls] == [
        ("fdatasync", "/a/b", 10.5, 10.9), ("write", "/c", 10.6, 10.6001)]


@pytest.fixture(scope="module")
def trace():
    """All calls of the three programs around one order, from its request until the position is written."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (scripts/bootstrap --test installs it)")
    folder = Path(tempfile.mkdtemp(prefix="millrace-durability-"))
    millrace = Millrace(folder / "one")
    try:
        millrace.start()
        log = folder / "trace"
        pids = [millrace.process.pid, millrace.pid_of("mariadbd"), millrace.pid_of("millrace-warehouse")]
        tracer = subprocess.Popen(["strace", "-f", "-ttt", "-T", "-y", "-s", "600", "-e", f"trace={CALLS}", "-o", str(log),
                                   *(word for pid in pids for word in ("-p", str(pid)))],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        attached = set()
        for line in tracer.stderr:
            if "not permitted" in line:
                pytest.skip(f"tracing is not permitted here: {line.strip()}")
            if match := re.search(r"Process (\d+) attached", line):
                attached.add(int(match[1]))
            if attached >= set(pids):
                break
        order = millrace.order()["id"]
        wait_until(lambda: millrace.warehouse_order(order) == ("PENDING", "0", "CREATED"), "the order is visible")
        wait_until(lambda: millrace.clickhouse("SELECT count() FROM analytics.sink_position WHERE upto > 0") != [("0",)],
                   "the position is written")
        time.sleep(0.5)  # until the tracer has written what it saw
        tracer.send_signal(signal.SIGINT)
        tracer.stderr.read()
        tracer.wait(60)
        commands = millrace.processes()
        yield calls_in(log.read_text(errors="replace")), order, commands
    finally:
        millrace.close()
        shutil.rmtree(folder, ignore_errors=True)


def only(calls, *names, holding="", path=""):
    return [call for call in calls if call.name in names and holding in call.text and path in call.path]


def first(calls, *names, **wanted):
    found = only(calls, *names, **wanted)
    assert found, f"no {names} with {wanted} in the trace"
    return found[0]


def test_the_order_is_in_the_redo_log_before_the_answer(trace):
    calls, order, commands = trace
    assert any("--innodb-flush-log-at-trx-commit=1" in command for command in commands.values())
    request = first(calls, "recvfrom", "recvmsg", "read", holding="POST /api/orders")
    answer = first(calls, "sendto", "sendmsg", "writev", "write", holding="HTTP/1.1 201")
    synced = [call for call in only(calls, "fdatasync", "fsync", path="ib_logfile") if call.begin > request.begin]
    assert synced and synced[0].end < answer.begin, "the answer came before the redo log was synced"


def test_the_event_is_on_the_disk_before_its_outbox_row_is_marked(trace):
    calls, order, _ = trace
    written = first(calls, "write", "pwrite64", holding=order, path="/event-log/")
    marked = first(calls, "sendto", "sendmsg", "write", holding="UPDATE outbox SET processed")
    synced = [call for call in only(calls, "fdatasync", "fsync", path="/event-log/") if call.begin >= written.end]
    assert synced and synced[0].end < marked.begin, "the row was marked before the event was synced"


def test_the_parts_are_on_the_disk_before_the_position_is_written(trace):
    calls, _, _ = trace
    position = first(calls, "sendto", "sendmsg", "write", "writev", holding="INSERT%20INTO%20analytics.sink_position")
    before = [call for call in calls if call.end < position.begin]

    def inserted(call):
        return "/tmp_insert_" in call.path
    written = {call.path for call in only(before, "write", "pwrite64") if inserted(call)}
    # A part that is renamed before its files are synced has its last name by then.
    synced = {call.path.replace("/tmp_insert_", "/") for call in only(before, "fdatasync", "fsync")}
    parts = {str(Path(path).parent) for path in written}
    assert len({str(Path(part).parent) for part in parts}) >= 2, f"base and rollups, at least: {parts}"
    unsynced = {path for path in written if path.replace("/tmp_insert_", "/") not in synced}
    assert not unsynced, "written and not synced when the position was"
    for part in parts:
        assert part.replace("/tmp_insert_", "/") in synced, f"the directory of {part} was not synced"


def test_turning_the_syncs_off_says_what_it_risks():
    with tempfile.TemporaryDirectory(prefix="millrace-durability-") as folder:
        shown = Millrace(folder).run("--help", own_settings=False)
    assert re.search(r"--event-log-fsync\b.{0,200}power", shown.out, re.DOTALL), shown.out
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    assert re.search(r"event_log\.fsync.{0,300}power", readme, re.DOTALL)
