"""One running Millrace, driven from outside: the built programs, their ports, their files, and nothing else of theirs.

Every wait has a deadline and a condition; a machine that is busy makes a test slow, not red.
"""
import dataclasses
import decimal
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
import urllib.parse
import uuid
from pathlib import Path

import pymysql
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds until a condition must hold, on a machine that does other things as well
USER = "root"
PASSWORD = "test123"  # with --dev-credentials
SECRETS = ("mysql.password", "mysql.url", "clickhouse.password", "kafka.client")  # settings that are no flags
MARK = "MILLRACE_TEST_MARK"  # in the environment of what a test starts: finds what outlives its parent

_reserved = []


def program(name="millrace"):
    path = Path(os.environ.get("MILLRACE_BINARY", REPOSITORY / "build/millrace")).with_name(name)
    if not path.exists():
        pytest.fail(f"{path} is not there: build it (make build), and run the tests by ctest")
    return path


def free_port(also=()):
    """A port of 127.0.0.1 for one server, below those of outgoing connections, and not given to any other test that runs now.

    `also`: distances above it at which ports must be free, too, such as those of Kafka's controllers."""
    for _ in range(400):
        port = random.SystemRandom().randint(15_000, 32_000 - max(also, default=0))
        claims = []
        try:
            for each in (port, *(port + distance for distance in also)):
                claims.append(socket.socket(socket.AF_UNIX))
                claims[-1].bind(f"\0millrace-test-port-{each}")
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", each))
        except OSError:
            for claim in claims:
                claim.close()
            continue
        _reserved.extend(claims)  # until this process ends
        return port
    raise RuntimeError("no free port on 127.0.0.1")


def wait_until(condition, what, seconds=PATIENCE, pause=0.03):
    """The first true value of condition(); fails with `what` and the last value or error."""
    deadline = time.monotonic() + seconds
    while True:
        problem = None
        try:
            value = condition()
            if value:
                return value
        except (OSError, http.client.HTTPException, pymysql.MySQLError, QueryFailed) as error:
            value, problem = None, error
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:.0f} s: {what}; last seen: {problem or value!r}")
        time.sleep(pause)


class QueryFailed(Exception):
    pass


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        """Numbers with a point as Decimal: money must not pass through a float."""
        return json.loads(self.body, parse_float=decimal.Decimal)

    def problem(self):
        """The detail of a problem+json answer, whose shape is checked."""
        assert self.headers.get("content-type", "").startswith("application/problem+json"), (self.headers, self.body)
        document = self.json
        assert document["status"] == self.status, document
        assert {"type", "title", "detail"} <= set(document), document
        return document["detail"]


