"""Servers that somebody else runs: prepared by init-db or by the scripts, used by `up`, and left alone otherwise."""
import shutil
import subprocess
import tempfile
import urllib.parse
from pathlib import Path

import pymysql
import pytest

from own_servers import SECRET, Mariadb, Warehouse, server_program
from system import REPOSITORY, Millrace, free_port, wait_until

@pytest.fixture(scope="module")
def mariadb():
    folder = Path(tempfile.mkdtemp(prefix="millrace-e2e-"))
    server = Mariadb(folder)
    yield server
    assert server.process.poll() is None, "it was left alone"
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def tables(mariadb, database):
    names = {row[0] for row in mariadb.rows("SHOW TABLES", database)}
    return {name: mariadb.rows(f"SHOW CREATE TABLE `{name}`", database)[0][1] for name in names}


def content(mariadb, database):
    return {name: mariadb.rows(f"SELECT COUNT(*) FROM `{name}`", database) for name in tables(mariadb, database)}


def walk(millrace):
    """One order made and seen, one deleted, all figures right."""
    kept = millrace.order("user-1", [("prod-2", 2)])
    gone = millrace.order("user-2", [("prod-3", 1)])
    assert millrace.delete(gone["id"]).status == 204
    wait_until(lambda: millrace.warehouse_order(kept["id"]) == ("PENDING", "0", "CREATED"), "the order arrives")
    wait_until(lambda: millrace.warehouse_order(gone["id"]) == ("PENDING", "1", "DELETED"), "the tombstone arrives")
    millrace.verify()


def test_init_db_prepares_a_database_by_url_twice_and_up_runs_on_it(make, mariadb):
    url = mariadb.url("shop")
    millrace = make(**{"mysql.port": None, "mysql.embedded": False, "mysql.url": url})

    first = millrace.run("init-db", "--url", f"mysql://shop@127.0.0.1:{mariadb.port}/shop", own_settings=False,
                         environment={"MILLRACE_MYSQL_PASSWORD": SECRET})
    assert first.code == 0, first
    assert {"users", "products", "inventory", "orders", "order_items", "payments", "outbox"} <= set(tables(mariadb, "shop"))
    assert mariadb.rows("SELECT COUNT(*) FROM products", "shop") == [(6,)]
    made = tables(mariadb, "shop"), content(mariadb, "shop")
    second = millrace.run("init-db", "--url", f"mysql://shop@127.0.0.1:{mariadb.port}/shop", own_settings=False,
                         environment={"MILLRACE_MYSQL_PASSWORD": SECRET})
    assert second.code == 0 and "up to date" in second.out, second
    assert (tables(mariadb, "shop"), content(mariadb, "shop")) == made

    millrace.start()
    walk(millrace)
    assert not (millrace.data / "mysql").exists(), "no server of our own"
    millrace.stop()
    assert mariadb.rows("SELECT COUNT(*) FROM orders", "shop") == [(2,)]
    assert SECRET not in millrace.logs() and urllib.parse.quote(SECRET, safe="") not in millrace.logs() + first.out + second.out


def test_init_db_without_the_sample_shop_makes_an_empty_one(mariadb, make):
    done = make().run("init-db", "--no-sample", own_settings=False, environment={"MILLRACE_MYSQL_URL": mariadb.chief_url("bare")})
    assert done.code == 0, done
    assert mariadb.rows("SELECT COUNT(*) FROM products", "bare") == [(0,)]
    assert mariadb.rows("SELECT COUNT(*) FROM users", "bare") == [(0,)]


def test_init_db_says_what_is_wrong_with_the_account(mariadb, make):
    millrace = make()
    url = f"mysql://shop@127.0.0.1:{mariadb.port}/"
    wrong = millrace.run("init-db", "--url", url + "shop", own_settings=False, environment={"MILLRACE_MYSQL_PASSWORD": "wrong-word"})
    barred = millrace.run("init-db", "--url", url + "other", own_settings=False, environment={"MILLRACE_MYSQL_PASSWORD": SECRET})
    for done in (wrong, barred):
        assert done.code not in (0, 1), done
        assert done.complaint()
        assert "wrong-word" not in done.err and SECRET not in done.err
    assert "shop" in wrong.complaint()
    assert "other" in barred.complaint()


