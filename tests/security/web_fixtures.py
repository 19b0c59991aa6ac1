"""What the tests of HTTP and of web pages share: raw sockets, a warehouse of its own, and the whole system with Connect."""
import importlib.util
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "e2e"))
import system  # noqa: E402


def load(name, path):
    """A module by its file: two folders have a conftest."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


warehouse_tests = load("warehouse_tests", TESTS / "integration/warehouse/conftest.py")
Warehouse = warehouse_tests.Warehouse
USER, PASSWORD = warehouse_tests.USER, warehouse_tests.PASSWORD


def exchange(port, data, seconds=30, finish=False):
    """All that comes back for these bytes until the server closes; fails if it does not within `seconds`."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as peer:
        received = b""
        try:
            peer.sendall(data)
            if finish:
                peer.shutdown(socket.SHUT_WR)
            while piece := peer.recv(65_536):
                received += piece
        except (ConnectionResetError, BrokenPipeError):
            pass  # the server has closed while we were still sending
        return received


def head(method, path, host="localhost", **headers):
    """A request without a body, after which the connection is closed."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def status(answer):
    """Of the one answer in these bytes."""
    assert len(re.findall(rb"HTTP/1\.1 \d{3} ", answer)) == 1, answer
    return int(answer[9:12])


def memory(pid, key="VmRSS"):
    """In bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(key)


@pytest.fixture
def start_warehouse():
    """Starts programs, each with a directory of its own: start_warehouse("--flag", "value")."""
    folder = Path(tempfile.mkdtemp(prefix="millrace-security-"))
    running = []

    def begin(*flags):
        running.append(Warehouse(folder / str(len(running)), *flags))
        return running[-1]

    yield begin
    for program in running:
        died = program.process.poll() is not None
        if not died:
            program.kill()
        assert not died, f"the warehouse ended by itself:\n{program.log_text()}"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def whole():
    """`millrace up` with Connect. `page_port` is where a page may be that cors.origins allows."""
    folder = Path(tempfile.mkdtemp(prefix="millrace-security-"))
    page_port = system.free_port()
    instance = system.Millrace(folder / "up", **{"connect.port": system.free_port(),
                                                 "cors.origins": f"http://allowed.localhost:{page_port}"})
    instance.page_port = page_port
    try:
        instance.start()
        system.wait_until(lambda: system.ask(instance.settings["connect.port"], "GET", "/connectors/clickhouse-sink-orders/status")
                          .json["tasks"][0]["state"] == "RUNNING", "the connector runs")
        yield instance
    finally:
        instance.close()
        shutil.rmtree(folder, ignore_errors=True)
