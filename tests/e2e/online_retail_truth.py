"""What the Online Retail file says, computed from the CSV alone, with no code of the pipeline.

    truth(path) -> Truth          months with revenue, counts of orders, deleted, refunded, unmatched, skipped

Run it to print the figures: python3 online_retail_truth.py FILE
As a pytest module it compares them with a running system that has imported the file:

    MILLRACE_TEST_ONLINE_RETAIL   the file (.csv, or .csv.zst with the zstd program); without it the tests are skipped
    MILLRACE_TEST_WAREHOUSE_URL   ClickHouse's HTTP interface, for example http://127.0.0.1:8123; without it only what needs
                                  no running system is tested
    MILLRACE_TEST_WAREHOUSE_USER, MILLRACE_TEST_WAREHOUSE_PASSWORD

The comparison reads the views that users read: of the base table the orders of this import (users or-*), of the sales what lies before 2012.
"""
import collections
import csv
import dataclasses
import decimal
import fractions
import functools
import io
import os
import subprocess
import sys
import urllib.parse
import urllib.request
import uuid

CENT = decimal.Decimal("0.01")
# Few different texts come many times. Sums of at most 28 digits are exact.
price_of = functools.cache(decimal.Decimal)


@dataclasses.dataclass
class Order:
    number: str
    customer: str
    date: str
    total: decimal.Decimal
    lines: int
    units: dict
    fate: str = "kept"

    @property
    def order_id(self):
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "millrace:online-retail:" + self.number))


@dataclasses.dataclass
class Truth:
    rows: int
    orders: list
    returns: int
    unmatched: int
    skipped: dict

    def count(self, *fates):
        return sum(order.fate in fates for order in self.orders)

    def month_revenue(self):
        """Month -> sum of the totals of orders that are neither deleted nor refunded."""
        months = collections.defaultdict(decimal.Decimal)
        for order in self.orders:
            if order.fate == "kept":
                months[order.date[:7]] += order.total
        return dict(sorted(months.items()))

    def month_orders(self):
        return dict(sorted(collections.Counter(o.date[:7] for o in self.orders if o.fate == "kept").items()))


def open_text(path):
    with open(path, "rb") as file:
        packed = file.read(4) == b"\x28\xb5\x2f\xfd"
    if packed:
        text = subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout
        return io.StringIO(text.decode("utf-8"), newline="")
    return open(path, encoding="utf-8", newline="")


def half_up(exact):
    """An exact fraction to cents, a half going up (all totals are positive)."""
    cents = (exact * 200 + 1) // 2
    return (decimal.Decimal(int(cents)) * CENT).quantize(CENT)


def truth(path):
    by_number = collections.OrderedDict()
    rows = 0
    skipped = collections.Counter()
    with open_text(path) as file:
        for row in csv.DictReader(file):
            rows += 1
            by_number.setdefault(row["invoice_no"], []).append(row)

    orders = []
    returns = []
    for number, lines in by_number.items():
        customer = lines[0]["customer_id"]
        date = min(line["invoice_date"] for line in lines)
        if number.isdecimal():
            usable = []
            for line in lines:
                if int(line["quantity"]) <= 0:
                    skipped["sale lines without a positive quantity"] += 1
                elif price_of(line["unit_price"]) <= 0:
                    skipped["sale lines without a positive price"] += 1
                else:
                    usable.append(line)
            if not usable:
                skipped["sale invoices without an item"] += 1
                continue
            units = collections.Counter()
            total = decimal.Decimal(0)
            for line in usable:
                units[line["stock_code"].upper()] += int(line["quantity"])
                total += int(line["quantity"]) * price_of(line["unit_price"])
            orders.append(Order(number, customer, date, half_up(fractions.Fraction(total)), len(usable), dict(units)))
        elif number.startswith("C"):
            units = collections.Counter()
            for line in lines:
                if int(line["quantity"]) < 0:
                    units[line["stock_code"].upper()] -= int(line["quantity"])
                else:
                    skipped["return lines without a negative quantity"] += 1
            returns.append((date, int(number[1:]), customer, dict(units)))
        else:
            skipped["adjustment lines"] += len(lines)

    orders_of = collections.defaultdict(list)
    for order in orders:
        orders_of[order.customer].append(order)
    unmatched = 0
    for date, _, customer, units in sorted(returns, key=lambda entry: entry[:2]):
        fitting = [order for order in orders_of[customer]
                   if customer and units and order.date < date and order.fate == "kept"
                   and all(order.units.get(code, 0) >= quantity for code, quantity in units.items())]
        if not fitting:
            unmatched += 1
            continue
        latest = max(fitting, key=lambda order: (order.date, int(order.number)))
        latest.fate = "deleted" if latest.units == units else "refunded"
    return Truth(rows, orders, len(returns), unmatched, dict(skipped))


