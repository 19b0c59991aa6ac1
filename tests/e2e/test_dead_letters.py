"""Events that nobody can read, the rest that flows on, and what `millrace dlq` makes of them."""
import json
import os
import signal
import time

import pytest

from system import wait_until


def place_with_damaged_event(millrace, user="user-1", items=(("prod-2", 1),)):
    """An order whose OrderCreated event gets a type that nobody knows, by a trigger on the outbox."""
    millrace.mysql("CREATE TRIGGER damage BEFORE INSERT ON outbox FOR EACH ROW "
                   "SET NEW.payload = JSON_SET(NEW.payload, '$.eventType', 'OrderMade')")
    try:
        return millrace.order(user, items)["id"]
    finally:
        millrace.mysql("DROP TRIGGER damage")


def listed(millrace, *words):
    done = millrace.run("dlq", "list", "--json", *words)
    assert done.code == 0, done.err
    return json.loads(done.out)["letters"]


def letter_of(millrace, order):
    """The open letter of an order, once it is there."""
    def there():
        return [letter for letter in listed(millrace) if letter["key"] == order]
    letters = wait_until(there, "the dead letter is listed")
    assert len(letters) == 1, letters
    return letters[0]


def value_of(millrace, letter_id):
    shown = millrace.run("dlq", "show", letter_id)
    assert shown.code == 0, shown.err
    return shown.out.split("value:\n", 1)[1]


def corrected(millrace, letter_id):
    file = millrace.home / "corrected.json"
    file.write_text(value_of(millrace, letter_id).replace("OrderMade", "OrderCreated"))
    return file


def is_loaded(millrace, order):
    return lambda: millrace.warehouse_order(order) is not None


def test_a_damaged_event_is_put_aside_and_the_rest_of_its_order_flows_on(millrace):
    order = place_with_damaged_event(millrace)
    letter = letter_of(millrace, order)
    assert (letter["state"], letter["topic"], letter["missing"]) == ("open", "order.events", "all")
    assert letter["id"] == f"order.events/{letter['partition']}/{letter['offset']}"
    assert "OrderMade" in letter["reason"]

    assert millrace.http("POST", "/api/payments", {"orderId": order}).status == 201
    wait_until(lambda: millrace.warehouse_order(order) == ("PAYMENT_CONFIRMED", "0", "UPDATED"), "its payment is loaded")
    other = millrace.order("user-2", [("prod-3", 1)])["id"]
    wait_until(is_loaded(millrace, other), "other orders are loaded")

    file = corrected(millrace, letter["id"])
    replayed = millrace.run("dlq", "replay", letter["id"], "--value", file)
    assert (replayed.code, replayed.err) == (0, "")
    assert f"{letter['id']} replayed as event" in replayed.out
    millrace.verify()
    assert order not in [one["key"] for one in listed(millrace)]


def test_a_letter_is_replayed_once_however_often_it_is_asked_for(millrace):
    order = place_with_damaged_event(millrace, "user-3")
    letter = letter_of(millrace, order)
    file = corrected(millrace, letter["id"])
    assert millrace.run("dlq", "replay", letter["id"], "--value", file).code == 0
    again = millrace.run("dlq", "replay", letter["id"], "--value", file)
    assert again.code == 4
    assert f"{letter['id']} was already replayed by" in again.complaint()
    assert millrace.run("dlq", "drop", letter["id"], "--reason", "too late").code == 4
    millrace.verify()
    handled = [one for one in listed(millrace, "--all") if one["id"] == letter["id"]]
    assert [one["state"] for one in handled] == ["replayed"]
    events = millrace.mysql("SELECT COUNT(*) FROM outbox WHERE aggregate_id = %s", order)
    assert events == [(2,)]  # the damaged one and the one in its stead


