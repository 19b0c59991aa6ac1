"""Spans of sampled traces, by OTLP/HTTP to a small receiver: from the request to the row's being visible in the warehouse."""
import collections
import http.client
import http.server
import json
import secrets
import threading

import pytest

from system import ask, free_port, order_body, wait_until
from test_metrics import samples
from test_roles import roles

SENT, DROPPED = "millrace_otlp_spans_sent_total", "millrace_otlp_spans_dropped_total"
STAGES = ["POST /api/orders", "order transaction", "relay", "transform", "sink"]
SERVER_KIND = 2  # opentelemetry-proto, trace/v1/trace.proto, Span.SpanKind

Span = collections.namedtuple("Span", "name trace id parent kind start end attributes resource failed")


def values(attributes):
    return {each["key"]: next(iter(each["value"].values())) for each in attributes}


class Receiver:
    """Takes POST /v1/traces on one port, and can be away."""

    def __init__(self):
        self.port = free_port()
        self.lock = threading.Lock()
        self.spans = []
        self.server = None

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/json")
                receiver.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def take(self, request):
        taken = []
        for resource in request["resourceSpans"]:
            about = values(resource["resource"]["attributes"])
            for scope in resource["scopeSpans"]:
                assert scope["scope"]["name"] == "millrace"
                taken += [Span(each["name"], each["traceId"], each["spanId"], each.get("parentSpanId"), each["kind"],
                               int(each["startTimeUnixNano"]), int(each["endTimeUnixNano"]), values(each["attributes"]), about,
                               each.get("status", {}).get("code") == 2) for each in scope["spans"]]
        with self.lock:
            self.spans += taken

    def of(self, trace):
        """name -> span."""
        with self.lock:
            spans = [span for span in self.spans if span.trace == trace]
        by_name = {span.name: span for span in spans}
        assert len(by_name) == len(spans), spans
        return by_name

    def traces(self):
        with self.lock:
            return {span.trace for span in self.spans}


@pytest.fixture
def receiver():
    made = Receiver()
    try:
        yield made
    finally:
        made.stop()


def client_span(flags="01"):
    """(trace id, span id, traceparent) of a client."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, f"00-{trace}-{span}-{flags}"


def post_order(millrace, traceparent):
    answer = millrace.http("POST", "/api/orders", order_body(), {"traceparent": traceparent} if traceparent else {})
    assert answer.status == 201, answer.body
    return answer.json["id"]


def event_of(millrace, order):
    return json.loads(millrace.mysql("SELECT payload FROM outbox WHERE aggregate_id = %s", order)[0][0])


def complete_trace(receiver, trace, client):
    """The spans of an order's trace, once they are all there: the request's below the client's, all others below that."""
    wait_until(lambda: len(receiver.of(trace)) >= len(STAGES), f"the spans of trace {trace}")
    spans = receiver.of(trace)
    assert sorted(spans) == sorted(STAGES), spans
    request = spans[STAGES[0]]
    assert (request.parent, request.kind) == (client, SERVER_KIND)
    assert {spans[name].parent for name in STAGES[1:]} == {request.id}
    assert len({span.id for span in spans.values()}) == len(STAGES)
    assert all(span.start <= span.end and not span.failed for span in spans.values()), spans
    assert all(span.resource["service.name"] == "millrace" and span.resource["service.version"] for span in spans.values())
    return spans


