"""A real history: imported with everything killed in the middle, then to its end, then once more; compared with the file itself."""
import os
import random
import re
import signal

import pytest

import online_retail_truth as truth_of
from online_retail_truth import test_truth_agrees_with_the_published_counts_of_the_file  # noqa: F401, a test of its own
from system import REPOSITORY, wait_until

PLACE = "online-retail/online-retail.csv.zst"


@pytest.fixture(scope="module")
def file():
    """MILLRACE_TEST_DATA names the file, or the folder that has it in online-retail/."""
    given = os.environ.get("MILLRACE_TEST_DATA", str(REPOSITORY.parent / "shared/data"))
    path = os.path.join(given, PLACE) if os.path.isdir(given) else given
    if not os.path.isfile(path):
        pytest.skip(f"the Online Retail file is not there ({path}); MILLRACE_TEST_DATA may name another place")
    return path


@pytest.fixture(scope="module")
def truth(file):
    return truth_of.truth(file)


@pytest.fixture(scope="module")
def figures(truth):
    """By the name that the truth's own test knows."""
    return truth


def table_of(text):
    """The import's table: what -> count."""
    rows = re.findall(r"^  (\S.*?)  +([\d.]+)(?:  .*)?$", text, re.MULTILINE)
    return {what: float(count) if "." in count else int(count) for what, count in rows}


def warehouse_state(millrace):
    return millrace.clickhouse("SELECT count(), sum(is_deleted), sum(version), max(version), sum(cityHash64(order_id, version)) "
                               "FROM analytics.orders_analytics FINAL")


def begin_import(millrace, file):
    return millrace.begin("import", "online-retail", file, stdout=-3, stderr=-3)


def kill_all_when(millrace, importing, reached, what):
    """kill -9 of up, its servers and the import, as soon as it is reached; the import must not have ended before."""
    wait_until(lambda: importing.poll() is not None or reached(), what, pause=0.005)
    ended_before = importing.poll() is not None
    millrace.kill()
    importing.wait()
    assert not ended_before, f"the import was over before: {what}"


def test_the_history_is_whole_after_kills_in_the_middle_and_a_second_import_changes_nothing(make, file, truth):
    seed = int(os.environ.get("MILLRACE_TEST_SEED", random.SystemRandom().randrange(10**6)))
    print(f"MILLRACE_TEST_SEED={seed}")
    chance = random.Random(seed)
    orders_at = chance.randrange(1, len(truth.orders) * 9 // 10)
    deleted_at = chance.randrange(1, truth.count("deleted") * 9 // 10)
    millrace = make()

    millrace.start()
    kill_all_when(millrace, begin_import(millrace, file),
                  lambda: millrace.mysql("SELECT COUNT(*) FROM orders")[0][0] >= orders_at, f"{orders_at} orders recorded")
    millrace.start()
    kill_all_when(millrace, begin_import(millrace, file),
                  lambda: millrace.mysql("SELECT COUNT(*) FROM orders WHERE deleted_at IS NOT NULL")[0][0] >= deleted_at,
                  f"{deleted_at} orders deleted")
    millrace.start()
    done = millrace.run("import", "online-retail", file)
    assert done.code == 0, done

    table = table_of(done.out)
    assert {name: table[name] for name in ("orders", "lines", "deleted", "refunded", "unmatched returns")} == {
        "orders": len(truth.orders), "lines": sum(order.lines for order in truth.orders), "deleted": truth.count("deleted"),
        "refunded": truth.count("refunded"), "unmatched returns": truth.unmatched}, done.out
    skipped = sorted(count for name, count in table.items() if name.startswith("skipped") and count)
    assert skipped == sorted(truth.skipped.values()), done.out
    assert "seconds" in table
    millrace.verify()
    months, orders, fates = truth_of.warehouse_figures(millrace.clickhouse)
    assert fates == {fate: truth.count(fate) for fate in ("kept", "deleted", "refunded")}
    assert orders == truth.month_orders()
    assert months == truth.month_revenue()
    assert_every_order_is_as_the_file_says(millrace, truth)

    before = millrace.written(), warehouse_state(millrace)
    again = millrace.run("import", "online-retail", file)
    assert again.code == 0, again
    assert "0 of them new" in again.out and "deleted and refunded: 0 new" in again.out
    assert {name: count for name, count in table_of(again.out).items() if name != "seconds"} == {
        name: count for name, count in table.items() if name != "seconds"}
    millrace.verify()
    assert (millrace.written(), warehouse_state(millrace)) == before


def assert_every_order_is_as_the_file_says(millrace, truth):
    """Order by order: id, user, time, total, pieces and what became of it."""
    fate = {"kept": ("DELIVERED", "0"), "refunded": ("REFUNDED", "0"), "deleted": ("DELIVERED", "1")}
    wanted = {order.order_id: ("or-" + (order.customer or "guest"), order.date[:19].replace("T", " "), f"{order.total:.2f}",
                               str(sum(order.units.values())), *fate[order.fate]) for order in truth.orders}
    have = {row[0]: row[1:] for row in millrace.clickhouse(
        "SELECT order_id, user_id, order_date, toDecimalString(total_amount, 2), items_count, status, is_deleted "
        "FROM analytics.orders_analytics FINAL")}
    assert len(have) == len(wanted)
    different = [(order, wanted[order], have.get(order)) for order in wanted if wanted[order] != have.get(order)]
    assert not different, f"{len(different)} orders differ, among them {different[:3]}"


def test_an_import_that_is_interrupted_says_so_and_goes_on_the_next_time(make, file, truth):
    millrace = make().start()
    importing = begin_import(millrace, file)
    wait_until(lambda: millrace.mysql("SELECT COUNT(*) FROM orders")[0][0] > 0, "the first orders are recorded")
    importing.send_signal(signal.SIGINT)
    assert importing.wait(120) == 5
    made = millrace.mysql("SELECT COUNT(*) FROM orders")[0][0]
    assert 0 < made < len(truth.orders)
    millrace.verify()
