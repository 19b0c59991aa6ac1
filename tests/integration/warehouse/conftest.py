"""Starts the built millrace-warehouse on a free port with a directory of its own."""
import base64
import http.client
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

import pytest

USER = "admin"
PASSWORD = "test-secret"
START_SECONDS = 60


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    @property
    def code(self):
        return int(self.headers.get("X-ClickHouse-Exception-Code", 0))


def binary():
    path = os.environ.get("MILLRACE_WAREHOUSE_BINARY", "")
    if not path or not Path(path).exists():
        pytest.fail("MILLRACE_WAREHOUSE_BINARY does not name the built millrace-warehouse; build it (scripts/bootstrap fetches "
                    "the engine) and run the tests by ctest")
    return path


def arguments(directory, *more, port=0):
    return [binary(), "--path", str(directory), "--port", str(port), *more]


def environment():
    return {**os.environ, "MILLRACE_WAREHOUSE_PASSWORD": PASSWORD}


class Warehouse:
    """One running program."""

    def __init__(self, directory, *more):
        self.directory = directory
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(arguments(directory, *more), stdout=subprocess.PIPE, stderr=self.log, env=environment())
        line = b""
        deadline = time.monotonic() + START_SECONDS
        while not line.endswith(b"\n") and time.monotonic() < deadline and self.process.poll() is None:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                line += os.read(self.process.stdout.fileno(), 200)
        assert line.startswith(b"ready on http://127.0.0.1:"), f"not ready: {line!r} {self.log_text()}"
        self.port = int(line.rsplit(b":", 1)[1])

    def log_text(self):
        self.log.seek(0)
        return self.log.read().decode()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def send(self, body=b"", method="POST", path="/", headers=None, user=USER, password=PASSWORD, connection=None, **parameters):
        if isinstance(body, str):
            body = body.encode()
        if parameters:
            path += "?" + urllib.parse.urlencode(parameters)
        given = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password} if user else {}
        given.update(headers or {})
        own = connection or self.connect()
        own.request(method, path, body=body, headers=given)
        response = own.getresponse()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
        if connection is None:
            own.close()
        return answer

    def ask(self, statement, **parameters):
        """The answer's text; fails on any error."""
        answer = self.send(statement, **parameters)
        assert answer.status == 200, answer.text
        return answer.text

    def rows_running(self, marker):
        return int(self.ask(f"SELECT count() FROM system.processes WHERE query LIKE '%{marker}%' AND query NOT LIKE '%system.processes%'"))

    def authorization(self):
        return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=30):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture(scope="session")
def warehouse():
    """One program for the tests that do not stop it; each uses a database of its own."""
    directory = tempfile.mkdtemp(prefix="millrace-warehouse-")
    started = Warehouse(directory)
    yield started
    code = started.stop()
    shutil.rmtree(directory, ignore_errors=True)
    assert code == 0, started.log_text()


@pytest.fixture
def database(warehouse, request):
    name = "".join(c if c.isalnum() else "_" for c in request.node.name)[:60]
    warehouse.ask(f"CREATE DATABASE {name}")
    yield name
    warehouse.ask(f"DROP DATABASE {name}")


@pytest.fixture
def start():
    """Starts programs that the test may stop, kill and start again."""
    directory = tempfile.mkdtemp(prefix="millrace-warehouse-")
    running = []

    def begin(*more, path=directory):
        running.append(Warehouse(path, *more))
        return running[-1]

    begin.directory = directory
    yield begin
    for program in running:
        if program.process.poll() is None:
            program.kill()
    shutil.rmtree(directory, ignore_errors=True)
