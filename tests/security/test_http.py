"""Bytes on a socket, right and wrong, against the real servers: what is no request, what smuggles one, what is too large or too slow,
what comes under another host's name or from another site's page."""
import base64
import json
import struct
import threading
import time

import pytest
from web_fixtures import PASSWORD, USER, exchange, head, memory, start_warehouse, status, system, whole  # noqa: F401

CONNECTOR = "/connectors/clickhouse-sink-orders"


def ports(whole):
    return {"api": whole.api_port, "connect": whole.settings["connect.port"], "warehouse": whole.settings["clickhouse.port"]}


# Nothing that comes ends a process

KILLERS = {
    "a value of 65,534 bytes": b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX: " + b"v" * 65_534 + b"\r\n\r\n",
    "a value of 65,536 bytes": b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX: " + b"v" * 65_536 + b"\r\n\r\n",
    "a name of 70,000 bytes": b"GET /ping HTTP/1.1\r\nHost: localhost\r\n" + b"n" * 70_000 + b": v\r\n\r\n",
    "a host of 65,534 bytes": b"GET /ping HTTP/1.1\r\nHost: " + b"h" * 65_534 + b"\r\n\r\n",
    "an address of 70,000 bytes": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method of 70,000 bytes": b"G" * 70_000 + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "10,000 headers": b"GET /ping HTTP/1.1\r\nHost: localhost\r\n" + b"A: 1\r\n" * 10_000 + b"\r\n",
    "a folded value of 65,534 bytes": b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX: a\r\n " + b"v" * 65_534 + b"\r\n\r\n",
    "a trailer of 70,000 bytes": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"v" * 70_000,
    "zero bytes": b"\0" * 1_000,
}


@pytest.mark.parametrize("data", KILLERS.values(), ids=KILLERS.keys())
def test_no_request_ends_the_warehouse(whole, data):
    port, pid = whole.settings["clickhouse.port"], whole.pid_of("millrace-warehouse")
    for _ in range(3):
        answer = exchange(port, data, finish=True)
        assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.1 404", b"HTTP/1.1 414", b"HTTP/1.1 431", b"HTTP/1.1 501"), answer[:200]
    assert whole.clickhouse("SELECT 1") == [("1",)]
    assert whole.pid_of("millrace-warehouse") == pid, "it was started anew"


@pytest.mark.parametrize("data", KILLERS.values(), ids=KILLERS.keys())
@pytest.mark.parametrize("server", ["api", "connect"])
def test_no_request_ends_the_other_servers(whole, server, data):
    exchange(ports(whole)[server], data, finish=True)
    assert whole.process.poll() is None
    assert status(exchange(ports(whole)[server], head("GET", "/"))) in (200, 302)


# One request is one request

SECOND = b"POST /?query=SELECT+1 HTTP/1.1\r\nHost: localhost\r\nX-ClickHouse-User: admin\r\nX-ClickHouse-Key: test123\r\n\r\n"


def two_in_one(framing, body=b"0\r\n\r\n"):
    return b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + framing + b"\r\n\r\n" + body + SECOND


SMUGGLERS = {name: two_in_one(framing) for name, framing in {
    "xchunked": b"Transfer-Encoding: xchunked", "chunked twice": b"Transfer-Encoding: chunked, chunked",
    "two headers": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "gzip, chunked": b"Transfer-Encoding: gzip, chunked",
    "a blank before the colon": b"Transfer-Encoding : chunked", "a tab in front": b"\tTransfer-Encoding: chunked",
    "a vertical tab": b"Transfer-Encoding: \x0bchunked", "both": b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    "both, the other way": b"Content-Length: 5\r\nTransfer-Encoding: chunked", "two lengths": b"Content-Length: 5\r\nContent-Length: 0",
    "the same length twice": b"Content-Length: 5\r\nContent-Length: 5", "a list of lengths": b"Content-Length: 5, 5",
    "a signed length": b"Content-Length: +5", "a length in hexadecimal": b"Content-Length: 0x5", "a folded length": b"Content-Length:\r\n 5",
    "a length too large": b"Content-Length: 18446744073709551621", "a bare CR": b"X: a\rTransfer-Encoding: chunked",
    "a bare LF": b"X: a\nContent-Length: 5", "a zero byte": b"X: a\0b", "two hosts": b"Host: other", "no colon": b"Content-Length 5",
}.items()}
SMUGGLERS |= {
    "chunked in HTTP/1.0": b"POST /nowhere HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "another host in the address": b"GET http://other/ HTTP/1.1\r\nHost: localhost\r\n\r\n" + SECOND,
    "no host": b"GET / HTTP/1.1\r\n\r\n" + SECOND,
}