def ask(port, method, path, body=None, headers=None, timeout=60):
    """One HTTP exchange; body may be bytes, text or what becomes JSON."""
    given = dict(headers or {})
    if body is not None:
        given.setdefault("Content-Type", "application/json")
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body, default=str)
    if isinstance(body, str):
        body = body.encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=given)
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def ask_socket(port):
    """Whether somebody takes connections."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


# Processes

def processes_marked(mark, data):
    """pid -> command line of what runs with the mark in its environment, and of the servers, which are handed no such
    variable but name a place in the data directory."""
    found = {}
    place = f"{data}/".encode()
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            is_server = place in command and not command.split(b"\0")[0].endswith(b"/millrace")
            if not is_server and wanted not in (entry / "environ").read_bytes().split(b"\0"):
                continue
            command = command.replace(b"\0", b" ").decode(errors="replace").strip()
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue  # it ended meanwhile
        if state != "Z":
            found[int(entry.name)] = command
    return found


def tail(path, lines=60):
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return str(error)


@dataclasses.dataclass
class Run:
    """A subcommand that has ended."""
    code: int
    out: str
    err: str

    def complaint(self):
        """The one line in which the program says why it did not do it."""
        lines = [line for line in self.err.splitlines() if line.startswith("millrace: ")]
        assert len(lines) == 1, f"not one line that says why: {self.err!r}"
        return lines[0]


class Millrace:
    """`millrace up` with its own directory and ports, and every other subcommand with the same settings."""

    all_of_this_test = []  # for the logs of a failed one
    dev_credentials = True

    def __init__(self, home, **settings):
        self.home = Path(home)
        self.home.mkdir(parents=True, exist_ok=True)
        self.data = self.home / "data"
        self.mark = uuid.uuid4().hex
        self.settings = {"data.dir": str(self.data), "api.port": free_port(), "mysql.port": free_port(),
                         "clickhouse.port": free_port()}
        self.settings.update(settings)
        self.process = None
        self.may_have_ended = False
        self.starts = 0
        Millrace.all_of_this_test.append(self)

    # Settings

    @property
    def api_port(self):
        return self.settings["api.port"]

    @property
    def api_ports(self):
        """Of all that serve the API."""
        return [self.api_port]

    def flags(self):
        words = []
        for key, value in self.settings.items():
            if value is not None and key not in SECRETS:
                words += ["--" + key.replace(".", "-").replace("_", "-"),
                          str(value).lower() if isinstance(value, bool) else str(value)]
        return words

    def secrets(self):
        """As variables. A warehouse of the tests' own has the password of all others."""
        given = {key: self.settings[key] for key in SECRETS if self.settings.get(key) is not None}
        if self.settings.get("clickhouse.embedded") is False:
            given.setdefault("clickhouse.password", PASSWORD)
        return {"MILLRACE_" + key.upper().replace(".", "_"): value for key, value in given.items()}

    def environment(self, extra=None, own_settings=True):
        """Ours without settings of the person who runs the tests."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
        return {**kept, MARK: self.mark, **(self.secrets() if own_settings else {}), **(extra or {})}

    def command(self, words, own_settings=True):
        """The one place where the tests choose the embedded servers' passwords."""
        credentials = ["--dev-credentials"] if self.dev_credentials and words[:1] == ("up",) else []
        return [str(program()), *map(str, words), *credentials, *(self.flags() if own_settings else [])]

    # Subcommands

    def begin(self, *words, environment=None, own_settings=True, **options):
        """A subcommand that goes on running, in a process group of its own."""
        return subprocess.Popen(self.command(words, own_settings), cwd=self.home,
                                env=self.environment(environment, own_settings), stdin=subprocess.DEVNULL, start_new_session=True, **options)

    def begin_on(self, terminal, prepare, *words):
        """The same on a terminal."""
        return subprocess.Popen(self.command(words), cwd=self.home, env=self.environment(),
                                stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True, preexec_fn=prepare)

    def run(self, *words, environment=None, own_settings=True, seconds=300):
        process = self.begin(*words, environment=environment, own_settings=own_settings, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"millrace {' '.join(map(str, words))} still ran after {seconds} s; {out!r} {err!r}")
        return Run(process.returncode, out, err)

    def verify(self, patience="120s"):
        """Fails with the table of differences."""
        done = self.run("verify", "--patience", patience, seconds=600)
        assert done.code == 0, f"verify ended with {done.code}:\n{done.out}\n{done.err}"
        return done.out

    # The life of `up`

    def start(self, *words, wait=True):
        assert self.process is None or self.process.poll() is not None, "it runs already"
        self.starts += 1
        self.may_have_ended = False
        with self.log_file().open("ab") as log:
            self.process = self.begin("up", *words, stdout=log, stderr=log)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                pytest.fail(f"up ended with {self.process.returncode} before it was ready")
            return ask(self.api_port, "GET", "/readyz").status == 200
        wait_until(ready, "up is ready")

    def log_file(self):
        return self.home / "up.log"

    def log_files(self):
        """Of all processes of ours."""
        return [self.log_file()]

    def logs(self):
        files = [self.log_file(), self.data / "mysql/mariadbd.log", self.data / "clickhouse/warehouse.log"]
        return "\n".join(f"--- {file.relative_to(self.home)}\n{tail(file)}" for file in files)

    def processes(self):
        return processes_marked(self.mark, self.data)

    def pid_of(self, name):
        """Of the server that runs now (mariadbd or millrace-warehouse)."""
        found = [pid for pid, command in self.processes().items() if Path(command.split(" ")[0]).name == name]
        return found[0] if len(found) == 1 else None

    def interrupt(self):
        """Ctrl-C: the terminal sends it to the whole foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def assert_ended_cleanly(self):
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.fail("up did not end")
        assert code == 0, f"up ended with {code}"
        left = self.processes()
        assert not left, f"left running: {left}"

    def stop(self):
        self.interrupt()
        self.assert_ended_cleanly()

    def kill(self):
        """kill -9 of everything at once; up last, because the kernel tells its servers of its end."""
        self.may_have_ended = True
        for pid in [pid for pid in self.processes() if pid != self.process.pid] + [self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(PATIENCE)
        wait_until(lambda: not self.processes(), "everything that was killed is gone")

    def close(self):
        """The end of a test: whatever still runs must end cleanly. Nothing is left in any case."""
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
            elif self.process is not None and not self.may_have_ended:
                assert self.process.returncode == 0, f"up ended by itself with {self.process.returncode}"
        finally:
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    # Speaking to it

    def http(self, method, path, body=None, headers=None):
        return ask(self.api_port, method, path, body, headers)

    def get(self, path):
        """The JSON of a 200."""
        answer = self.http("GET", path)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer.json

    def order(self, user="user-1", items=(("prod-1", 1),), path="/api/orders", **more):
        """The JSON of a 201."""
        answer = self.http("POST", path, order_body(user, items, **more))
        assert answer.status == 201, (answer.status, answer.body)
        return answer.json

    def delete(self, order_id, admin="e2e", path="/admin/orders/"):
        return self.http("DELETE", path + order_id, headers={"X-Admin-Id": admin} if admin is not None else {})

    def clickhouse(self, sql):
        """The rows of an answer, as tuples of text."""
        path = "/?" + urllib.parse.urlencode({"default_format": "TabSeparated", "wait_end_of_query": 1})
        answer = ask(self.settings["clickhouse.port"], "POST", path, sql,
                     {"X-ClickHouse-User": "admin", "X-ClickHouse-Key": PASSWORD})
        if answer.status != 200:
            raise QueryFailed(answer.text)
        return [tuple(line.split("\t")) for line in answer.text.splitlines()]

    def mysql_connection(self):
        """Of the caller's own."""
        return pymysql.connect(host="127.0.0.1", port=int(self.settings["mysql.port"]), user=self.settings.get("mysql.user", USER),
                               password=self.settings.get("mysql.password", PASSWORD), database="ecommerce", autocommit=True,
                               connect_timeout=20, read_timeout=120)

    def mysql(self, sql, *values):
        """The rows of a statement."""
        return self.mysql_all([sql], *values)[0]

    def mysql_all(self, statements, *values):
        """The rows of each; a connection of its own each time, because the server may have been killed."""
        connection = self.mysql_connection()
        answers = []
        try:
            with connection.cursor() as cursor:
                for sql in statements:
                    cursor.execute(sql, values)
                    answers.append(list(cursor.fetchall()))
        finally:
            connection.close()
        return answers

    # What it says

    def views(self):
        """The five views: name -> key -> values, money as Decimal."""
        return {
            "daily_sales_mv": view(self.clickhouse(
                "SELECT order_date, order_count, total_revenue, avg_order_value, unique_customers "
                "FROM analytics.daily_sales_mv"), 1),
            "hourly_sales_mv": view(self.clickhouse(
                "SELECT order_hour, order_count, total_revenue, avg_order_value FROM analytics.hourly_sales_mv"), 1),
            "order_status_mv": view(self.clickhouse(
                "SELECT order_date, status, order_count, total_amount FROM analytics.order_status_mv"), 2),
            "user_analytics_mv": view(self.clickhouse(
                "SELECT user_id, user_email, order_date, order_count, total_spent, avg_order_value "
                "FROM analytics.user_analytics_mv"), 3),
            "product_ranking_mv": view(self.clickhouse(
                "SELECT order_date, product_id, product_name, quantity, revenue FROM analytics.product_ranking_mv"), 3),
        }

    def warehouse_order(self, order_id):
        """(status, is_deleted, event_type) of the newest version; None while there is none. One row per order, or it fails."""
        assert re.fullmatch(r"[0-9a-z-]{1,36}", order_id)
        rows = self.clickhouse("SELECT status, is_deleted, event_type FROM analytics.orders_analytics FINAL "
                               f"WHERE order_id = '{order_id}'")
        assert len(rows) <= 1, rows
        return rows[0] if rows else None

    def written(self):
        """What any accepted request would change in the order store."""
        asked = {
            "orders": "SELECT COUNT(*), COALESCE(SUM(version), 0), COUNT(deleted_at) FROM orders",
            "items": "SELECT COUNT(*) FROM order_items",
            "payments": "SELECT COUNT(*), COUNT(IF(status = 'PENDING', 1, NULL)) FROM payments",
            "outbox": "SELECT COUNT(*), COALESCE(MAX(id), 0) FROM outbox",
            "stock": "SELECT product_id, quantity, reserved FROM inventory ORDER BY product_id",
            "users": "SELECT COUNT(*) FROM users",
            "products": "SELECT COUNT(*) FROM products",
        }
        return dict(zip(asked, self.mysql_all(asked.values())))


