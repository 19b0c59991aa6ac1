"""The reader of the whole log finds what is planted in a doctored log, and nothing in a good one."""
import collections
import copy
import dataclasses
import decimal
import zlib

import pytest

import log_check
from log_check import Committed, Event, Findings, Row

PARTITIONS, WINDOW = 2, 4
PRICE = decimal.Decimal("5.0000")
KEYS = [f"order-{number}" for number in range(8)]
CALM = [(0, 100)]  # the first events of the log; what comes later comes while faults strike


def order(key, status):
    return {"orderId": key, "userId": "user-1", "userEmail": "ada@example.com", "totalAmount": decimal.Decimal("10.00"),
            "status": status, "paymentMethod": "CASH", "paymentStatus": "PENDING",
            "items": [{"productId": "prod-1", "productName": "Laptop", "quantity": 2, "price": PRICE}]}


def flat(order):
    return {"user_id": order["userId"], "user_email": order["userEmail"], "order_date": 1767261600,
            "total_amount": order["totalAmount"], "items_count": 2, "status": order["status"],
            "payment_method": order["paymentMethod"], "payment_status": order["paymentStatus"],
            "items": [{"product_id": item["productId"], "product_name": item["productName"], "quantity": item["quantity"],
                       "revenue": item["quantity"] * item["price"]} for item in order["items"]]}


def outbox():
    """Each order is placed; half of them are then paid, and some of those deleted."""
    rows = []

    def commit(key, kind, before, after):
        payload = {"eventType": kind, "version": 1000 + len(rows)}
        payload.update({name: image for name, image in (("before", before), ("after", after)) if image})
        rows.append(Committed(len(rows) + 1, key, kind, payload))

    for key in KEYS:
        commit(key, "OrderCreated", None, order(key, "PENDING"))
    for key in KEYS[::2]:
        commit(key, "OrderStatusChanged", order(key, "PENDING"), order(key, "PAYMENT_CONFIRMED"))
    for key in KEYS[::4]:
        commit(key, "OrderDeleted", order(key, "PAYMENT_CONFIRMED"), None)
    return rows


class Log:
    """A log to be doctored, and what is made of it."""

    def __init__(self):
        self.outbox = outbox()
        self.events = []
        for row in self.outbox:
            self.send(row, epoch=1, time_ms=50 if row.id <= 4 else 200)
        # A crash of the relay: what was not marked comes again from its successor, and something late from itself.
        unmarked = [row for row in self.outbox if self.partition(row.key) == 0][-2:]
        for row in unmarked:
            self.send(row, epoch=2, time_ms=300)
        self.send(unmarked[0], epoch=1, time_ms=200)
        # A crash of the transformer: its last rows come once more.
        self.rows = self.transformed()
        self.rows += [dataclasses.replace(row, offset=row.offset + 2) for row in self.rows if row.partition == 1][-2:]

    @staticmethod
    def partition(key):
        return zlib.crc32(key.encode()) % PARTITIONS

    def send(self, row, epoch, time_ms=200, partition=None):
        partition = self.partition(row.key) if partition is None else partition
        offset = sum(event.partition == partition for event in self.events)
        self.events.append(Event(partition, offset, row.key, row.id, epoch, row.kind, time_ms, copy.deepcopy(row.payload)))

    def transformed(self):
        counting = log_check.check_events(self.outbox, self.in_order(), PARTITIONS, WINDOW, [], Findings(), collections.Counter())
        rows = []
        for partition, events in counting.items():
            for offset, event in enumerate(events):
                image = event.value.get("after") or event.value["before"]
                deleted = event.kind == "OrderDeleted"
                value = {"order_id": event.key, **flat(image), "version": event.value["version"], "is_deleted": int(deleted),
                         "event_type": "DELETED" if deleted else "CREATED" if event.kind == "OrderCreated" else "UPDATED",
                         "event_id": event.id}
                if event.value.get("before"):
                    value["before"] = flat(event.value["before"])
                rows.append(Row(partition, offset, event.key, event.offset, value))
        return rows

    def in_order(self):
        return sorted(self.events, key=lambda event: (event.partition, event.offset))

    def numbered_anew(self, events):
        """With offsets that rise by one again."""
        counts = collections.Counter()
        self.events = []
        for event in events:
            self.events.append(dataclasses.replace(event, offset=counts[event.partition]))
            counts[event.partition] += 1

    def found(self, calm=CALM):
        findings, self.counts = Findings(), collections.Counter()
        counting = log_check.check_events(self.outbox, self.in_order(), PARTITIONS, WINDOW, calm, findings, self.counts)
        log_check.check_rows(counting, sorted(self.rows, key=lambda row: (row.partition, row.offset)), findings, self.counts)
        return findings.lines()

    def last_of(self, partition):
        return [event for event in self.in_order() if event.partition == partition][-1]


