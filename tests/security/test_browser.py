"""A real browser opens a page of another site, which tries orders, SQL and Connect: nothing changes, nothing can be read.

The same page, from the one origin that cors.origins names, can: so it is the servers that refuse, and not the page that fails."""
import http.server
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.parse
from pathlib import Path

import pytest
from web_fixtures import exchange, head, status, system, whole  # noqa: F401

PAGE = Path(__file__).with_name("attack_page.html")
CONNECTOR = "/connectors/clickhouse-sink-orders"
# What can be read only out of an answer: of users, of the metrics, of SQL, of the connector.
SECRETS = ["user-1", "@", "millrace_", "4711", "connector.class", "orders_analytics", "DB::Exception", "error_code", "detail"]
# The page's wishes that are no reading: what the browser itself says of them.
HARMLESS = ("opaque 0 ", "failed: ", "sent", "error", "loaded", "true", "false")


class PageServer:
    """Serves the page at every address of this machine's loopback, and keeps what it reports."""

    def __init__(self, port, values):
        self.reports = []
        text = PAGE.read_text()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, body, kind):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
                page = text.replace("TARGETS", owner.targets(query.get("host", "localhost"))).replace("PHASE", json.dumps(query.get("phase", "")))
                for name, value in values.items():
                    page = page.replace(name, json.dumps(value))
                self.answer(page.encode(), "text/html")

            def do_POST(self):
                owner.reports.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.answer(b"{}", "application/json")

        self.server = http.server.ThreadingHTTPServer(("0.0.0.0", port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def targets(self, host):
        return json.dumps({name: f"http://{host}:{port}" for name, port in self.ports.items()})

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def browse(url, until):
    """Opens the address in a browser of its own and waits for the condition."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("chromium is not there: scripts/bootstrap --test installs it")
    folder = tempfile.mkdtemp(prefix="millrace-browser-")
    log = open(Path(folder) / "log", "w+b")
    browser = subprocess.Popen(
        [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage", "--no-proxy-server",
         "--remote-debugging-port=0", f"--user-data-dir={folder}/profile", url],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env={**os.environ, "HOME": folder})
    try:
        system.wait_until(until, f"the page at {url} has told what it did: {system.tail(Path(folder) / 'log')}")
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def pages(whole):
    order = whole.order()["id"]
    config = system.ask(whole.settings["connect.port"], "GET", CONNECTOR + "/config").json
    server = PageServer(whole.page_port, {"ORDER": order, "CONFIG": json.dumps({**config, "tasks.max": "7"})})
    server.ports = {"api": whole.api_port, "connect": whole.settings["connect.port"], "warehouse": whole.settings["clickhouse.port"]}
    server.order = order
    yield server
    server.close()


def make_target(whole):
    whole.clickhouse("CREATE TABLE IF NOT EXISTS default.attack_target (a UInt8) ENGINE = MergeTree ORDER BY a")


def state(whole):
    """All that the page tries to change."""
    connect = whole.settings["connect.port"]
    return {
        "orders": whole.mysql("SELECT id, status, total_amount, deleted_at FROM orders ORDER BY id"),
        "payments": whole.mysql("SELECT order_id, status FROM payments ORDER BY order_id"),
        "outbox": whole.mysql("SELECT COUNT(*), MAX(id) FROM outbox"),
        "stock": whole.mysql("SELECT product_id, quantity, reserved FROM inventory ORDER BY product_id"),
        "jobs": whole.mysql("SELECT COUNT(*) FROM jobs"),
        "table": whole.clickhouse("SELECT count() FROM system.tables WHERE name = 'attack_target'"),
        "connector": system.ask(connect, "GET", CONNECTOR + "/status").json,
        "config": system.ask(connect, "GET", CONNECTOR + "/config").json,
        # A row for each command that the connector was given.
        "commands": whole.clickhouse("SELECT max(revision), sum(restarts) FROM analytics.connectors"),
    }


def open_page(pages, origin, host="localhost"):
    """The page's report."""
    before = len(pages.reports)
    browse(f"{origin}:{pages.port}/?host={host}", lambda: len(pages.reports) > before)
    report = pages.reports[-1]
    assert report["origin"] == f"{origin}:{pages.port}"
    assert len(report["done"]) == PAGE.read_text().count("await attempt("), report
    return report["done"]


@pytest.mark.parametrize("origin, host", [("http://localhost", "localhost"), ("http://127.0.0.2", "127.0.0.1"), ("http://evil.localhost", "localhost"),
                                          ("http://127.0.0.1", "localhost")])
def test_a_page_of_another_site_changes_and_reads_nothing(whole, pages, origin, host):
    make_target(whole)
    before = state(whole)
    done = open_page(pages, origin, host)
    assert state(whole) == before
    for name, told in done.items():
        assert told.startswith(HARMLESS), (name, told)
        assert not any(secret in told for secret in SECRETS), (name, told)


def test_the_same_page_succeeds_where_it_is_allowed(whole, pages):
    """Every wall above is one of ours: with the origin in cors.origins the page reads and changes things."""
    make_target(whole)
    before = state(whole)
    done = open_page(pages, "http://allowed.localhost")
    after = state(whole)
    assert "user-1" in done["users by fetch"] and "millrace_" in done["metrics by fetch"]
    assert done["order as JSON"].startswith("cors 201")
    assert len(after["orders"]) == len(before["orders"]) + 1
    assert done["SQL with headers"].startswith("cors 200") and after["table"] == [("0",)]
    assert "connector.class" in done["connector read"] and after["connector"] != before["connector"]
    # Simple requests stay refused from there as well: they would come from any page without a question.
    assert "4711" not in done["SQL by GET"] and "order as text" in done
    system.ask(whole.settings["connect.port"], "POST", "/connectors", {"name": "clickhouse-sink-orders", "config": before["config"]})


REBOUND = ["evil.example", "evil.localhost", "rebind.127.0.0.1.nip.io"]


@pytest.mark.parametrize("host", REBOUND)
def test_a_name_that_was_rebound_to_this_machine_is_refused(whole, pages, host):
    """What a browser sends when another site's name leads here: the page and the request have the same origin."""
    make_target(whole)
    before = state(whole)
    order = json.dumps({"userId": "user-1", "items": [{"productId": "prod-2", "quantity": 1}]})
    for name, port in pages.ports.items():
        own = {"Origin": f"http://{host}:{port}", "Sec-Fetch-Site": "same-origin", "X-Admin-Id": "x"}
        for method, path, body in (("GET", "/api/users", ""), ("POST", "/api/orders", order), ("DELETE", f"/admin/orders/{pages.order}", ""),
                                   ("POST", "/?user=admin&password=test123", "DROP TABLE default.attack_target"),
                                   ("GET", "/?user=admin&password=test123&query=SELECT+1", ""), ("GET", CONNECTOR, ""),
                                   ("PUT", CONNECTOR + "/pause", ""), ("POST", CONNECTOR + "/restart", ""), ("DELETE", CONNECTOR, "")):
            kind = {"Content-Type": "application/json", "Content-Length": len(body)} if body else {}
            answer = exchange(port, head(method, path, host=f"{host}:{port}", **own, **kind) + body.encode())
            assert status(answer) == 421, (name, method, path, answer)
    assert state(whole) == before