@pytest.mark.parametrize("server", ["api", "connect", "warehouse"])
@pytest.mark.parametrize("data", SMUGGLERS.values(), ids=SMUGGLERS.keys())
def test_what_could_be_read_as_two_requests_is_refused_and_closed(whole, server, data):
    answer = exchange(ports(whole)[server], data)
    assert status(answer) == 400, answer
    assert b"close" in answer.lower()


@pytest.mark.parametrize("server", ["api", "connect", "warehouse"])
def test_a_chunk_that_ends_otherwise_than_it_says_is_refused_and_closed(whole, server):
    for chunks in (b"5\r\nhello0\r\n\r\n", b"5\nhello\n0\n\n", b"5;a\nb\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n"):
        answer = exchange(ports(whole)[server], two_in_one(b"Transfer-Encoding: chunked", chunks))
        # The warehouse has answered that there is nothing at the address before it meets the broken chunk, and closes.
        assert status(answer) in ((400, 404) if server == "warehouse" else (400,)), answer


# Memory follows the bytes that came

def test_a_head_of_25_bytes_takes_no_memory(start_warehouse):
    warehouse = start_warehouse()
    warehouse.ask("SELECT 1")
    before = memory(warehouse.process.pid, "VmHWM")
    for packed, plain in ((1 << 30, 1 << 30), (9, 1 << 30), (32 << 20, 32 << 20), (1 << 30, 9)):
        block = b"\0" * 16 + b"\x82" + struct.pack("<II", packed, plain)
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(warehouse.send(block, decompress=1).code)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(answers) <= {39, 40, 271}, answers
    assert memory(warehouse.process.pid, "VmHWM") - before < 100 << 20


# Who is slow holds nobody up

class Slow:
    """A statement whose client is slow; `drip` sends a byte to each of many."""

    def __init__(self, warehouse, statement):
        import socket
        self.peer = socket.create_connection(("127.0.0.1", warehouse.port), timeout=30)
        self.peer.sendall(head("POST", "/?query=" + statement.replace(" ", "+"), X_ClickHouse_User=USER, X_ClickHouse_Key=PASSWORD,
                               Transfer_Encoding="chunked", Content_Type="application/octet-stream"))

    def send(self, data):
        try:
            self.peer.sendall(b"%x\r\n%s\r\n" % (len(data), data))
        except OSError:
            pass  # it had to give way


@pytest.mark.parametrize("tricklers", [16, 96])
def test_inserts_that_trickle_hold_nobody_up(start_warehouse, tricklers):
    warehouse = start_warehouse()
    warehouse.ask("CREATE TABLE slow (a UInt64) ENGINE = MergeTree ORDER BY a")
    warehouse.ask("CREATE TABLE fast (a UInt64) ENGINE = MergeTree ORDER BY a")
    slow = [Slow(warehouse, "INSERT INTO slow FORMAT TabSeparated") for _ in range(tricklers)]
    over = threading.Event()

    def drip():
        while not over.wait(0.1):
            for one in slow:
                one.send(b"1\n")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        # All of them are in the engine or wait to be.
        assert system.wait_until(lambda: warehouse.rows_running("INSERT INTO slow") >= min(tricklers, 16), "the slow ones run")
        connection = warehouse.connect()
        for number in range(20):
            insert = warehouse.send(f"INSERT INTO fast VALUES ({number})", connection=connection)
            assert insert.status == 200, insert.text
            assert warehouse.send("SELECT 1").text == "1\n"
        large = warehouse.send(b"7\n" * 2_000_000, query="INSERT INTO fast FORMAT TabSeparated")
        assert large.status == 200, large.text
        assert warehouse.ask("SELECT count() FROM fast") == "2000020\n"
    finally:
        over.set()
        dripping.join()
    for one in slow:
        one.peer.close()