def finds(log, words, **more):
    found = log.found(**more)
    assert any(words in difference for difference in found), found


def test_a_good_log_has_no_difference_and_its_repeats_are_counted():
    log = Log()
    assert log.found() == []
    assert log.counts["repeats in order.events"] == 3 and log.counts["of them from a former relay"] == 1
    assert log.counts["repeats in orders_analytics"] == 2
    assert log.counts["longest distance of a repeat"] == 1


def test_it_finds_an_event_that_is_missing():
    log = Log()
    lost = log.events[6]
    log.numbered_anew([event for event in log.events if event.id != lost.id])
    log.rows = log.transformed()
    finds(log, f"missing: event {lost.id} ")


def test_it_finds_events_of_an_order_that_changed_places():
    log = Log()
    key = KEYS[0]
    places = [at for at, event in enumerate(log.events) if event.key == key][:2]
    log.events[places[0]], log.events[places[1]] = log.events[places[1]], log.events[places[0]]
    log.numbered_anew(log.events)
    log.rows = log.transformed()
    finds(log, "out of order at its first appearance")
    finds(log, "counts out of order")


def test_it_finds_a_repeat_outside_of_the_window():
    log = Log()
    first = next(row for row in log.outbox if log.partition(row.key) == 1)
    log.send(first, epoch=3)
    finds(log, f"a repeat outside of the window: event {first.id} ")


def test_it_finds_a_repeat_without_a_fault():
    log = Log()
    finds(log, "a repeat without a fault", calm=[(250, 350)])


def test_it_finds_an_event_that_only_a_former_relay_sent():
    log = Log()
    key = next(key for key in KEYS if log.partition(key) == 0)  # where the second relay was at work
    log.outbox.append(Committed(len(log.outbox) + 1, key, "OrderDeleted",
                                {"eventType": "OrderDeleted", "version": 9000, "before": order(key, "PENDING")}))
    log.send(log.outbox[-1], epoch=1)
    assert log.found() == [f"log: only from a former relay, so it counts nowhere: event {log.outbox[-1].id} of {key}"]


@pytest.mark.parametrize("planted, words", [
    (lambda event: {"id": 999}, "never committed"),
    (lambda event: {"key": next(key for key in KEYS if key != event.key)}, "another content"),
    (lambda event: {"value": {**event.value, "version": 1}}, "another content"),
    (lambda event: {"partition": 1 - event.partition, "offset": 99}, "in the wrong partition"),
])
def test_it_finds_an_event_that_was_changed(planted, words):
    log = Log()
    event = log.events[3]
    log.events[3] = dataclasses.replace(event, **planted(event))
    finds(log, words)


def test_it_finds_a_row_that_is_missing():
    log = Log()
    lost = log.rows.pop(2)
    finds(log, f"no row: of event {lost.value['event_id']} ")