def test_what_would_be_a_dead_letter_again_is_refused_with_the_reason(millrace):
    order = place_with_damaged_event(millrace)
    letter = letter_of(millrace, order)
    as_it_is = millrace.run("dlq", "replay", letter["id"])
    assert as_it_is.code == 6
    assert "unknown eventType 'OrderMade'" in as_it_is.complaint()
    wrong = millrace.home / "wrong.json"
    wrong.write_text("{")
    assert "not valid JSON" in millrace.run("dlq", "replay", letter["id"], "--value", wrong).complaint()
    other = letter_of(millrace, place_with_damaged_event(millrace))
    assert "is an event of order" in millrace.run(
        "dlq", "replay", letter["id"], "--value", corrected(millrace, other["id"])).complaint()
    all_of_them = millrace.run("dlq", "replay", "--all")
    assert all_of_them.code == 6
    assert "2 of 2 letters were not replayed" in all_of_them.complaint()
    for one in (letter, other):
        assert millrace.run("dlq", "replay", one["id"], "--value", corrected(millrace, one["id"])).code == 0
    millrace.verify()


def test_a_letter_that_nobody_needs_is_dropped_with_a_reason(millrace):
    millrace.mysql("INSERT INTO outbox (aggregate_id, aggregate_type, event_type, payload) "
                   "VALUES ('nobody', 'Order', 'OrderCreated', '{}')")
    letter = letter_of(millrace, "nobody")
    no_reason = millrace.http("DELETE", "/admin/dead-letters/" + letter["id"], headers={"X-Admin-Id": "e2e"})
    assert (no_reason.status, "say why" in no_reason.problem()) == (400, True)
    dropped = millrace.run("dlq", "drop", letter["id"], "--reason", "a test wrote it")
    assert (dropped.code, dropped.out) == (0, f"{letter['id']} dropped\n")
    assert "was already dropped" in millrace.run("dlq", "replay", letter["id"]).complaint()
    handled = [one for one in listed(millrace, "--all") if one["id"] == letter["id"]]
    assert [(one["state"], one["note"]) for one in handled] == [("dropped", "a test wrote it")]
    millrace.verify()


def test_many_letters_are_listed_part_by_part_and_dropped_at_once(make):
    millrace = make().start()
    count = 2_500
    rows = [("nobody", "Order", "OrderCreated", "{}")] * count
    for at in range(0, count, 500):
        values = ", ".join("(%s, %s, %s, %s)" for _ in rows[at:at + 500])
        millrace.mysql("INSERT INTO outbox (aggregate_id, aggregate_type, event_type, payload) VALUES " + values,
                       *[word for row in rows[at:at + 500] for word in row])
    wait_until(lambda: f'millrace_dead_letters_open{{topic="order.events"}} {count}' in millrace.http("GET", "/metrics").text,
               "all of them are letters")
    ids, after = [], ()
    while True:
        done = millrace.run("dlq", "list", "--json", "--limit", "1000", *after)
        part = json.loads(done.out)
        assert part["open"] == count
        ids += [letter["id"] for letter in part["letters"]]
        if not part["more"]:
            break
        after = ("--after", part["next"])
    assert len(ids) == len(set(ids)) == count
    dropped = millrace.run("dlq", "drop", "--all", "--reason", "a test wrote them")
    assert (dropped.code, dropped.out) == (0, "2,500 dead letters dropped\n")
    assert listed(millrace) == []


@pytest.mark.parametrize("method, path", [
    ("GET", "/admin/dead-letters"), ("GET", "/admin/dead-letters/order.events/0/1"),
    ("POST", "/admin/dead-letters/order.events/0/1/replay"), ("DELETE", "/admin/dead-letters/order.events/0/1?reason=x")])
def test_the_routes_want_to_know_who_asks(millrace, method, path):
    assert "X-Admin-Id" in millrace.http(method, path).problem()
    assert millrace.http(method, path).status == 400


def test_wrong_questions_get_one_sentence(millrace):
    assert millrace.run("dlq", "show", "order.events/0/999999").code == 3
    assert "there is no dead letter order.events/0/999999" in millrace.run("dlq", "show", "order.events/0/999999").complaint()
    assert millrace.run("dlq", "show", "order.events").code == 2
    assert "for example order.events/2/1234" in millrace.run("dlq", "show", "order.events").complaint()
    assert millrace.run("dlq", "replay").code == 2
    assert millrace.run("dlq", "list", "--topic", "nothing").code == 3


def test_it_says_when_no_up_answers(make):
    away = make().run("dlq", "list")
    assert away.code == 5
    assert "is `millrace up` running there" in away.complaint()