# Comparison with a running system

def warehouse_query(sql):
    """The rows of an answer, as lists of text."""
    request = urllib.request.Request(
        os.environ["MILLRACE_TEST_WAREHOUSE_URL"] + "/?" + urllib.parse.urlencode({"default_format": "TabSeparated"}),
        data=sql.encode(), method="POST",
        headers={"X-ClickHouse-User": os.environ.get("MILLRACE_TEST_WAREHOUSE_USER", "admin"),
                 "X-ClickHouse-Key": os.environ.get("MILLRACE_TEST_WAREHOUSE_PASSWORD", "")})
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read().decode()
    return [line.split("\t") for line in text.splitlines()]


def warehouse_figures(query=warehouse_query):
    """The same figures from the warehouse: month -> revenue, and month -> orders, from daily_sales_mv (which knows no users, so
    the months tell the import's orders from others); fate -> orders from the base table."""
    months = query("SELECT formatDateTime(toStartOfMonth(order_date), '%Y-%m') AS month, sum(total_revenue), sum(order_count) "
                   "FROM analytics.daily_sales_mv WHERE order_date < '2012-01-01' GROUP BY month ORDER BY month")
    fates = query("SELECT multiIf(is_deleted = 1, 'deleted', status = 'REFUNDED', 'refunded', 'kept') AS fate, count() "
                  "FROM analytics.orders_analytics FINAL WHERE user_id LIKE 'or-%' GROUP BY fate")
    return ({month: decimal.Decimal(revenue).quantize(CENT) for month, revenue, _ in months},
            {month: int(orders) for month, _, orders in months},
            {fate: int(orders) for fate, orders in fates})


try:
    import pytest
except ImportError:  # printing the figures needs no pytest
    pytest = None

if pytest is not None:
    @pytest.fixture(scope="module")
    def figures():
        path = os.environ.get("MILLRACE_TEST_ONLINE_RETAIL", "")
        if not path or not os.path.exists(path):
            pytest.skip("MILLRACE_TEST_ONLINE_RETAIL names no file")
        return truth(path)

    @pytest.fixture(scope="module")
    def warehouse():
        if not os.environ.get("MILLRACE_TEST_WAREHOUSE_URL"):
            pytest.skip("MILLRACE_TEST_WAREHOUSE_URL is not set")
        return warehouse_figures()

    def test_truth_agrees_with_the_published_counts_of_the_file(figures):
        assert figures.rows == 541_909
        assert figures.returns == 3_836
        assert figures.skipped["adjustment lines"] == 3
        assert len(figures.orders) + figures.skipped["sale invoices without an item"] == 22_061
        # Lines with quantity and price above 0 come to 10,666,684.544 with one adjustment line of 11,062.06 among them; each
        # order is rounded once.
        total = sum(order.total for order in figures.orders)
        assert abs(total - (decimal.Decimal("10666684.544") - decimal.Decimal("11062.06"))) < 20

    def test_counts_of_kept_deleted_and_refunded_orders_are_the_warehouses(figures, warehouse):
        assert warehouse[2] == {fate: figures.count(fate) for fate in ("kept", "deleted", "refunded")}

    def test_revenue_of_every_month_is_the_warehouses(figures, warehouse):
        assert warehouse[0] == figures.month_revenue()

    def test_orders_of_every_month_are_the_warehouses(figures, warehouse):
        assert warehouse[1] == figures.month_orders()


def main():
    figures = truth(sys.argv[1])
    print(f"rows {figures.rows}")
    print(f"orders {len(figures.orders)}, of {sum(order.lines for order in figures.orders)} lines: kept {figures.count('kept')}, "
          f"deleted {figures.count('deleted')}, refunded {figures.count('refunded')}")
    print(f"returns {figures.returns}, unmatched {figures.unmatched}")
    for reason, count in sorted(figures.skipped.items()):
        print(f"skipped: {reason}: {count}")
    revenue = figures.month_revenue()
    for month, orders in figures.month_orders().items():
        print(f"{month} {orders:6} {revenue[month]:14}")
    print(f"total   {figures.count('kept'):6} {sum(revenue.values()):14}")


if __name__ == "__main__":
    main()
