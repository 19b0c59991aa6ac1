"""Whatever is wrong with a request, the answer says so and nothing is written."""
import json
import socket

import pytest

from system import order_body

ORDER = order_body()


def changed(**members):
    return {**ORDER, **members}


def item(**members):
    return changed(items=[{"productId": "prod-1", "quantity": 1, **members}])


@pytest.fixture(scope="module", autouse=True)
def an_order(millrace):
    """Something that a bad request could spoil."""
    return millrace.order("user-1", [("prod-1", 2), ("prod-2", 1)])["id"]


@pytest.fixture(autouse=True)
def nothing_written(millrace):
    before = millrace.written()
    yield
    assert millrace.written() == before
    assert millrace.process.poll() is None


BAD_ORDERS = {
    "no body": (b"", 400, "empty"),
    "half a document": (b'{"userId": "user-1", "items": [{"productId"', 400, "JSON"),
    "a trailing comma": (b'{"userId": "user-1",}', 400, "JSON"),
    "two documents": (json.dumps(ORDER).encode() * 2, 400, "JSON"),
    "not an object": ([ORDER], 400, "object"),
    "bytes that are not UTF-8": (json.dumps(ORDER).encode().replace(b"user-1", b"user-\xff"), 400, "JSON at byte 17"),
    "a cut UTF-8 sequence": (json.dumps(ORDER).encode().replace(b"user-1", b"user-\xc3"), 400, "JSON at byte 17"),
    "half a surrogate pair": (b'{"userId": "\\ud800", "items": [{"productId": "prod-1", "quantity": 1}]}', 400, ""),
    "a zero byte in an id": (changed(userId="user\0-1"), 400, "userId"),
    "very deep nesting": (b"[" * 100_000, 400, ""),
    "no user": ({"items": ORDER["items"]}, 400, "userId"),
    "a number as the user": (changed(userId=1), 400, "userId"),
    "an empty user": (changed(userId=""), 400, "userId"),
    "a user id that is too long": (changed(userId="u" * 37), 400, "userId"),
    "an unknown user": (changed(userId="user-999"), 404, "user-999"),
    "another case of a user's id": (changed(userId="USER-1"), 404, "USER-1"),
    "no items": ({"userId": "user-1"}, 400, "items"),
    "empty items": (changed(items=[]), 400, "items"),
    "items that are no list": (changed(items={"productId": "prod-1"}), 400, "items"),
    "an item that is a text": (changed(items=["prod-1"]), 400, "items[0]"),
    "too many items": (changed(items=[{"productId": "prod-1", "quantity": 1}] * 2_001), 400, "items"),
    "an unknown product": (item(productId="prod-999"), 404, "prod-999"),
    "an unknown product behind a known one": (
        changed(items=[{"productId": "prod-1", "quantity": 1}, {"productId": "prod-x", "quantity": 1}]), 404, "prod-x"),
    "no product": (changed(items=[{"quantity": 1}]), 400, "productId"),
    "quantity 0": (item(quantity=0), 400, "quantity"),
    "a negative quantity": (item(quantity=-1), 400, "quantity"),
    "a huge quantity": (item(quantity=10**15), 400, "quantity"),
    "a quantity beyond 64 bits": (item(quantity=10**30), 400, "quantity"),
    "half a piece": (item(quantity=1.5), 400, "quantity"),
    "a quantity in quotes": (item(quantity="1"), 400, "quantity"),
    "a true quantity": (item(quantity=True), 400, "quantity"),
    "more than there is": (item(quantity=1_000), 409, "prod-1"),
    "more than there is, in two lines": (
        changed(items=[{"productId": "prod-1", "quantity": 60}, {"productId": "prod-1", "quantity": 60}]), 409, "prod-1"),
    "enough of one, not of the other": (
        changed(items=[{"productId": "prod-2", "quantity": 1}, {"productId": "prod-1", "quantity": 500}]), 409, "prod-1"),
    "a price of the client's own": (item(price=1), 400, "1299.99"),
    "a negative price": (item(price=-1299.99), 400, "price"),
    "a price with five decimals": (item(price=1299.98765), 400, "price"),
    "a wrong total": (changed(totalAmount=1), 400, "1299.99"),
    "a total that is a text": (changed(totalAmount="1299.99"), 400, "totalAmount"),
    "an unknown status": (changed(status="LOST"), 400, "status"),
    "a status that is a number": (changed(status=3), 400, "status"),
    "an unknown payment method": (changed(paymentMethod="SHELLS"), 400, "paymentMethod"),
    "an address that is too long": (changed(shippingAddress="x" * 2_000), 400, "shippingAddress"),
}


@pytest.mark.parametrize("body, status, says", BAD_ORDERS.values(), ids=BAD_ORDERS.keys())
def test_a_bad_order_is_refused(millrace, body, status, says):
    answer = millrace.http("POST", "/api/orders", body)
    assert answer.status == status, answer.body
    assert says in answer.problem()


