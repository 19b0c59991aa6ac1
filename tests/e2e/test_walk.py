"""The walk of the README and of the contract: what a user does, and what must be there to see."""
import concurrent.futures
import datetime
import decimal
import re

import pytest

from system import expected_views, order_body, sale_of, wait_until

ALICE = "alice@example.com"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module")
def sales():
    """The orders of this module that are not deleted, by id: all that the instance has."""
    return {}


@pytest.fixture
def agree(millrace, sales):
    """Waits until the five views hold exactly the orders of this module, and the analytics routes say the same."""
    def check():
        wanted = expected_views(sales.values())

        def same():
            have = millrace.views()
            return have == wanted or None
        try:
            wait_until(same, "the five views hold the orders")
        except pytest.fail.Exception:
            assert millrace.views() == wanted
        assert analytics_views(millrace) == {name: wanted[name] for name in
                                             ("daily_sales_mv", "hourly_sales_mv", "order_status_mv")}
        counted = [sale for sale in sales.values() if sale.status not in ("CANCELLED", "REFUNDED")]
        revenue = sum((sale.total for sale in counted), decimal.Decimal(0))
        stats = millrace.get("/api/analytics/stats")
        assert stats["total_orders"] == len(counted)
        assert stats["total_revenue"] == revenue
        assert stats["unique_customers"] == len({sale.user for sale in counted})
        if counted:
            assert stats["avg_order_value"] == (revenue / len(counted)).quantize(decimal.Decimal("0.01"), decimal.ROUND_HALF_UP)
    return check


def analytics_views(millrace):
    """The analytics routes, in the shape of the views."""
    hour = lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "daily_sales_mv": {(row["order_date"],): (row["order_count"], row["total_revenue"], row["avg_order_value"],
                                                  row["unique_customers"])
                           for row in millrace.get("/api/analytics/daily-sales")},
        "hourly_sales_mv": {(hour(row["order_hour"]),): (row["order_count"], row["total_revenue"], row["avg_order_value"])
                            for row in millrace.get("/api/analytics/hourly-sales")},
        "order_status_mv": {(row["order_date"], row["status"]): (row["order_count"], row["total_amount"])
                            for row in millrace.get("/api/analytics/order-status")},
    }


def stock(millrace, product):
    row = millrace.get(f"/api/inventory/{product}")
    return row["quantity"], row["reserved"], row["available"]


@pytest.mark.parametrize("prefix", ["/api", ""])
def test_an_order_is_made_read_and_listed_under_both_prefixes(millrace, sales, agree, prefix):
    answer = millrace.http("POST", prefix + "/orders", {
        "userId": "user-1", "shippingAddress": "1 Mill Lane",
        "items": [{"productId": "prod-1", "quantity": 1}, {"productId": "prod-2", "quantity": 2, "price": 29.99}]})

    assert answer.status == 201, answer.body
    assert '"totalAmount":1359.97' in answer.text, "money is a number with two decimals"
    order = answer.json
    sales[order["id"]] = sale_of(order, ALICE)
    assert order["orderId"] == order["id"]
    assert (order["userId"], order["status"], order["shippingAddress"]) == ("user-1", "PENDING", "1 Mill Lane")
    assert TIME.fullmatch(order["createdAt"]) and TIME.fullmatch(order["updatedAt"])
    assert [(i["productId"], i["productName"], i["quantity"], i["price"]) for i in order["items"]] == [
        ("prod-1", "Laptop", 1, decimal.Decimal("1299.99")), ("prod-2", "Wireless Mouse", 2, decimal.Decimal("29.99"))]
    assert millrace.get(answer.headers["location"]) == order
    assert millrace.get(f"{prefix}/orders/{order['id']}") == order
    assert millrace.get(f"{prefix}/orders/user/user-1")[0] == order, "newest first"
    agree()


def test_a_deleted_order_leaves_all_views_and_stays_as_a_tombstone(millrace, sales, agree):
    shelf = stock(millrace, "prod-3")
    order = millrace.order("user-1", [("prod-3", 4)])
    sales[order["id"]] = sale_of(order, ALICE)
    assert stock(millrace, "prod-3") == (shelf[0], shelf[1] + 4, shelf[2] - 4)
    agree()
    assert millrace.warehouse_order(order["id"]) == ("PENDING", "0", "CREATED")

    assert millrace.delete(order["id"]).status == 204

    assert stock(millrace, "prod-3") == shelf
    del sales[order["id"]]
    agree()
    rows = millrace.clickhouse("SELECT is_deleted, event_type, deleted_at IS NOT NULL, total_amount FROM "
                               f"analytics.orders_analytics FINAL WHERE order_id = '{order['id']}'")
    assert rows == [("1", "DELETED", "1", "359.96")]
    assert millrace.http("GET", "/api/orders/" + order["id"]).status == 404
    assert order["id"] not in [other["id"] for other in millrace.get("/api/orders/user/user-1")]