def test_answers_that_nobody_takes_hold_nobody_up(start_warehouse):
    warehouse = start_warehouse()
    deaf = [Slow(warehouse, "SELECT number FROM numbers(100000000) SETTINGS max_threads = 1") for _ in range(24)]
    for one in deaf:
        one.peer.sendall(b"0\r\n\r\n")
    assert system.wait_until(lambda: warehouse.rows_running("numbers(100000000)") >= 16, "they run")
    for _ in range(20):
        assert warehouse.send("SELECT 1").text == "1\n"
    for one in deaf:
        one.peer.close()
    assert system.wait_until(lambda: warehouse.rows_running("numbers(100000000)") == 0, "they are ended")


def test_a_slow_insert_is_whole_when_nobody_needs_its_place(start_warehouse):
    warehouse = start_warehouse("--statements-max", "1")
    warehouse.ask("CREATE TABLE slow (a UInt64) ENGINE = MergeTree ORDER BY a")
    slow = Slow(warehouse, "INSERT INTO slow FORMAT TabSeparated")
    for number in range(10):
        slow.send(b"%d\n" % number)
        assert warehouse.send("SELECT 1").text == "1\n"
    slow.peer.sendall(b"0\r\n\r\n")
    assert slow.peer.recv(1_000).startswith(b"HTTP/1.1 200")
    assert warehouse.ask("SELECT sum(a), count() FROM slow") == "45\t10\n"


# Guessing

def guess(warehouse, codes, password="wrong"):
    try:
        answer = warehouse.send("SELECT 1", password=password)
        codes.append((answer.status, answer.code))
    except OSError as error:
        codes.append((0, str(error)))


