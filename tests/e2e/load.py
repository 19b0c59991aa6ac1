"""A small load of orders that remembers what was acknowledged."""
import http.client
import itertools
import random
import threading

import pytest

from system import ask, order_body, wait_until

PRODUCTS = [f"prod-{number}" for number in range(1, 7)]
USERS = [f"user-{number}" for number in range(1, 4)]


class Load:
    """Threads that place, pay and delete orders until stopped; start() lets them go on.

    states: order id -> the states that it may be in now. One of them after an acknowledgement; two after a change whose answer was
    lost or was a 503, because it may have been carried out.
    attempts: each order that was asked for, by the shipping address that it alone has -> its id, or None without an answer.
    totals: order id -> the total that was acknowledged.
    """

    answer_seconds = 60  # an answer that takes longer is lost
    pause_seconds = 0.005  # of each thread, after an answer

    def __init__(self, millrace, seed, threads=3):
        self.ports = itertools.cycle(millrace.api_ports)
        self.mutex = threading.Lock()
        self.states = {}
        self.attempts = {}
        self.totals = {}
        self.acknowledged = 0
        self.refused = 0
        self.lost = 0
        self.wrong = []
        self.stopping = threading.Event()
        self.threads = []
        self.workers = [(random.Random(f"{seed}-{number}"), []) for number in range(threads)]
        for product in PRODUCTS:
            assert millrace.http("PATCH", f"/api/inventory/{product}", {"quantity": 1_000_000_000}).status == 200
        self.start()

    def start(self):
        self.stopping.clear()
        self.threads = [threading.Thread(target=self._work, args=worker) for worker in self.workers]
        for thread in self.threads:
            thread.start()

    def place(self, user, items):
        """The id of a new order if it was acknowledged."""
        with self.mutex:
            address = f"attempt {len(self.attempts) + 1}"
            self.attempts[address] = None
        answer = self._send("POST", "/api/orders", order_body(user, items, shippingAddress=address), 201)
        if not answer:
            return None
        order = answer.json
        with self.mutex:
            self.attempts[address] = order["id"]
            self.totals[order["id"]] = order["totalAmount"]
        self._acknowledge(order["id"], "PENDING")
        return order["id"]

    def _work(self, chance, mine):
        while not self.stopping.is_set():
            action = chance.random()
            if action < 0.6 or not mine:
                items = [(product, chance.randint(1, 5)) for product in chance.sample(PRODUCTS, chance.randint(1, 3))]
                order = self.place(chance.choice(USERS), items)
                if order:
                    mine.append(order)
                continue
            order = chance.choice(mine)
            if action < 0.8:
                mine.remove(order)
                self.delete(order)
            elif self.states[order] == {"PENDING"}:
                self.pay(order)

    def pay(self, order):
        self._change(order, "PAYMENT_CONFIRMED", "POST", "/api/payments", {"orderId": order}, (200, 201))

    def delete(self, order):
        self._change(order, "DELETED", "DELETE", "/admin/orders/" + order, None, (204,))

    def _change(self, order, state, method, path, body, good):
        with self.mutex:
            self.states[order] = self.states[order] | {state}
        if self._send(method, path, body, *good):
            self._acknowledge(order, state)

    def _acknowledge(self, order, state):
        with self.mutex:
            self.states[order] = {state}
            self.acknowledged += 1

    def _send(self, method, path, body, *good):
        """The answer if it is one of the good ones; nothing if it was lost or the server asks to try again."""
        try:
            answer = ask(next(self.ports), method, path, body, {"X-Admin-Id": "load"}, timeout=self.answer_seconds)
        except (OSError, http.client.HTTPException):
            answer = None
        if answer is not None and answer.status in good:
            self.stopping.wait(self.pause_seconds)
            return answer
        with self.mutex:
            self.refused += 1
            self.lost += answer is None
            if answer is not None and answer.status != 503:
                self.wrong.append((method, path, answer.status, answer.body))
        self.stopping.wait(0.1)
        return None

    def wait_for_more(self, count, what):
        """Until so many more changes were acknowledged."""
        before = self.acknowledged
        wait_until(lambda: self.acknowledged >= before + count, what)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        return self

    def check(self, millrace):
        """Every acknowledged change is in the warehouse, verify is clean, and a fresh order becomes visible."""
        assert not self.wrong, self.wrong[:5]
        assert self.states, "the load did nothing"

        def missing():
            have = {order: "DELETED" if is_deleted == "1" else status for order, status, is_deleted in millrace.clickhouse(
                "SELECT order_id, status, is_deleted FROM analytics.orders_analytics FINAL")}
            return {order: (states, have.get(order)) for order, states in self.states.items() if have.get(order) not in states}
        try:
            wait_until(lambda: not missing(), "everything acknowledged is in the warehouse in its last state")
        except pytest.fail.Exception:
            assert missing() == {}
        millrace.verify()
        fresh = millrace.order("user-1", [("prod-1", 1)])["id"]
        wait_until(lambda: millrace.warehouse_order(fresh) == ("PENDING", "0", "CREATED"), "a fresh order becomes visible")