def test_a_replay_that_is_killed_in_the_middle_happens_once(make):
    millrace = make().start()
    # From before the request is there to after it was answered.
    for pause in (0.005, 0.02, 0.05, 0.2):
        order = place_with_damaged_event(millrace)
        letter = letter_of(millrace, order)
        file = corrected(millrace, letter["id"])
        asking = millrace.begin("dlq", "replay", letter["id"], "--value", file)
        time.sleep(pause)
        millrace.kill()
        asking.wait(60)
        millrace.start()
        again = millrace.run("dlq", "replay", letter["id"], "--value", file)
        assert again.code in (0, 4), again.err
        assert millrace.run("dlq", "replay", letter["id"], "--value", file).code == 4
        assert millrace.mysql("SELECT COUNT(*) FROM outbox WHERE aggregate_id = %s", order) == [(2,)]
    millrace.verify()


def test_a_row_that_the_base_table_refuses_is_counted_and_comes_in_later(make):
    millrace = make().start()
    first = millrace.order("user-1", [("prod-1", 1)])["id"]
    millrace.clickhouse("ALTER TABLE analytics.orders_analytics ADD CONSTRAINT nobody_from_user_2 CHECK user_id != 'user-2'")
    refused = millrace.order("user-2", [("prod-1", 2)])["id"]
    taken = [millrace.order("user-1", [("prod-2", 1)])["id"] for _ in range(5)]
    letter = letter_of(millrace, refused)
    assert (letter["topic"], letter["missing"]) == ("orders_analytics", "base row")
    assert "code 469" in letter["reason"] and "nobody_from_user_2" not in letter["reason"], "a constraint's name is the warehouse's word"
    assert "nobody_from_user_2" in millrace.log_file().read_text()
    for order in (first, *taken):
        wait_until(is_loaded(millrace, order), "the others are loaded")
    counted = millrace.clickhouse("SELECT sum(order_count) FROM analytics.order_status_mv")
    assert counted == [("7",)]
    assert millrace.warehouse_order(refused) is None

    early = millrace.run("dlq", "replay", letter["id"])
    assert (early.code, letter["id"] in [one["id"] for one in listed(millrace)]) == (6, True)
    millrace.clickhouse("ALTER TABLE analytics.orders_analytics DROP CONSTRAINT nobody_from_user_2")
    replayed = millrace.run("dlq", "replay", "--all")
    assert (replayed.code, replayed.out) == (0, "1 dead letter replayed\n")
    assert millrace.warehouse_order(refused) is not None
    assert millrace.run("dlq", "replay", letter["id"]).code == 4
    millrace.verify()


def test_a_warehouse_that_is_away_or_altered_makes_no_dead_letter(make):
    millrace = make(**{"sink.insert_timeout": "1s"}).start()
    orders = [millrace.order()["id"]]
    wait_until(is_loaded(millrace, orders[0]), "an order is loaded")
    # Away for longer than an insert may take; then there, but without its table, and with another one in its place.
    pid = millrace.pid_of("millrace-warehouse")
    os.kill(pid, signal.SIGSTOP)
    orders += [millrace.order()["id"] for _ in range(5)]
    time.sleep(4)
    os.kill(pid, signal.SIGCONT)
    wait_until(is_loaded(millrace, orders[-1]), "the orders of the outage are loaded")
    millrace.clickhouse("RENAME TABLE analytics.orders_analytics TO analytics.elsewhere")
    orders += [millrace.order()["id"] for _ in range(5)]
    wait_until(lambda: warned(millrace, "UNKNOWN_TABLE") or warned(millrace, "Code: 60"), "the sink says what is wrong")
    time.sleep(5)
    millrace.clickhouse("RENAME TABLE analytics.elsewhere TO analytics.orders_analytics")
    wait_until(is_loaded(millrace, orders[-1]), "the orders without a table are loaded")
    millrace.clickhouse("ALTER TABLE analytics.orders_analytics RENAME COLUMN user_email TO mail")
    orders += [millrace.order()["id"] for _ in range(5)]
    time.sleep(3)
    millrace.clickhouse("ALTER TABLE analytics.orders_analytics RENAME COLUMN mail TO user_email")
    wait_until(is_loaded(millrace, orders[-1]), "the orders without a column are loaded")
    assert listed(millrace, "--all") == []
    assert len(warned(millrace, "Code: 60")) <= 3
    millrace.verify()


def warned(millrace, what):
    return [line for line in millrace.log_file().read_text().splitlines() if "sink:" in line and what in line]