def test_deleting_again_is_fine_and_changes_nothing(millrace, agree):
    order = millrace.order("user-2", [("prod-4", 1)])
    assert millrace.delete(order["id"], path="/api/admin/orders/").status == 204
    before = millrace.written()
    assert millrace.delete(order["id"]).status == 204
    assert millrace.written() == before
    agree()


def test_deleting_needs_a_known_order_and_an_admin(millrace, sales, agree):
    order = millrace.order("user-1", [("prod-5", 1)])
    sales[order["id"]] = sale_of(order, ALICE)
    before = millrace.written()

    unknown = millrace.delete("01890000-0000-7000-8000-000000000000")
    anonymous = millrace.delete(order["id"], admin=None)

    assert unknown.status == 404 and unknown.problem()
    assert anonymous.status == 400 and "X-Admin-Id" in anonymous.problem()
    assert millrace.written() == before
    agree()


def test_orders_of_other_states_count_where_the_contract_says(millrace, sales, agree):
    for status, stored in (("processing", "PREPARING"), ("Completed", "DELIVERED"), ("cancelled", "CANCELLED"),
                           ("REFUNDED", "REFUNDED")):
        order = millrace.order("user-3", [("prod-6", 2)], status=status)
        assert order["status"] == stored
        sales[order["id"]] = sale_of(order, "carol@example.com")
    agree()


def test_paying_an_order_confirms_it_everywhere(millrace, sales, agree):
    order = millrace.order("user-2", [("prod-2", 1)], paymentMethod="paypal")
    assert [p["status"] for p in millrace.get(f"/api/payments/{order['id']}")] == ["PENDING"]

    paid = millrace.http("POST", "/api/payments", {"orderId": order["id"]})

    assert paid.status == 201, paid.body
    assert (paid.json["status"], paid.json["method"], paid.json["amount"]) == ("COMPLETED", "PAYPAL", decimal.Decimal("29.99"))
    now = millrace.get(f"/api/orders/{order['id']}")
    assert now["status"] == "PAYMENT_CONFIRMED"
    sales[order["id"]] = sale_of(now, "bob@example.com")
    agree()
    assert millrace.clickhouse("SELECT payment_status, payment_method FROM analytics.orders_analytics FINAL WHERE order_id = "
                               f"'{order['id']}'") == [("COMPLETED", "PAYPAL")]


def test_stock_can_be_set_but_not_below_what_is_promised(millrace, sales, agree):
    order = millrace.order("user-1", [("prod-4", 5)])
    sales[order["id"]] = sale_of(order, ALICE)
    _, reserved, _ = stock(millrace, "prod-4")

    assert millrace.http("PATCH", "/api/inventory/prod-4", {"quantity": reserved - 1}).status == 409
    assert millrace.http("PATCH", "/api/inventory/prod-4", {"quantity": reserved + 3}).json["available"] == 3
    refused = millrace.http("POST", "/api/orders", {"userId": "user-1", "items": [{"productId": "prod-4", "quantity": 4}]})
    assert refused.status == 409 and refused.problem()
    assert stock(millrace, "prod-4") == (reserved + 3, reserved, 3)
    agree()


def test_many_buyers_at_once_never_get_more_than_there_is(millrace, sales, agree):
    _, reserved, _ = stock(millrace, "prod-6")
    assert millrace.http("PATCH", "/api/inventory/prod-6", {"quantity": reserved + 25}).status == 200
    buy = lambda number: millrace.http("POST", "/api/orders", order_body(f"user-{number % 3 + 1}", [("prod-6", 1), ("prod-2", 1)]))
    with concurrent.futures.ThreadPoolExecutor(8) as buyers:
        answers = list(buyers.map(buy, range(60)))

    assert sorted({answer.status for answer in answers}) == [201, 409]
    made = [answer.json for answer in answers if answer.status == 201]
    assert len(made) == 25
    assert stock(millrace, "prod-6") == (reserved + 25, reserved + 25, 0)
    emails = {user["id"]: user["email"] for user in millrace.get("/api/users")}
    sales.update((order["id"], sale_of(order, emails[order["userId"]])) for order in made)
    agree()