def order_body(user="user-1", items=(("prod-1", 1),), **more):
    return {"userId": user, "items": [{"productId": product, "quantity": quantity} for product, quantity in items], **more}


def view(rows, key_columns):
    """Rows as key -> values; a key that comes twice is a mistake of the view."""
    table = {}
    for row in rows:
        key = row[:key_columns]
        assert key not in table, f"{key} twice"
        table[key] = tuple(decimal.Decimal(value) for value in row[key_columns:])
    return table


# The views as they must be, from orders alone

SALES_WITHOUT = ("CANCELLED", "REFUNDED")
CENT = decimal.Decimal("0.01")


@dataclasses.dataclass
class Sale:
    """An order that is not deleted, as the test knows it. `time` is 'YYYY-MM-DD HH:MM:SS' in UTC."""
    user: str
    email: str
    time: str
    status: str
    total: decimal.Decimal
    lines: list  # (product id, product name, quantity, price)


def sale_of(order, email):
    """From the API's answer to an order."""
    return Sale(order["userId"], email, order["createdAt"][:19].replace("T", " "), order["status"],
                decimal.Decimal(order["totalAmount"]),
                [(i["productId"], i["productName"], i["quantity"], decimal.Decimal(i["price"])) for i in order["items"]])


def average(total, count):
    return (total / count).quantize(CENT, decimal.ROUND_HALF_UP)


