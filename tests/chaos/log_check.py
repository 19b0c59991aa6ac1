"""An independent reader of the whole log: what the topics hold, against what was committed and what the warehouse says.

Nothing of the product is used here: the topics are read by Kafka's own client for Python, and the rules are written down again from
schema/events and docs/specs. The rules are pure functions of plain values, so that a test can plant a difference and see it found.
"""
import collections
import dataclasses
import datetime
import decimal
import json
import time
import zlib

from confluent_kafka import Consumer, KafkaException, TopicPartition

from system import Sale, expected_views

EVENTS, ROWS = "order.events", "orders_analytics"
DEAD_LETTERS = ("order.events-dlq", "orders_analytics-dlq")
READ_SECONDS = 60  # without a record
AT_A_TIME = 5_000
ASK_SECONDS = 20
SHOWN = 10  # differences of one kind; the others are counted
IMAGE = ("user_id", "user_email", "order_date", "total_amount", "items_count", "status", "payment_method", "payment_status", "items")


@dataclasses.dataclass(frozen=True)
class Committed:
    """A row of the outbox."""
    id: int
    key: str
    kind: str
    payload: dict


@dataclasses.dataclass(frozen=True)
class Event:
    """A record of order.events."""
    partition: int
    offset: int
    key: str
    id: int
    epoch: int
    kind: str
    time_ms: int  # when the relay took it up
    value: dict


@dataclasses.dataclass(frozen=True)
class Row:
    """A record of orders_analytics."""
    partition: int
    offset: int
    key: str
    input_offset: int
    value: dict


class Findings:
    """Differences, of each kind the first few in full."""

    def __init__(self):
        self.kinds = {}

    def add(self, kind, text):
        self.kinds.setdefault(kind, []).append(text)

    def lines(self):
        found = []
        for kind, texts in self.kinds.items():
            found += [f"log: {kind}: {text}" for text in texts[:SHOWN]]
            if len(texts) > SHOWN:
                found.append(f"log: {kind}: {len(texts) - SHOWN} more")
        return found


# Reading

def document(text):
    return json.loads(text, parse_float=decimal.Decimal)