def test_it_finds_a_row_that_counts_though_its_event_does_not():
    log = Log()
    repeat = log.last_of(0)
    row = next(row for row in log.rows if row.value["event_id"] == repeat.id)
    log.rows.append(dataclasses.replace(row, offset=99, input_offset=repeat.offset))
    finds(log, "a row of no event that counts")


def test_it_finds_rows_that_changed_places():
    log = Log()
    first, second = [row for row in log.rows if row.partition == 0][:2]
    log.rows[log.rows.index(first)] = dataclasses.replace(first, offset=second.offset)
    log.rows[log.rows.index(second)] = dataclasses.replace(second, offset=first.offset)
    finds(log, f"no row: of event {first.value['event_id']} ")


@pytest.mark.parametrize("name, value", [("total_amount", decimal.Decimal("11.00")), ("status", "SHIPPED"), ("event_id", 4),
                                         ("is_deleted", 1), ("version", 5)])
def test_it_finds_a_row_that_its_event_does_not_say(name, value):
    log = Log()
    log.rows[0].value[name] = value
    finds(log, "a row that its event does not say")


def test_it_finds_a_row_whose_image_before_is_not_the_row_before():
    log = Log()
    row = next(row for row in log.rows if row.value.get("before"))
    row.value["before"]["total_amount"] = decimal.Decimal("11.00")
    finds(log, "a row that does not follow the one before it")


def of_warehouse(newest):
    return {key: ("DELETED" if row["is_deleted"] else row["status"], row["version"], row["total_amount"])
            for key, row in newest.items()}


@pytest.mark.parametrize("planted, words", [
    (lambda table: table.pop(KEYS[1]), "the warehouse differs"),
    (lambda table: table.update({KEYS[1]: ("PENDING", 1, decimal.Decimal("10.00"))}), "the warehouse differs"),
    (lambda table: table.update({"other": ("PENDING", 1, decimal.Decimal("10.00"))}), "in no row of the log"),
])
def test_it_finds_where_the_warehouse_differs_from_the_log(planted, words):
    newest = log_check.last_of_each(Log().rows)
    table = of_warehouse(newest)
    findings = Findings()
    log_check.check_warehouse(newest, table, set(), findings)
    assert findings.lines() == []
    planted(table)
    log_check.check_warehouse(newest, table, set(), findings)
    assert any(words in difference for difference in findings.lines())


def test_what_was_purged_may_be_absent_from_the_warehouse():
    newest = log_check.last_of_each(Log().rows)
    table = of_warehouse(newest)
    gone = {key for key, (state, _, _) in table.items() if state == "DELETED"}
    findings = Findings()
    log_check.check_warehouse(newest, {key: row for key, row in table.items() if key not in gone}, gone, findings)
    assert gone and findings.lines() == []


def test_it_finds_a_view_that_counts_an_event_twice():
    views = log_check.views_of_log(log_check.last_of_each(Log().rows))
    assert views["user_analytics_mv"][("user-1", "ada@example.com", "2026-01-01")][0] == len(KEYS) - len(KEYS[::4])
    twice = copy.deepcopy(views)
    for day, (count, total, average, customers) in twice["daily_sales_mv"].items():
        twice["daily_sales_mv"][day] = (count + 1, total + 10, average, customers)
    findings = Findings()
    log_check.check_views(views, views, findings)
    assert findings.lines() == []
    log_check.check_views(views, twice, findings)
    assert "daily_sales_mv" in findings.lines()[0]


def test_it_finds_what_was_acknowledged_and_is_not_in_the_log():
    log = Log()
    newest = log_check.last_of_each(log.rows)
    findings = Findings()
    log_check.check_acknowledged({KEYS[0]: {"DELETED"}, KEYS[1]: {"PENDING"}}, newest, log.outbox, findings)
    assert findings.lines() == []
    log_check.check_acknowledged({KEYS[1]: {"DELETED"}, "order-x": {"PENDING"}}, newest, log.outbox, findings)
    assert len(findings.lines()) == 2