BAD_REQUESTS = {
    "an unknown route": ("GET", "/api/nothing", None, {}, 404),
    "an unknown route that is long and not ASCII": ("GET", "/api/nothing/" + "%C3%A4" * 150, None, {}, 404),
    "an unknown route outside of /api": ("GET", "/etc/passwd", None, {}, 404),
    "a way out of the folder": ("GET", "/console/../../etc/passwd", None, {}, 404),
    "an unknown order": ("GET", "/api/orders/nothing", None, {}, 404),
    "an order's id that is no id": ("GET", "/api/orders/' OR '1'='1".replace(" ", "%20"), None, {}, 404),
    "an order's id that is too long": ("GET", "/api/orders/" + "x" * 100, None, {}, 400),
    "an unknown product": ("GET", "/api/products/nothing", None, {}, 404),
    "an unknown user": ("GET", "/api/users/nothing", None, {}, 404),
    "an unknown e-mail address": ("GET", "/api/users/email/nobody@example.com", None, {}, 404),
    "the stock of an unknown product": ("GET", "/api/inventory/nothing", None, {}, 404),
    "the payments of an unknown order": ("GET", "/api/payments/nothing", None, {}, 404),
    "a wrong method on orders": ("PUT", "/api/orders", {}, {}, 405),
    "a wrong method on an order": ("PATCH", "/api/orders/x", {}, {}, 405),
    "a wrong method on a figure": ("POST", "/api/analytics/stats", {}, {}, 405),
    "a method that nobody knows": ("BREW", "/api/orders", None, {}, (405, 501)),
    "bad percent-encoding": ("GET", "/api/orders/%zz", None, {}, 400),
    "half a percent-encoding": ("GET", "/api/orders/%4", None, {}, 400),
    "percent-encoded bytes that are not UTF-8": ("GET", "/api/orders/%ff%fe", None, {}, 400),
    "a percent-encoded zero byte": ("GET", "/api/orders/a%00b", None, {}, 400),
    "a day that is none": ("GET", "/api/analytics/daily-sales?startDate=2026-02-30", None, {}, 400),
    "days in the wrong order": ("GET", "/api/analytics/daily-sales?startDate=2026-02-02&endDate=2026-02-01", None, {}, 400),
    "a limit that is no number": ("GET", "/api/analytics/hourly-sales?limit=many", None, {}, 400),
    "a negative limit": ("GET", "/api/analytics/order-status?limit=-1", None, {}, 400),
    "a payment for an unknown order": ("POST", "/api/payments", {"orderId": "nothing"}, {}, 404),
    "a payment without an order": ("POST", "/api/payments", {}, {}, 400),
    "stock of an unknown product": ("PATCH", "/api/inventory/nothing", {"quantity": 1}, {}, 404),
    "negative stock": ("PATCH", "/api/inventory/prod-1", {"quantity": -1}, {}, 400),
    "deleting nothing": ("DELETE", "/admin/orders/nothing", None, {"X-Admin-Id": "me"}, 404),
    "an admin id that is blank": ("DELETE", "/admin/orders/nothing", None, {"X-Admin-Id": "  "}, 400),
    "an admin id that is too long": ("DELETE", "/admin/orders/nothing", None, {"X-Admin-Id": "x" * 101}, 400),
    "a compressed body": ("POST", "/api/orders", b"\x1f\x8b", {"Content-Encoding": "gzip"}, 415),
    "a header that is too large": ("GET", "/api/products", None, {"X-Large": "x" * 100_000}, 431),
    "a request line that is too long": ("GET", "/api/products?x=" + "x" * 100_000, None, {}, 414),
}


@pytest.mark.parametrize("method, path, body, headers, status", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_a_bad_request_is_refused(millrace, method, path, body, headers, status):
    answer = millrace.http(method, path, body, headers)
    assert answer.status in (status if isinstance(status, tuple) else (status,)), (answer.status, answer.body)
    assert answer.problem()
    if answer.status == 405:
        assert answer.headers["allow"]


def test_paying_with_the_wrong_amount_or_method_is_refused(millrace, an_order):
    amount = millrace.http("POST", "/api/payments", {"orderId": an_order, "amount": 0.01})
    method = millrace.http("POST", "/api/payments", {"orderId": an_order, "method": "CASH"})
    assert amount.status == 400 and "amount" in amount.problem()
    assert method.status == 409 and "CREDIT_CARD" in method.problem()


def raw(millrace, data, finish=False):
    """Whatever comes back for these bytes, until the server closes."""
    with socket.create_connection(("127.0.0.1", millrace.api_port), timeout=60) as connection:
        try:
            connection.sendall(data)
            if finish:
                connection.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass  # it closed before it had read all, which is its right
        got = b""
        try:
            while chunk := connection.recv(65_536):
                got += chunk
        except ConnectionError:
            pass
        return got


def test_a_body_that_is_backfilled_too_large_is_refused_before_it_is_sent(millrace):
    got = raw(millrace, b"POST /api/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n{")
    assert got.startswith(b"HTTP/1.1 413 "), got[:200]
    assert b"application/problem+json" in got


def test_a_chunked_body_that_grows_too_large_is_refused(millrace):
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    got = raw(millrace, b"POST /api/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
              chunk * 40 + b"0\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 413 "), got[:200]


def test_a_large_body_that_is_allowed_is_read_to_its_end(millrace):
    answer = millrace.http("POST", "/api/orders", b" " * 1_000_000 + json.dumps(changed(userId="user-999")).encode())
    assert answer.status == 404, answer.body


def test_a_body_that_breaks_off_makes_no_order(millrace):
    whole = json.dumps(ORDER).encode()
    got = raw(millrace, b"POST /api/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (len(whole) + 1) + whole, finish=True)
    assert b" 201 " not in got


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r\n\r\n\r\n", b"GET\r\n\r\n",
                                  b"GET / HTTP/9.9\r\n\r\n", b"\0" * 1_000], ids=["TLS", "blank lines", "no path", "no version", "zeros"])
def test_what_is_not_http_is_answered_or_cut_off(millrace, data):
    got = raw(millrace, data, finish=True)
    assert not got or got.startswith(b"HTTP/1.1 4") or got.startswith(b"HTTP/1.1 5"), got[:200]
    assert millrace.http("GET", "/healthz").status == 200
