"""Starts the warehouse program that has no guard, and looks from outside at what the attacks do."""
import contextlib
import http.client
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

import pytest

USER = "admin"
START_SECONDS = 60
# An attack may leave the engine trying for minutes; whatever it does first has happened by then.
GIVE_UP_SECONDS = 5


def unguarded():
    path = os.environ.get("MILLRACE_UNGUARDED_BINARY", "")
    if not path or not Path(path).exists():
        pytest.fail("MILLRACE_UNGUARDED_BINARY does not name the built millrace-warehouse-unguarded; run the tests by ctest")
    return path


class Program:
    """A warehouse program on a free port; `restart` keeps its data."""

    def __init__(self, *arguments, directory=None, **how):
        self.arguments = arguments
        self.how = how
        self.folder = directory or tempfile.mkdtemp(prefix="millrace-security-")
        self.data = os.path.join(self.folder, "data")
        self.password = "warehouse-" + secrets.token_hex(8)
        self.start()

    def start(self):
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            [unguarded(), "--path", self.data, "--port", "0", "--stop-seconds", "1", *self.arguments], stdout=subprocess.PIPE,
            stderr=self.log, env={**os.environ, "MILLRACE_WAREHOUSE_PASSWORD": self.password}, **self.how)
        line = b""
        deadline = time.monotonic() + START_SECONDS
        while not line.endswith(b"\n") and time.monotonic() < deadline and self.process.poll() is None:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                line += os.read(self.process.stdout.fileno(), 200)
        assert line.startswith(b"ready on http://127.0.0.1:"), f"not ready: {line!r} {self.log_text()}"
        self.port = int(line.rsplit(b":", 1)[1])

    def log_text(self):
        return Path(self.folder, "log").read_text(encoding="utf-8")

    def send(self, statement, parameters=None, method="POST", seconds=60):
        """Status and body; (0, …) if there was no answer in time, or none that was complete."""
        words = {**(parameters or {}), "user": USER, "password": self.password}
        if method == "GET":
            words["query"] = statement
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, "/?" + urllib.parse.urlencode(words), body=None if method == "GET" else statement.encode())
            answer = connection.getresponse()
            try:
                return answer.status, answer.read()
            except http.client.IncompleteRead as cut:
                return 0, cut.partial
        except (OSError, http.client.HTTPException) as problem:
            return 0, repr(problem).encode()
        finally:
            connection.close()

    def ask(self, statement, **parameters):
        status, body = self.send(statement, parameters)
        assert status == 200, body.decode(errors="replace")
        return body.decode()

    def lives(self):
        return self.process.poll() is None and self.send("SELECT 1")[1] == b"1\n"

    def children(self):
        """The processes whose parent the program is."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == self.process.pid:
                    found.append(stat.parent.name)
        return found

    def statuses(self):
        """The fields of /proc/…/task/*/status, one dictionary for each thread."""
        found = []
        for status in Path(f"/proc/{self.process.pid}/task").glob("*/status"):
            with contextlib.suppress(OSError):
                found.append(dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line))
        return found

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.process.stdout.close()
        self.log.close()
        return code

    def restart(self):
        self.stop()
        self.start()

    def remove(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Listener:
    """Listens on the loopback and counts who connects."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.peers = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, peer = self.server.accept()
            except OSError:
                return
            self.peers.append(peer)
            connection.close()

    def calls(self):
        """How many have connected until now but ourselves: a call of our own shows that all before it are counted."""
        with socket.create_connection(("127.0.0.1", self.port)) as own:
            name = own.getsockname()
            deadline = time.monotonic() + 10
            while name not in self.peers:
                assert time.monotonic() < deadline, "the listener does not take connections"
                time.sleep(0.005)
        self.peers.remove(name)
        return len(self.peers)


class Outside:
    """What lies outside of the data directory, and how it looks after an attack."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.listeners = []
        self.secret = "neighbour-" + secrets.token_hex(8)
        self.neighbour = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)", self.secret],
                                          env={"NEIGHBOUR_SECRET": self.secret})
        self.count = 0

    def close(self):
        self.neighbour.kill()
        self.neighbour.wait()
        for listener in self.listeners:
            listener.server.close()

    def breaches_of(self, attack, program):
        """Runs the attack; the kinds of breach that are seen from outside, and the answers."""
        self.count += 1
        place = self.folder / str(self.count)
        place.mkdir()
        marker = "wall-marker-" + secrets.token_hex(8)
        (place / "marker").write_text(f"{marker}\n1\n")
        (place / "victim").write_text("keep\n")
        inside = os.path.join(program.data, f"ran{self.count}")
        database = f"attack_{self.count}"
        program.ask(f"CREATE DATABASE {database}")
        # Of its own, and the others stay open: an attack before may still be trying, on another port.
        listener = Listener()
        self.listeners.append(listener)
        words = {"MARKER": place / "marker", "TARGET": place / "target", "VICTIM": place / "victim", "FOLDER": place, "DATA": program.data,
                 "INSIDE": inside, "PORT": listener.port, "DB": database, "NEIGHBOUR": self.neighbour.pid, "ORACLE": marker[::-1]}
        answers = b""
        children = []
        for step in attack.with_words(words):
            answers += program.send(step.statement, step.parameters, step.method, GIVE_UP_SECONDS)[1]
            children += program.children()

        seen = set()
        if marker.encode() in answers:
            seen.add("read")
        if any(secret in answers for secret in (program.password.encode(), self.secret.encode(), *self._of_the_first_process())):
            seen.add("secret")
        if sorted(path.name for path in place.iterdir()) != ["marker", "victim"] or (place / "victim").read_text() != "keep\n":
            seen.add("write")
        if (place / "marker").exists() and (place / "marker").read_text() != f"{marker}\n1\n":
            seen.add("write")
        if os.path.exists(inside) or children:
            seen.add("command")
        if listener.calls() != 0:
            seen.add("connect")
        if not program.lives() and attack.may_end:
            program.restart()
        program.send(f"DROP DATABASE IF EXISTS {database} SYNC", seconds=GIVE_UP_SECONDS)
        return seen, answers.decode(errors="replace")

    def _of_the_first_process(self):
        for name in ("environ", "cmdline"):
            with contextlib.suppress(OSError):
                text = Path("/proc/1", name).read_bytes()
                if len(text) > 8:
                    yield text


@pytest.fixture(scope="session")
def outside():
    folder = tempfile.mkdtemp(prefix="millrace-outside-")
    made = Outside(folder)
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def confined():
    program = Program()
    yield program
    program.remove()


@pytest.fixture(scope="session")
def unconfined():
    program = Program("--unconfined")
    yield program
    program.remove()


@pytest.fixture
def start():
    """Starts programs of the test's own."""
    programs = []

    def begin(*arguments, **how):
        programs.append(Program(*arguments, **how))
        return programs[-1]

    yield begin
    for program in programs:
        program.remove()
