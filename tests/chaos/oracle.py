"""What must hold after any fault, from what the API acknowledged, what the order store says, and what the warehouse says.

The rules are pure functions of plain values, so that a test can plant a difference and see it found.
"""
import dataclasses
import decimal

from system import Sale, expected_views


@dataclasses.dataclass(frozen=True)
class Row:
    """An order as one of the two stores has it; state is DELETED or the order's status."""
    state: str
    version: int
    total: decimal.Decimal
    address: str = None  # of the order store only
    may_be_purged: bool = False  # of the order store only: deleted long enough ago to have left the warehouse


def store_rows(millrace, purge_seconds):
    rows = millrace.mysql("SELECT id, status, TIMESTAMPDIFF(SECOND, deleted_at, UTC_TIMESTAMP()), version, total_amount, "
                          "shipping_address FROM orders")
    return {id: Row(status if age is None else "DELETED", version, total, address, age is not None and age >= purge_seconds)
            for id, status, age, version, total, address in rows}


def may_be_gone(store):
    return {id for id, row in store.items() if row.may_be_purged}


def warehouse_rows(millrace):
    rows = millrace.clickhouse("SELECT order_id, status, is_deleted, version, total_amount FROM analytics.orders_analytics FINAL")
    found = {id: Row("DELETED" if deleted == "1" else status, int(version), decimal.Decimal(total))
             for id, status, deleted, version, total in rows}
    assert len(found) == len(rows), "the warehouse has an order twice"
    return found


def differences_of_acknowledged(states, totals, attempts, rows, where, purged=frozenset()):
    """What was acknowledged against what a store has; a total, once acknowledged, never changes. `purged` may be absent."""
    found = []
    for id, may_be in states.items():
        row = rows.get(id)
        if row is None and id in purged:
            continue
        if row is None:
            found.append(f"{where}: lost: {id}, acknowledged as {sorted(may_be)}")
        elif row.state not in may_be:
            found.append(f"{where}: {id} is {row.state}, acknowledged as {sorted(may_be)}")
        elif row.total != totals[id]:
            found.append(f"{where}: {id} has the total {row.total}, acknowledged with {totals[id]}")
    asked_for = {}
    for id, row in rows.items():
        if row.address is None:
            continue
        if row.address not in attempts:
            found.append(f"{where}: not asked for: {id} with the address {row.address!r}")
        elif row.address in asked_for:
            found.append(f"{where}: made twice: {row.address!r} is {asked_for[row.address]} and {id}")
        elif attempts[row.address] not in (None, id):
            found.append(f"{where}: {row.address!r} was acknowledged as {attempts[row.address]} and is {id}")
        asked_for[row.address] = id
    return found


def differences_of_stores(store, warehouse):
    """Every order in its last version in both, and none in only one."""
    found = [f"warehouse: {id} was never in the order store" for id in warehouse.keys() - store.keys()]
    for id, row in store.items():
        other = warehouse.get(id)
        if other is None and not row.may_be_purged:
            found.append(f"warehouse: lost: {id}")
        elif other is None:
            continue
        elif (row.state, row.version, row.total) != (other.state, other.version, other.total):
            found.append(f"warehouse: {id} is {other.state}, version {other.version}, {other.total}; "
                         f"in the order store {row.state}, version {row.version}, {row.total}")
    return found


def differences_of_versions(before, now, where, purged=frozenset()):
    """A change raises the version; no version falls; what is deleted stays so. `purged` may be absent by now."""
    found = []
    for id, old in before.items():
        new = now.get(id)
        if new is None and id in purged:
            continue
        if new is None:
            found.append(f"{where}: {id} was there and is gone")
        elif old.state == "DELETED" and new.state != "DELETED":
            found.append(f"{where}: {id} was deleted and is {new.state}")
        elif new.version < old.version or (new.state != old.state and new.version == old.version):
            found.append(f"{where}: {id} went from {old.state}, version {old.version}, to {new.state}, version {new.version}")
    return found


def views_of_store(millrace):
    """The five views, recomputed here from the rows of the order store."""
    orders, items = millrace.mysql_all((
        "SELECT id, user_id, user_email, created_at, status, total_amount FROM orders WHERE deleted_at IS NULL",
        "SELECT order_id, product_id, product_name, quantity, price FROM order_items"))
    lines = {}
    for order, *line in items:
        lines.setdefault(order, []).append(tuple(line))
    return expected_views(Sale(user, email, made.strftime("%Y-%m-%d %H:%M:%S"), status, total, lines[id])
                          for id, user, email, made, status, total in orders)


def differences_of_views(wanted, have):
    found = []
    for name, rows in wanted.items():
        for key in sorted(rows.keys() | have[name].keys()):
            if rows.get(key) != have[name].get(key):
                found.append(f"{name}: {key} is {have[name].get(key)}, recomputed {rows.get(key)}")
    return found


def differences_of_purged(gone, warehouse):
    """What the purge removed never comes back."""
    return [f"warehouse: {id} was purged and is back" for id in sorted(gone & warehouse.keys())]