def read_topic(brokers, topic):
    """All records of a topic, partition by partition, as the client gives them."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "log-check", "enable.auto.commit": False,
                         "auto.offset.reset": "error", "check.crcs": True, "log_level": 0})
    records = []
    try:
        about = consumer.list_topics(topic, ASK_SECONDS).topics[topic]
        if about.error is not None:
            raise KafkaException(about.error)
        ends = {}
        for partition in about.partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), ASK_SECONDS)
            if low != 0:
                raise AssertionError(f"{topic}/{partition} begins at {low}: records were removed, so not all can be checked")
            if high > low:
                ends[partition] = high
        consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
        deadline = time.monotonic() + READ_SECONDS
        while ends:
            some = consumer.consume(AT_A_TIME, 0.2)  # it waits for all of them, or for so long
            if some:
                deadline = time.monotonic() + READ_SECONDS
            assert time.monotonic() < deadline, f"{topic}: nothing came within {READ_SECONDS} s; still to come: {ends}"
            for record in some:
                if record.error() is not None:
                    raise KafkaException(record.error())
                records.append(record)
                if record.offset() + 1 >= ends.get(record.partition(), 0):
                    ends.pop(record.partition(), None)
    finally:
        consumer.close()
    return sorted(records, key=lambda record: (record.partition(), record.offset())), len(about.partitions)


def header(record, name):
    found = [value for key, value in record.headers() or [] if key == name]
    assert len(found) == 1, f"{record.topic()}/{record.partition()} offset {record.offset()}: {len(found)} headers '{name}'"
    return found[0].decode()


def read_events(brokers, topic=EVENTS):
    records, partitions = read_topic(brokers, topic)
    return [Event(r.partition(), r.offset(), r.key().decode(), int(header(r, "event-id")), int(header(r, "epoch")),
                  header(r, "event-type"), r.timestamp()[1], document(r.value())) for r in records], partitions


def read_rows(brokers):
    records, _ = read_topic(brokers, ROWS)
    return [Row(r.partition(), r.offset(), r.key().decode(), int(header(r, "input-offset")), document(r.value()))
            for r in records]


def read_outbox(millrace):
    """Every row that was ever committed: the relay must keep the processed ones for longer than the run."""
    rows = millrace.mysql("SELECT id, aggregate_id, aggregate_type, event_type, payload FROM outbox ORDER BY id")
    assert all(kind == "Order" for _, _, kind, _, _ in rows), "the outbox has events that are no order's"
    return [Committed(id, key, kind, document(payload)) for id, key, _, kind, payload in rows]


# The rules

def check_events(outbox, events, partitions, window, calm, findings, counts):
    """order.events against the outbox. Returns the events that count, by partition, in order: of each id the first record that is not
    a former relay's. `calm`: stretches of time (ms) without a fault, in which the relay may send nothing again."""
    committed = {row.id: row for row in outbox}
    highest = collections.Counter()  # epoch, by partition
    recent = collections.defaultdict(collections.OrderedDict)  # partition -> id -> epoch, by their last record
    counting = collections.defaultdict(list)
    seen, first_of_key, counted_of_key = set(), {}, {}
    counts["events"] = len(events)
    for event in events:
        where = f"event {event.id} of {event.key} at {event.partition}/{event.offset}"
        row = committed.get(event.id)
        if row is None:
            findings.add("never committed", where)
            continue
        if (event.key, event.kind) != (row.key, row.kind) or event.value != row.payload:
            findings.add("another content than was committed", where)
        if event.partition != zlib.crc32(event.key.encode()) % partitions:
            findings.add("in the wrong partition", where)
        if event.id in seen:
            counts["repeats in order.events"] += 1
            if any(begin <= event.time_ms < end for begin, end in calm):
                findings.add("a repeat without a fault", where)
        else:
            if first_of_key.get(event.key, 0) > event.id:
                findings.add("out of order at its first appearance", f"{where}, after {first_of_key[event.key]}")
            first_of_key[event.key] = max(first_of_key.get(event.key, 0), event.id)
        seen.add(event.id)

        if event.epoch < highest[event.partition]:
            counts["of them from a former relay"] += 1
            continue
        highest[event.partition] = event.epoch
        ids = recent[event.partition]
        if event.id in ids:
            distance = 0
            for distance, other in enumerate(reversed(ids)):
                if other == event.id:
                    break
            if distance >= window:
                findings.add("a repeat outside of the window", f"{where}: {distance} other events since it came last")
            counts["longest distance of a repeat"] = max(counts["longest distance of a repeat"], distance)
            counts["of them under the same epoch"] += ids[event.id] == event.epoch
            ids.move_to_end(event.id)
        else:
            if counted_of_key.get(event.key, 0) > event.id:
                findings.add("counts out of order", f"{where}, after {counted_of_key[event.key]}")
            counted_of_key[event.key] = event.id
            counting[event.partition].append(event)
        ids[event.id] = event.epoch
    counted = {event.id for partition in counting.values() for event in partition}
    for row in outbox:
        if row.id not in seen:
            findings.add("missing", f"event {row.id} ({row.kind}) of {row.key}")
        elif row.id not in counted:
            findings.add("only from a former relay, so it counts nowhere", f"event {row.id} of {row.key}")
    counts["events committed"] = len(outbox)
    counts["take-overs of a relay"] = max((event.epoch for event in events), default=0)
    return counting


def check_rows(counting, rows, findings, counts):
    """orders_analytics against the events that count. Returns the rows that count, in order."""
    counts["rows"] = len(rows)
    reached = collections.defaultdict(lambda: -1)
    kept = collections.defaultdict(list)
    for row in rows:
        if row.input_offset <= reached[row.partition]:
            counts["repeats in orders_analytics"] += 1
            continue
        reached[row.partition] = row.input_offset
        kept[row.partition].append(row)
    last = {}  # by order
    for partition in sorted(counting.keys() | kept.keys()):
        wanted = {event.offset: event for event in counting.get(partition, ())}
        for row in kept.get(partition, ()):
            where = f"{row.key} at {row.partition}/{row.offset}, made of offset {row.input_offset}"
            event = wanted.pop(row.input_offset, None)
            if event is None:
                findings.add("a row of no event that counts", where)
                continue
            if row.key != event.key or row.value["event_id"] != event.id or not same(row.value, event.value):
                findings.add("a row that its event does not say", where)
            before = last.get(row.key)
            if before is None and row.value.get("before") is not None:
                findings.add("a first row with an image before it", where)
            if before is not None and (row.value["version"] <= before["version"] or
                                       image(row.value.get("before") or {}) != image(before)):
                findings.add("a row that does not follow the one before it", where)
            last[row.key] = row.value
        for event in wanted.values():
            findings.add("no row", f"of event {event.id} of {event.key} at {partition}/{event.offset}")
    return [row for partition in sorted(kept) for row in kept[partition]]