def expected_views(sales):
    """What the five views must hold when these are all orders: written down again here, from the contract."""
    daily, hourly, status, users, products = {}, {}, {}, {}, {}

    def add(table, key, *amounts):
        table[key] = tuple(a + b for a, b in zip(table.get(key, (decimal.Decimal(0),) * len(amounts)), amounts))

    customers = {}
    for sale in sales:
        day, hour = sale.time[:10], sale.time[:13] + ":00:00"
        if sale.status not in SALES_WITHOUT:
            add(daily, (day,), 1, sale.total)
            add(hourly, (hour,), 1, sale.total)
            customers.setdefault((day,), set()).add(sale.user)
        add(status, (day, sale.status), 1, sale.total)
        add(users, (sale.user, sale.email, day), 1, sale.total)
        for product, name, quantity, price in sale.lines:
            add(products, (day, product, name), quantity, quantity * price)

    return {
        "daily_sales_mv": {key: (n, total, average(total, n), len(customers[key])) for key, (n, total) in daily.items()},
        "hourly_sales_mv": {key: (n, total, average(total, n)) for key, (n, total) in hourly.items()},
        "order_status_mv": status,
        "user_analytics_mv": {key: (n, total, average(total, n)) for key, (n, total) in users.items()},
        "product_ranking_mv": products,
    }