def test_the_mysql_script_does_what_init_db_does_and_up_runs_on_it(make, mariadb):
    client = server_program("mariadb", "mysql")
    for _ in range(2):
        with (REPOSITORY / "scripts/init-mysql.sql").open("rb") as script:
            done = subprocess.run([client, "--no-defaults", "--protocol=tcp", "--host=127.0.0.1", f"--port={mariadb.port}",
                                   "--user=chief", "--password=chief"], stdin=script, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
    millrace = make(**{"mysql.embedded": False, "mysql.port": mariadb.port, "mysql.user": "chief", "mysql.password": "chief"})
    made = tables(mariadb, "ecommerce"), content(mariadb, "ecommerce")

    init = millrace.run("init-db")
    assert init.code == 0 and "up to date" in init.out, init
    assert (tables(mariadb, "ecommerce"), content(mariadb, "ecommerce")) == made
    assert millrace.run("init-db", own_settings=False, environment={"MILLRACE_MYSQL_URL": mariadb.chief_url("compared")}).code == 0
    assert tables(mariadb, "compared") == made[0]

    millrace.start()
    walk(millrace)


def statements(script):
    """Split at semicolons that end a line, as the client does."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    return [text.strip() for text in "\n".join(lines).split(";\n") if text.strip(" \n;")]


def test_the_clickhouse_script_does_what_init_warehouse_does_and_up_runs_on_it(make):
    script = (REPOSITORY / "scripts/init-clickhouse.sql").read_text()
    millrace = make(**{"clickhouse.embedded": False})
    warehouse = Warehouse(millrace.home / "warehouse", mark="")
    millrace.settings["clickhouse.port"] = warehouse.port
    try:
        wait_until(lambda: millrace.clickhouse("SELECT 1"), "the test's own warehouse answers")
        for _ in range(2):
            for statement in statements(script):
                millrace.clickhouse(statement)
        shown = "SELECT name, engine, create_table_query FROM system.tables WHERE database = 'analytics' ORDER BY name"
        made = millrace.clickhouse(shown)
        assert {"orders_analytics", "daily_sales_mv", "hourly_sales_mv", "order_status_mv", "user_analytics_mv",
                "product_ranking_mv"} <= {row[0] for row in made}

        init = millrace.run("init-warehouse")
        assert init.code == 0, init
        assert millrace.clickhouse(shown) == made

        millrace.start()
        walk(millrace)
        assert not (millrace.data / "clickhouse").exists(), "no warehouse of our own"
        millrace.stop()
        assert warehouse.process.poll() is None, "it was left alone"
    finally:
        assert warehouse.stop() == 0


def test_up_says_which_server_of_ours_is_away_and_leaves_nothing_running(make):
    nowhere = free_port()
    for settings in ({"mysql.embedded": False, "mysql.port": nowhere}, {"clickhouse.embedded": False, "clickhouse.port": nowhere}):
        millrace = make(**settings)
        done = millrace.run("up")
        assert done.code == 5, done
        assert str(nowhere) in done.complaint()
        assert not millrace.processes()


def test_a_role_alone_serves_the_api_beside_a_running_stack(make):
    whole = make().start()
    api = make(**{**whole.settings, "api.port": free_port()})
    assert isinstance(api, Millrace)
    api.process = api.begin("api", stdout=subprocess.DEVNULL, stderr=api.log_file().open("wb"))
    api.wait_ready()

    order = api.order("user-3", [("prod-5", 1)])

    assert whole.get("/api/orders/" + order["id"]) == order
    wait_until(lambda: api.get("/api/analytics/stats")["total_orders"] == 1, "the relay of the other process finds the order")
    api.stop()
    assert whole.http("GET", "/healthz").status == 200


@pytest.fixture
def settings_of_others(mariadb):
    """Global settings that a server may have, for one test."""
    before = {}

    def set_global(name, value):
        before.setdefault(name, mariadb.rows(f"SELECT @@GLOBAL.{name}")[0][0])
        mariadb.rows(f"SET GLOBAL {name} = {value}")

    yield set_global
    for name, value in before.items():
        mariadb.rows(f"SET GLOBAL {name} = '{value}'" if isinstance(value, str) else f"SET GLOBAL {name} = {value}")


def test_sessions_do_not_depend_on_the_servers_defaults(make, mariadb, settings_of_others):
    mariadb.rows("CREATE DATABASE defaults_of_others")
    settings_of_others("autocommit", 0)  # without it nobody would commit the row of a job
    settings_of_others("max_statement_time", 0.05)  # a verification and a rebuild read for longer
    settings_of_others("sql_mode", "'ANSI'")
    settings_of_others("tx_isolation", "'SERIALIZABLE'")
    millrace = make(**{"mysql.port": None, "mysql.embedded": False, "mysql.url": mariadb.chief_url("defaults_of_others")})
    millrace.start()
    walk(millrace)
    rebuilt = millrace.run("rebuild")
    assert (rebuilt.code, "job 1 (rebuild) is done" in rebuilt.out) == (0, True), rebuilt
    millrace.verify()
    millrace.stop()


def test_a_server_that_wants_encryption_is_recognised(make, mariadb):
    def require(value):
        with pymysql.connect(unix_socket=str(mariadb.folder / "s"), user="root") as connection, connection.cursor() as cursor:
            cursor.execute(f"SET GLOBAL require_secure_transport = {value}")

    millrace = make(**{"mysql.port": None, "mysql.embedded": False, "mysql.url": mariadb.url("shop")})
    require(1)
    try:
        refused = millrace.run("init-db")
    finally:
        require(0)
    # MySQL says what it wants (3159); MariaDB says "access denied", as to a wrong password.
    assert refused.code == 7 and "?tls=on" in refused.complaint(), refused