def test_one_order_is_one_trace_from_the_request_to_the_warehouse(make, receiver):
    receiver.start()
    millrace = make(**{"otlp.endpoint": receiver.endpoint}).start()
    untraced = post_order(millrace, None)
    unsampled_context = client_span(flags="00")
    unsampled = post_order(millrace, unsampled_context[2])
    trace, client, traceparent = client_span()
    order = post_order(millrace, traceparent)

    spans = complete_trace(receiver, trace, client)
    request = spans["POST /api/orders"]
    assert request.attributes["http.route"] == "/api/orders"
    assert request.attributes["http.response.status_code"] == "201"
    assert all(spans[name].attributes["millrace.order.id"] == order for name in STAGES[1:])
    assert spans["relay"].attributes["messaging.destination.name"] == "order.events"
    assert spans["transform"].attributes["millrace.event.id"] == spans["relay"].attributes["millrace.event.id"]
    assert {span.resource["millrace.role"] for span in spans.values()} == {"up"}
    assert len({span.resource["service.instance.id"] for span in spans.values()}) == 1
    # Each stage begins after the one before it; events carry milliseconds, the others are finer.
    starts = [spans[name].start // 1_000_000 for name in STAGES[1:]]
    assert starts == sorted(starts), starts
    assert millrace.warehouse_order(order), "the sink's span ends when the row is visible"

    # What the request did not want to be recorded is not, and is passed on as it was.
    wait_until(lambda: millrace.warehouse_order(untraced) and millrace.warehouse_order(unsampled), "the others are loaded, too")
    assert event_of(millrace, order)["traceparent"] == f"00-{trace}-{request.id}-01"
    assert event_of(millrace, unsampled)["traceparent"] == unsampled_context[2]
    assert "traceparent" not in event_of(millrace, untraced)
    assert receiver.traces() == {trace}

    failed = client_span()
    assert millrace.http("GET", "/api/orders/none", headers={"traceparent": failed[2]}).status == 404
    wait_until(lambda: receiver.of(failed[0]), "the span of a request that fails")
    span = receiver.of(failed[0])["GET /api/orders/{id}"]
    assert (span.attributes["http.response.status_code"], span.failed) == ("404", False)
    wait_until(lambda: samples(millrace)[SENT] == len(STAGES) + 1, "what was sent is counted")
    assert samples(millrace)[DROPPED] == 0

    # What is recorded until the end is sent before it.
    last = client_span()
    millrace.http("GET", "/healthz", headers={"traceparent": last[2]})
    millrace.stop()
    assert "GET /healthz" in receiver.of(last[0])


def test_orders_are_taken_while_the_receiver_is_away_and_spans_come_again_when_it_is_back(make, receiver):
    millrace = make(**{"otlp.endpoint": receiver.endpoint}).start()
    order = post_order(millrace, client_span()[2])
    wait_until(lambda: millrace.warehouse_order(order), "an order is loaded without the receiver")

    connection = http.client.HTTPConnection("127.0.0.1", millrace.api_port, timeout=60)

    def has_dropped():
        for _ in range(500):
            connection.request("GET", "/healthz", headers={"traceparent": client_span()[2]})
            assert connection.getresponse().read()
        return samples(millrace)[DROPPED] > 0
    wait_until(has_dropped, "there is no room for more spans, and the rest is counted", pause=0)
    connection.close()
    assert samples(millrace)[SENT] == 0
    order = post_order(millrace, client_span()[2])
    wait_until(lambda: millrace.warehouse_order(order), "orders are loaded as before")

    receiver.start()
    wait_until(lambda: samples(millrace)[SENT] >= 4_096, "those that waited are sent")
    trace, client, traceparent = client_span()
    post_order(millrace, traceparent)
    complete_trace(receiver, trace, client)
    said = [line for line in millrace.log_file().read_text().splitlines() if " otlp: " in line]
    assert len(said) == 2 and receiver.endpoint in said[0] and "takes spans again" in said[1], said
    millrace.verify()


def test_an_endpoint_that_is_none_is_refused_at_the_start(make):
    for wrong in ("localhost:4318", "ftp://localhost", "http://user:hidden@localhost:4318", "http://localhost:4318/?a=b"):
        done = make(**{"otlp.endpoint": wrong}).run("up")
        assert done.code != 0 and "otlp.endpoint" in done.complaint() and "hidden" not in done.err, done


def test_each_role_sends_the_spans_of_its_stage(roles, receiver):
    receiver.start()
    millrace = roles.millrace
    millrace.settings["otlp.endpoint"] = receiver.endpoint
    roles.start()
    trace, client, traceparent = client_span()
    order = post_order(millrace, traceparent)
    spans = complete_trace(receiver, trace, client)
    assert {name: spans[name].resource["millrace.role"] for name in STAGES} == {
        "POST /api/orders": "api", "order transaction": "api", "relay": "relay", "transform": "transform", "sink": "sink"}
    assert len({span.resource["service.instance.id"] for span in spans.values()}) == 4
    assert millrace.warehouse_order(order)
    assert ask(millrace.api_port, "GET", "/healthz").status == 200
