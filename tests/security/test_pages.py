"""Every change that a program can make on the three ports, sent as a browser sends it for a page that may not: nothing changes.

The last test sends the same without a browser's headers, and it works: what was refused was refused for where it came from."""
import base64
import itertools
import json
import shutil
import tempfile
import urllib.parse
from pathlib import Path

import pytest
from web_fixtures import exchange, status, system

CONNECTOR = "/connectors/clickhouse-sink-orders"
TABLE = "analytics.page_target"
JSON = {"Content-Type": "application/json"}
ALLOWED = "https://shop.example"
NAMES = ("order", "payment", "stock", "delete", "job", "users", "metrics", "restart", "pause", "config", "remove", "connectors", "sql in the body",
         "sql in the address", "sql by Basic", "sql by headers", "read by sql", "ping")


class Victim(system.Millrace):
    """With an order and a table that are there to be attacked."""

    def prepare(self):
        self.start()
        self.clickhouse(f"CREATE TABLE {TABLE} (n UInt8) ENGINE = MergeTree ORDER BY n")
        self.order_id = self.order()["id"]
        system.wait_until(lambda: self.warehouse_order(self.order_id), "the order is loaded")
        system.wait_until(lambda: self.connect("/status")["tasks"][0]["state"] == "RUNNING", "the connector runs")
        self.config = self.connect("/config")
        return self

    def connect(self, path):
        return system.ask(self.settings["connect.port"], "GET", CONNECTOR + path).json

    def ports(self):
        return {"api": self.api_port, "connect": self.settings["connect.port"], "warehouse": self.settings["clickhouse.port"]}

    def state(self):
        """All that the attacks would change. A restart leaves a row of the connector."""
        return {"store": self.written(), "order": self.warehouse_order(self.order_id)[:2], "tables": self.clickhouse("SHOW TABLES FROM analytics"),
                "connector": self.connect("/status")["connector"], "config": self.connect("/config"),
                "commands": self.clickhouse("SELECT max(revision), sum(restarts) FROM analytics.connectors"),
                "jobs": self.http("GET", "/admin/jobs", headers={"X-Admin-Id": "test"}).json}

    def attacks(self):
        """name -> (server, method, target, body, headers)"""
        order = json.dumps({"userId": "user-1", "items": [{"productId": "prod-2", "quantity": 1}]})
        login = {"user": "admin", "password": system.PASSWORD}
        sql = "/?" + urllib.parse.urlencode(login)
        basic = base64.b64encode(f"{login['user']}:{login['password']}".encode()).decode()
        drop = f"DROP TABLE {TABLE}"
        return {
            "order": ("api", "POST", "/api/orders", order, JSON),
            "payment": ("api", "POST", "/api/payments", json.dumps({"orderId": self.order_id}), JSON),
            "stock": ("api", "PATCH", "/api/inventory/prod-3", '{"quantity": 7}', JSON),
            "delete": ("api", "DELETE", f"/admin/orders/{self.order_id}", "", {"X-Admin-Id": "x"}),
            "job": ("api", "POST", "/admin/jobs", '{"kind": "verify"}', {**JSON, "X-Admin-Id": "x"}),
            "users": ("api", "GET", "/api/users", "", {}),
            "metrics": ("api", "GET", "/metrics", "", {}),
            "restart": ("connect", "POST", CONNECTOR + "/restart", "", {}),
            "pause": ("connect", "PUT", CONNECTOR + "/pause", "", {}),
            "config": ("connect", "PUT", CONNECTOR + "/config", json.dumps({**self.config, "tasks.max": "3"}), JSON),
            "remove": ("connect", "DELETE", CONNECTOR, "", {}),
            "connectors": ("connect", "GET", "/connectors", "", {}),
            "sql in the body": ("warehouse", "POST", sql, drop, {"Content-Type": "text/plain"}),
            "sql in the address": ("warehouse", "POST", sql + "&" + urllib.parse.urlencode({"query": drop}), "", {}),
            "sql by Basic": ("warehouse", "POST", "/", drop, {"Authorization": f"Basic {basic}", "Content-Type": "application/sql"}),
            "sql by headers": ("warehouse", "POST", "/", drop, {"X-ClickHouse-User": login["user"], "X-ClickHouse-Key": login["password"]}),
            "read by sql": ("warehouse", "GET", sql + "&query=SELECT+4711", "", {}),
            "ping": ("warehouse", "GET", "/ping", "", {}),
        }

    def send(self, name, more, host=None):
        """The answer to that attack with further headers; None takes one away."""
        server, method, target, body, headers = self.attacks()[name]
        port = self.ports()[server]
        lines = {"Host": host or f"localhost:{port}", "Connection": "close", **headers, **more}
        if method in ("POST", "PUT", "PATCH"):
            lines["Content-Length"] = len(body)
        head = "".join(f"{key}: {value}\r\n" for key, value in lines.items() if value is not None)
        return exchange(port, f"{method} {target} HTTP/1.1\r\n{head}\r\n{body}".encode())