def test_merging_parts_changes_no_figure_and_brings_no_deleted_order_back(millrace, sales, agree):
    order = millrace.order("user-1", [("prod-1", 1)])
    assert millrace.delete(order["id"]).status == 204
    agree()
    for table in ("orders_analytics", "rollups", "sink_position"):
        millrace.clickhouse(f"OPTIMIZE TABLE analytics.{table} FINAL")
    agree()
    wait_until(lambda: millrace.warehouse_order(order["id"]) == ("PENDING", "1", "DELETED"), "the tombstone is there")


def test_what_is_renamed_later_changes_no_past_figure(millrace, sales, agree):
    before = millrace.order("user-3", [("prod-5", 2)])
    gone = millrace.order("user-3", [("prod-5", 1)])
    sales[before["id"]] = sale_of(before, "carol@example.com")
    try:
        millrace.mysql("UPDATE users SET email = 'carol@elsewhere.example' WHERE id = 'user-3'")
        millrace.mysql("UPDATE products SET name = 'Rucksack', price = 59.99 WHERE id = 'prod-5'")
        after = millrace.order("user-3", [("prod-5", 1)])
        sales[after["id"]] = sale_of(after, "carol@elsewhere.example")
        assert after["items"][0]["productName"] == "Rucksack" and after["totalAmount"] == decimal.Decimal("59.99")

        assert millrace.delete(gone["id"]).status == 204

        assert millrace.get("/api/orders/" + before["id"]) == before
        agree()
        millrace.verify()
    finally:
        millrace.mysql("UPDATE users SET email = 'carol@example.com' WHERE id = 'user-3'")
        millrace.mysql("UPDATE products SET name = 'Backpack', price = 49.99 WHERE id = 'prod-5'")


def test_products_and_users_are_those_of_the_sample_shop(millrace):
    products = {product["id"]: product for product in millrace.get("/api/products")}
    assert {id: (p["name"], str(p["price"])) for id, p in products.items()} == {
        "prod-1": ("Laptop", "1299.99"), "prod-2": ("Wireless Mouse", "29.99"), "prod-3": ("Coffee Maker", "89.99"),
        "prod-4": ("Running Shoes", "79.99"), "prod-5": ("Backpack", "49.99"), "prod-6": ("Desk Lamp", "34.99")}
    assert set(products["prod-1"]) == {"id", "name", "description", "price", "category", "imageUrl", "isActive", "createdAt",
                                       "updatedAt"}
    assert millrace.get("/api/products/prod-1") == products["prod-1"]
    assert {p["id"] for p in millrace.get("/api/products/category/Electronics")} == {"prod-1", "prod-2"}
    users = {user["id"]: user for user in millrace.get("/api/users")}
    assert set(users) == {"user-1", "user-2", "user-3"}
    assert set(users["user-1"]) == {"id", "email", "name", "phone", "createdAt", "updatedAt"}, "no password"
    assert millrace.get("/api/users/user-1") == millrace.get("/api/users/email/alice@example.com") == users["user-1"]


def test_health_readiness_and_the_console_answer(millrace):
    assert millrace.get("/api/analytics/health") == {"status": "healthy", "clickhouse": True}
    assert millrace.get("/healthz")["status"] == "up"
    assert millrace.get("/readyz") == {"status": "ready", "orderStore": True, "warehouse": True, "pipeline": True}
    root = millrace.http("GET", "/")
    assert (root.status, root.headers["location"]) == (302, "/console")
    assert millrace.http("GET", "/console").headers["content-type"].startswith("text/html")


def test_the_analytics_routes_take_days_and_a_limit(millrace, sales, agree):
    agree()
    day = max(sale.time[:10] for sale in sales.values())
    assert millrace.get(f"/api/analytics/daily-sales?startDate={day}&endDate={day}") == millrace.get(
        "/api/analytics/daily-sales?limit=1")
    assert millrace.get("/api/analytics/daily-sales?endDate=2001-01-01") == []
    assert len(millrace.get("/api/analytics/order-status?limit=2")) == 2


def test_verify_finds_no_difference_and_says_what_it_compared(millrace):
    table = millrace.verify()
    for name in ("orders", "daily_sales_mv", "hourly_sales_mv", "order_status_mv", "user_analytics_mv", "product_ranking_mv"):
        assert name in table