def at_once(count, *arguments):
    threads = [threading.Thread(target=guess, args=arguments, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_of_many_guesses_few_get_a_verdict(start_warehouse):
    warehouse = start_warehouse("--auth-hold-max-ms", "600000")
    trusted = warehouse.connect()
    assert warehouse.send("SELECT 1", connection=trusted).status == 200
    codes = []
    for thread in at_once(10, warehouse, codes):
        thread.join()
    assert codes == [(403, 516)] * 10
    # These eight are held for a quarter of a second; every failure doubles it for those who come then.
    for thread in at_once(8, warehouse, codes):
        thread.join()
    assert codes == [(403, 516)] * 18
    late = []
    at_once(100, warehouse, late)
    assert system.wait_until(lambda: len(late) >= 68, "those beyond the bound are turned away")
    assert set(late) == {(429, 364)}, "a guess got a verdict"
    # Who was let in before goes on.
    for _ in range(10):
        assert warehouse.send("SELECT 1", connection=trusted).status == 200


def test_the_right_password_gets_in_while_others_are_guessed(start_warehouse):
    warehouse = start_warehouse()
    over = threading.Event()
    codes = []

    def hammer():
        while not over.is_set():
            guess(warehouse, codes)

    hammers = [threading.Thread(target=hammer) for _ in range(8)]
    for one in hammers:
        one.start()
    try:
        assert system.wait_until(lambda: len(codes) > 20, "they are held")
        for _ in range(5):
            assert warehouse.send("SELECT 1").status == 200
    finally:
        over.set()
        for one in hammers:
            one.join()
    assert {status for status, _ in codes} <= {403, 429}


# Hosts and pages

ROUTES = {"api": ["/", "/console", "/healthz", "/readyz", "/metrics", "/api/users", "/api/analytics/stats", "/nothing"],
          "connect": ["/", "/connectors", CONNECTOR + "/status", "/nothing"],
          "warehouse": ["/ping", "/", "/replicas_status", "/?query=SELECT+1", "/nothing"]}
EVERYWHERE = [(server, route) for server, routes in ROUTES.items() for route in routes]
FOREIGN_HOSTS = ["evil.example", "evil.example:3000", "localhost.evil.example", "rebind.localhost", "127.0.0.1.nip.io", "169.254.169.254", "0.0.0.0",
                 "[::2]", "2130706433", "localhost.localdomain"]


def check_shape(server, answer):
    header, body = answer.split(b"\r\n\r\n", 1)
    if server == "api":
        assert b"application/problem+json" in header and json.loads(body)["detail"], answer
    elif server == "connect":
        document = json.loads(body)
        assert document["error_code"] == int(answer[9:12]) and document["message"], answer
    else:
        assert b"text/plain" in header and body.startswith(b"Code: ") and b"X-ClickHouse-Exception-Code" in header, answer


@pytest.mark.parametrize("server, route", EVERYWHERE)
def test_another_hosts_name_is_answered_nowhere(whole, server, route):
    for host in FOREIGN_HOSTS:
        answer = exchange(ports(whole)[server], head("GET", route, host=host, X_ClickHouse_User="admin", X_ClickHouse_Key="test123"))
        assert status(answer) == 421, (host, answer)
        check_shape(server, answer)
    for host in ("localhost", f"127.0.0.1:{ports(whole)[server]}", "[::1]", "LOCALHOST:80"):
        assert status(exchange(ports(whole)[server], head("GET", route, host=host))) != 421, host


PAGES = {"another site": {"Origin": "http://evil.example"}, "no origin at all": {"Origin": "null"},
         "another port": {"Origin": "http://localhost:1"}, "another port, by a simple request": {"Sec-Fetch-Site": "same-site"},
         "an image of another site": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
         "a frame": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
@pytest.mark.parametrize("server, route", EVERYWHERE)
def test_a_page_of_another_site_is_answered_nowhere(whole, server, route, page):
    answer = exchange(ports(whole)[server], head("GET", route, **page, X_ClickHouse_User="admin", X_ClickHouse_Key="test123"))
    assert status(answer) == 403, answer
    check_shape(server, answer)
    assert b"access-control-allow-origin" not in answer.lower()


def test_a_link_opens_a_page_of_the_api_and_runs_no_statement(whole):
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert status(exchange(whole.api_port, head("GET", "/console", **link))) == 200
    assert status(exchange(ports(whole)["connect"], head("GET", "/connectors", **link))) == 200
    for path in ("/ping", "/?query=SELECT+1&user=admin&password=test123"):
        assert status(exchange(ports(whole)["warehouse"], head("GET", path, **link))) == 403


def post(path, kind, body=b"{}", host="localhost", **headers):
    given = {"Content-Length": len(body), **headers}
    if kind is not None:
        given["Content-Type"] = kind
    return head("POST", path, host=host, **given) + body


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json"])
def test_bodies_that_are_not_json_change_nothing(whole, kind):
    order = json.dumps({"userId": "user-1", "items": [{"productId": "prod-2", "quantity": 1}]}).encode()
    before = whole.mysql("SELECT COUNT(*) FROM orders")
    for server, path in (("api", "/api/orders"), ("api", "/orders"), ("api", "/api/payments"), ("api", "/admin/jobs"),
                         ("connect", "/connectors"), ("connect", CONNECTOR + "/restart")):
        answer = exchange(ports(whole)[server], post(path, kind, order, X_Admin_Id="me"))
        assert status(answer) == 415, answer
        check_shape(server, answer)
    assert whole.mysql("SELECT COUNT(*) FROM orders") == before
    assert status(exchange(whole.api_port, post("/api/orders", "application/json; charset=utf-8", order))) == 201


def test_requests_without_a_body_need_no_type(whole):
    connect = ports(whole)["connect"]
    assert status(exchange(connect, head("POST", CONNECTOR + "/restart"))) == 204
    assert status(exchange(connect, head("POST", CONNECTOR + "/restart", Content_Length=0))) == 204
    assert status(exchange(connect, head("POST", CONNECTOR + "/restart", Origin="http://evil.example"))) == 403
    assert status(exchange(connect, head("PUT", CONNECTOR + "/pause", Sec_Fetch_Site="same-site"))) == 403
    assert status(exchange(whole.api_port, head("DELETE", "/admin/orders/none", X_Admin_Id="me"))) == 404


BROWSERS = {"a current one": {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, "one that says where it was": {"Referer": "http://a/"},
            "an old one": {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}}


@pytest.mark.parametrize("browser", BROWSERS.values(), ids=BROWSERS.keys())
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_page_uses_credentials_in_an_address(whole, browser, method):
    port = ports(whole)["warehouse"]
    path = "/?user=admin&password=test123&query=SELECT+4711"
    answer = exchange(port, head(method, path, **browser))
    assert status(answer) == 403 and b"4711" not in answer.split(b"\r\n\r\n", 1)[1], answer
    assert b"Code: 497" in answer
    assert status(exchange(port, head(method, path, User_Agent="curl/8.0"))) == 200
    assert status(exchange(port, head(method, path, User_Agent="Grafana/12.0"))) == 200


def test_no_page_uses_the_header_that_a_browser_adds_unasked(whole):
    """Neither one that cors.origins names, nor one of the warehouse's own origin, if it had pages."""
    port = ports(whole)["warehouse"]
    basic = {"Authorization": "Basic " + base64.b64encode(b"admin:test123").decode()}
    whole.clickhouse("CREATE TABLE default.page_target (a UInt8) ENGINE = MergeTree ORDER BY a")
    for page in ({"Origin": f"http://allowed.localhost:{whole.page_port}", "Sec-Fetch-Site": "cross-site"},
                 {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
                 {"Host": "localhost", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors"}):
        host = page.pop("Host", "localhost")
        sent = b"DROP TABLE default.page_target"
        answer = exchange(port, head("POST", "/", host=host, Content_Type="application/sql", Content_Length=len(sent), **page, **basic) + sent)
        assert status(answer) == 403 and b"Code: 497" in answer, (page, answer)
    # A person's own navigation, and programs.
    typed = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for by in (typed, {"User-Agent": "curl/8"}):
        assert status(exchange(port, head("GET", "/?query=EXISTS+default.page_target", **by, **basic))) == 200
    assert whole.clickhouse("EXISTS default.page_target") == [("1",)]


def test_what_clients_of_clickhouse_send_is_served(whole):
    """curl -d, clickhouse-connect, a browser's page that cors.origins names."""
    port = ports(whole)["warehouse"]
    known = {"X-ClickHouse-User": "admin", "X-ClickHouse-Key": "test123"}
    assert status(exchange(port, post("/", "application/x-www-form-urlencoded", b"SELECT 1", **known, User_Agent="curl/8"))) == 200
    assert status(exchange(port, post("/", None, b"SELECT 1", **known))) == 200
    page = {"Origin": f"http://allowed.localhost:{whole.page_port}", "Sec-Fetch-Site": "cross-site", **known}
    for kind, expected in (("text/plain", 415), ("application/x-www-form-urlencoded", 415), (None, 415), ("application/octet-stream", 200)):
        answer = exchange(port, post("/", kind, b"SELECT 1", **page))
        assert status(answer) == expected, (kind, answer)
        assert f"Access-Control-Allow-Origin: {page['Origin']}".encode() in answer
    asked = {"Origin": page["Origin"], "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-clickhouse-user"}
    for server in ("api", "connect", "warehouse"):
        answer = exchange(ports(whole)[server], head("OPTIONS", "/", **asked))
        assert status(answer) == 204 and b"X-ClickHouse-User" in answer and b"Vary: Origin" in answer, answer
        assert b"Allow-Credentials" not in answer and b"Allow-Origin: *" not in answer
        asked_by_other = {**asked, "Origin": "http://evil.example"}
        assert status(exchange(ports(whole)[server], head("OPTIONS", "/", **asked_by_other))) == 403


@pytest.mark.parametrize("server, route", EVERYWHERE)
def test_every_answer_tells_browsers_to_keep_it_to_themselves(whole, server, route):
    answer = exchange(ports(whole)[server], head("GET", route)).split(b"\r\n\r\n")[0].lower()
    for line in (b"x-content-type-options: nosniff", b"cross-origin-resource-policy: same-origin", b"referrer-policy: no-referrer"):
        assert answer.count(line) == 1, answer
    if b"text/html" in answer:
        assert b"content-security-policy: default-src 'none'" in answer and b"x-frame-options: deny" in answer