@pytest.fixture(scope="module")
def victim():
    folder = Path(tempfile.mkdtemp(prefix="millrace-security-"))
    instance = Victim(folder / "up", **{"connect.port": system.free_port(), "cors.origins": ALLOWED})
    try:
        yield instance.prepare()
    finally:
        instance.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def unchanged(victim):
    before = victim.state()
    yield
    assert victim.state() == before


PAGES = {
    "another site": {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    "another site in an old browser": {"Origin": "http://evil.example"},
    "an image or script": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    "another port of localhost": {"Origin": "http://localhost:1", "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    "another port without an origin": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    "a page without an origin": {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    "a frame": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    "a form": {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    "an extension": {"Origin": "chrome-extension://abcdefgh", "Sec-Fetch-Site": "none"},
    "a name that begins like an allowed one": {"Origin": ALLOWED + ".evil.example", "Sec-Fetch-Site": "cross-site"},
    "an allowed one by another scheme": {"Origin": ALLOWED.replace("https", "http"), "Sec-Fetch-Site": "cross-site"},
}


@pytest.mark.parametrize("page", PAGES)
def test_a_foreign_page_does_nothing(victim, unchanged, page):
    for name, kind in itertools.product(NAMES, ({}, {"Content-Type": "text/plain"})):
        answer = victim.send(name, {**PAGES[page], **kind})
        assert status(answer) == 403 and b"access-control-" not in answer.lower(), (name, answer)


@pytest.mark.parametrize("host", ["rebound.example", "evil.localhost", "0.0.0.0", "localhost.evil.example"])
def test_a_rebound_name_does_nothing(victim, unchanged, host):
    """For the browser, page and server are then one site."""
    for name in NAMES:
        at = f"{host}:{victim.ports()[victim.attacks()[name][0]]}"
        answer = victim.send(name, {"Origin": f"http://{at}", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, at)
        assert status(answer) == 421, (name, answer)


def test_bodies_of_other_types_change_nothing(victim, unchanged):
    types = ("text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx",
             "text/plain; x=application/json", None)
    for name, kind in itertools.product(("order", "payment", "stock", "job", "config"), types):
        answer = victim.send(name, {"Content-Type": kind})
        assert status(answer) == 415, (name, kind, answer)


@pytest.mark.parametrize("origin", [ALLOWED, "own"])
def test_an_allowed_page_sends_no_sql_that_a_browser_sends_unasked(victim, unchanged, origin):
    page = {"Origin": f"http://localhost:{victim.ports()['warehouse']}" if origin == "own" else origin, "Sec-Fetch-Mode": "cors"}
    for name in ("sql in the body", "sql in the address", "sql by Basic", "read by sql"):
        assert status(victim.send(name, page)) == 403, name
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None):
        assert status(victim.send("sql by headers", {**page, "Content-Type": kind})) == 415, kind


def test_programs_notice_nothing(victim):
    for name, expected in {"order": 201, "payment": 201, "stock": 200, "users": 200, "metrics": 200, "restart": 204, "pause": 202, "config": 200,
                           "connectors": 200, "read by sql": 200, "ping": 200, "delete": 204, "remove": 204}.items():
        answer = victim.send(name, {})
        assert status(answer) == expected, (name, answer)
    for name in ("sql in the body", "sql in the address", "sql by Basic", "sql by headers"):
        answer = victim.send(name, {})
        assert status(answer) == 200, (name, answer)
        victim.clickhouse(f"CREATE TABLE {TABLE} (n UInt8) ENGINE = MergeTree ORDER BY n")