def same(row, event):
    """Whether the row is what the event says, by the two schemas."""
    order = event.get("after") or event["before"]
    kind = {"OrderCreated": "CREATED", "OrderDeleted": "DELETED"}.get(event["eventType"], "UPDATED")
    return (row["order_id"], row["user_id"], row["user_email"], row["total_amount"], row["status"], row["payment_method"],
            row["payment_status"], row["version"], row["event_type"], row["is_deleted"], lines_of(row)) == (
        order["orderId"], order["userId"], order["userEmail"], order["totalAmount"], order["status"], order["paymentMethod"],
        order["paymentStatus"], event["version"], kind, int(kind == "DELETED"),
        [(item["productId"], item["productName"], item["quantity"], item["quantity"] * item["price"]) for item in order["items"]])


def lines_of(row):
    return [(item["product_id"], item["product_name"], item["quantity"], item["revenue"]) for item in row["items"]]


def image(row):
    return {name: row.get(name) for name in IMAGE}


def last_of_each(rows):
    """Order -> its newest row, of those that count."""
    newest = {}
    for row in rows:
        if row.key not in newest or row.value["version"] > newest[row.key]["version"]:
            newest[row.key] = row.value
    return newest


def check_warehouse(newest, warehouse, may_be_gone, findings):
    """`warehouse`: order -> (state, version, total), each order once."""
    for key in warehouse.keys() - newest.keys():
        findings.add("in the warehouse, and in no row of the log", key)
    for key, row in newest.items():
        wanted = ("DELETED" if row["is_deleted"] else row["status"], row["version"], row["total_amount"])
        if key not in warehouse and key in may_be_gone:
            continue
        if warehouse.get(key) != wanted:
            findings.add("the warehouse differs from the log", f"{key} is {warehouse.get(key)}, the log says {wanted}")


def views_of_log(newest):
    """The five views, summed anew from the rows of the log."""
    def sale(row):
        made = datetime.datetime.fromtimestamp(row["order_date"], datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
        return Sale(row["user_id"], row["user_email"], made, row["status"], row["total_amount"],
                    [(product, name, quantity, revenue / quantity) for product, name, quantity, revenue in lines_of(row)])
    return expected_views(sale(row) for row in newest.values() if not row["is_deleted"])


def check_views(wanted, have, findings):
    for name, rows in wanted.items():
        for key in sorted(rows.keys() | have[name].keys()):
            if rows.get(key) != have[name].get(key):
                findings.add("a view counts otherwise than the log", f"{name}: {key} is {have[name].get(key)}, the log says {rows.get(key)}")


def check_acknowledged(states, newest, outbox, findings):
    """`states`: order -> the states that it may be in, as the load knows them."""
    known = {row.key for row in outbox}
    for key, may_be in states.items():
        row = newest.get(key)
        state = row and ("DELETED" if row["is_deleted"] else row["status"])
        if state not in may_be or key not in known:
            findings.add("acknowledged, and not in the log", f"{key} as {sorted(may_be)}; the log says {state}")


def check_all(brokers, millrace, window, calm, states, warehouse, may_be_gone):
    """Reads everything and applies every rule; for a system at rest. Returns the differences, and counts of what was read."""
    findings, counts = Findings(), collections.Counter()
    events, partitions = read_events(brokers)
    rows = read_rows(brokers)
    outbox = read_outbox(millrace)
    for topic in DEAD_LETTERS:
        for record in read_topic(brokers, topic)[0]:
            findings.add("a dead letter", f"{topic}/{record.partition()} offset {record.offset()}")
    counting = check_events(outbox, events, partitions, window, calm, findings, counts)
    newest = last_of_each(check_rows(counting, rows, findings, counts))
    check_acknowledged(states, newest, outbox, findings)
    check_warehouse(newest, {id: (row.state, row.version, row.total) for id, row in warehouse.items()}, may_be_gone, findings)
    check_views(views_of_log(newest), millrace.views(), findings)
    return findings.lines(), counts
