"""Passwords are made, kept and used so that nobody but their owner finds them: not in files, logs, answers or lists of processes."""
import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import pymysql
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from system import REPOSITORY, Millrace, ask, free_port, wait_until  # noqa: E402
from test_tools import Terminal  # noqa: E402

KNOWN = "test123"
REFUSED = 1045  # MariaDB: access denied


class Kept(Millrace):
    """A stack whose passwords are those in its data directory."""
    dev_credentials = False

    @property
    def credentials_file(self):
        return self.data / "credentials.toml"

    def credentials(self):
        return tomllib.loads(self.credentials_file.read_text())

    def mysql_login(self, user, password):
        """None if it is taken, else the server's error number."""
        try:
            pymysql.connect(host="127.0.0.1", port=self.settings["mysql.port"], user=user, password=password, connect_timeout=20).close()
        except pymysql.MySQLError as error:
            return error.args[0]
        return None

    def warehouse_takes(self, user, password):
        answer = ask(self.settings["clickhouse.port"], "POST", "/", b"SELECT 1", {"X-ClickHouse-User": user, "X-ClickHouse-Key": password})
        assert (answer.status == 200) == (answer.body == b"1\n"), answer
        return answer.status == 200

    def takes_kept_ones_alone(self):
        kept = self.credentials()
        assert self.mysql_login(kept["mysql"]["user"], kept["mysql"]["password"]) is None
        assert self.mysql_login("root", kept["mysql"]["root_password"]) is None
        assert self.warehouse_takes(kept["clickhouse"]["user"], kept["clickhouse"]["password"])
        for user in ("root", "admin"):
            assert self.mysql_login(user, KNOWN) == REFUSED
            assert self.mysql_login(user, "") == REFUSED
        assert not self.warehouse_takes("admin", KNOWN)
        assert not self.warehouse_takes("admin", "")
        return [kept["mysql"]["password"], kept["mysql"]["root_password"], kept["clickhouse"]["password"]]

    def takes_known_ones(self):
        assert self.mysql_login("root", KNOWN) is None and self.mysql_login("admin", KNOWN) is None
        assert self.warehouse_takes("admin", KNOWN)


@pytest.fixture
def make():
    folder = Path(tempfile.mkdtemp(prefix="millrace-security-"))
    instances = []

    def new(**settings):
        instances.append(Kept(folder / f"instance-{len(instances) + 1}", **settings))
        return instances[-1]

    try:
        yield new
        for instance in instances:
            instance.close()
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        for instance in instances:
            instance.may_have_ended = True
            instance.close()
            Millrace.all_of_this_test.remove(instance)


def texts_below(folder, but=()):
    """(path, bytes) of every file."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path not in but:
            yield path, path.read_bytes()


def finds(texts, words):
    """Which of the words are where; they are sought in bytes."""
    return [f"{word[:6]}… in {path}" for path, text in texts for word in words if word.encode() in text]


# Made at the first start

def test_the_first_start_makes_passwords_that_later_ones_and_all_tools_use(make):
    millrace = make().start()
    passwords = millrace.takes_kept_ones_alone()
    assert len(set(passwords)) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22,}", password) for password in passwords), "128 bits that need no escaping"
    assert stat.S_IMODE(millrace.credentials_file.stat().st_mode) == 0o600
    assert not finds(texts_below(millrace.home, but=[millrace.credentials_file]), passwords)
    assert finds(texts_below(millrace.home), passwords), "the search finds what is there"

    order = millrace.order()
    for words in (["verify", "--patience", "60s"], ["init-db"], ["init-warehouse"],
                  ["load", "--rate", "20", "--duration", "1s", "--watch"], ["backfill"]):
        done = millrace.run(*words)
        assert done.code == 0, (words, done)
        assert not [password for password in passwords if password in done.out + done.err]
    variables = {"MILLRACE_DATA_DIR": str(millrace.data), "MILLRACE_MYSQL_PORT": str(millrace.settings["mysql.port"]),
                 "MILLRACE_CLICKHOUSE_PORT": str(millrace.settings["clickhouse.port"])}
    environment = millrace.environment(variables)
    for script, words in (("mysql-shell", ["-N", "-e", "SELECT id FROM orders"]), ("clickhouse-shell", ["SELECT 40 + 2"])):
        done = subprocess.run([REPOSITORY / "scripts" / script, *words], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and (order["id"] in done.stdout or "42" in done.stdout), done

    millrace.stop()
    millrace.start()
    assert millrace.takes_kept_ones_alone() == passwords
    assert millrace.get("/api/orders/" + order["id"]) == order


def test_in_the_background_they_are_shown_once_and_are_others_in_another_directory(make):
    first, other = make(), make()
    said = []
    try:
        for millrace in (first, other, first):
            process = millrace.begin("up", "--detach", stdout=subprocess.PIPE, text=True)
            said.append(process.communicate(timeout=200)[0])
            assert process.returncode == 0, said
            passwords = millrace.takes_kept_ones_alone()
            if millrace is first and len(said) == 1:
                assert all(password in said[0] for password in passwords), said[0]
                assert not finds(texts_below(first.home, but=[first.credentials_file]), passwords), "logs and status have none"
                assert first.run("down").code == 0
        assert not [password for password in first.takes_kept_ones_alone() if password in said[2]], "once"
        assert str(first.credentials_file) in said[2]
        assert not set(first.takes_kept_ones_alone()) & set(other.takes_kept_ones_alone())
    finally:
        for millrace in (first, other):
            assert millrace.run("down").code == 0


def test_on_a_terminal_they_are_shown_by_the_first_start_alone(make):
    millrace = make()
    for shown in (True, False):
        terminal = Terminal(millrace, "up")
        try:
            millrace.wait_ready()
            passwords = millrace.takes_kept_ones_alone()
            wait_until(lambda: "running for" in terminal.read(), "the screen is drawn")
            wait_until(lambda: f"process {millrace.pid_of('mariadbd')}" in terminal.read(), "the whole of it")
            terminal.press(b"\x03")
            wait_until(lambda: [terminal.read(), millrace.process.poll() is not None][1], "it ends")
            assert all((password in terminal.read()) == shown for password in passwords)
        finally:
            terminal.close()


def test_known_ones_are_for_those_who_ask_for_them_and_can_be_left_again(make):
    millrace = make()
    millrace.start("--dev-credentials")
    millrace.takes_known_ones()
    assert "development credentials" in millrace.log_file().read_text()
    assert stat.S_IMODE(millrace.credentials_file.stat().st_mode) == 0o600
    assert millrace.run("verify").code == 0
    order = millrace.order()
    millrace.stop()

    millrace.start()
    generated = millrace.takes_kept_ones_alone()
    assert millrace.run("verify").code == 0
    millrace.stop()

    # What an earlier version left: the known password in the tables, and no file.
    millrace.credentials_file.unlink()
    millrace.start()
    assert not set(millrace.takes_kept_ones_alone()) & set(generated)
    assert millrace.get("/api/orders/" + order["id"]) == order
    millrace.stop()

    millrace.start("--dev-credentials")
    millrace.takes_known_ones()


def test_a_setting_wins_over_both_and_is_not_kept(make):
    millrace = make(**{"mysql.password": "own-" + secrets.token_hex(8), "clickhouse.password": "own-" + secrets.token_hex(8)})
    millrace.start("--dev-credentials")
    assert millrace.mysql_login("admin", millrace.settings["mysql.password"]) is None
    assert millrace.warehouse_takes("admin", millrace.settings["clickhouse.password"])
    assert millrace.mysql_login("admin", KNOWN) == REFUSED and not millrace.warehouse_takes("admin", KNOWN)
    assert not finds(texts_below(millrace.data), [millrace.settings["mysql.password"], millrace.settings["clickhouse.password"]])
    assert millrace.run("verify").code == 0
    millrace.settings["mysql.password"] = millrace.settings["clickhouse.password"] = None
    lost = millrace.run("verify")
    assert lost.code == 3 and "mysql.password" in lost.complaint(), lost


# Not on the command line

SECRET_WORDS = {
    "a password": ["up", "--mysql-password", "MARKER"],
    "a password behind an equals sign": ["up", "--mysql-password=MARKER"],
    "in front of the command": ["--clickhouse-password", "MARKER", "verify"],
    "a URL with one": ["up", "--mysql-url", "mysql://root:MARKER@127.0.0.1:1/x"],
    "Kafka's": ["relay", "--kafka-client", "sasl.password=MARKER"],
    "with config": ["config", "--kafka-client=sasl.password=MARKER"],
    "a warehouse's URL": ["up", "--clickhouse-embedded", "false", "--clickhouse-url", "http://admin:MARKER@127.0.0.1:1"],
    "a warehouse's URL with parameters": ["config", "--clickhouse-url", "http://127.0.0.1:1/?password=MARKER"],
    "brokers": ["config", "--kafka-brokers", "millrace:MARKER@127.0.0.1:1"],
    "init-db's URL": ["init-db", "--url", "mysql://shop:MARKER@127.0.0.1:1/shop"],
    "beside a word that is not understood": ["up", "--mysql-password", "MARKER", "--no-such-flag", "MARKER"],
}


@pytest.mark.parametrize("words", SECRET_WORDS.values(), ids=SECRET_WORDS.keys())
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(make, words):
    marker = secrets.token_hex(8)
    millrace = make()
    done = millrace.run(*(word.replace("MARKER", marker) for word in words), own_settings=False)
    assert done.code == 2, done
    assert len(done.err.splitlines()) == 1 and not done.out, done
    assert marker not in done.err
    assert re.search(r"MILLRACE_\w+|clickhouse\.password|kafka\.client", done.complaint()) and "file" in done.complaint(), done.err


def test_no_secret_is_among_the_flags_of_the_help(make):
    shown = make().run("--help", own_settings=False).out
    assert "--mysql-password-file" in shown and "--kafka-client-file" in shown
    assert not re.search(r"--(mysql-password|mysql-url|clickhouse-password|kafka-client)\b(?!-file)", shown)


def test_files_with_secrets_must_be_closed_to_others(make):
    millrace = make()
    marker = secrets.token_hex(8)
    file = millrace.home / "password"
    file.write_text(marker + "\n")
    file.chmod(0o644)
    refused = millrace.run("config", "--mysql-password-file", file, own_settings=False)
    assert refused.code == 2 and f"chmod 600 {file}" in refused.complaint() and marker not in refused.err
    file.chmod(0o600)
    taken = millrace.run("config", "--mysql-password-file", file, own_settings=False)
    assert taken.code == 0 and not taken.err and marker not in taken.out

    configuration = millrace.home / "millrace.toml"
    configuration.write_text(f'[clickhouse]\npassword = "{marker}"\n')
    configuration.chmod(0o644)
    warned = millrace.run("config", own_settings=False)
    assert warned.code == 0 and warned.err.count("chmod 600") == 1 and marker not in warned.out + warned.err
    configuration.chmod(0o600)
    assert not millrace.run("config", own_settings=False).err


def test_a_tool_without_credentials_says_in_one_line_what_to_do(make):
    millrace = make()
    for command in ("verify", "init-db", "init-warehouse", "backfill", "api"):
        done = millrace.run(command)
        assert done.code == 3, done
        assert len(done.err.splitlines()) == 1 and "--data-dir" in done.complaint() and "credentials.toml" in done.complaint()


# Nowhere else

class Markers(Kept):
    """A stack with secrets of ours in every place that takes one."""

    def __init__(self, home):
        super().__init__(home)
        self.words = {name: f"{name}-{secrets.token_hex(12)}" for name in ("mysql", "clickhouse", "kafka", "connect")}
        self.secret_file = self.home / "mysql-password"
        self.secret_file.touch(0o600)
        self.secret_file.write_text(self.words["mysql"] + "\n")
        self.settings |= {"mysql.password_file": str(self.secret_file), "clickhouse.password": self.words["clickhouse"],
                          "kafka.client": f"sasl.password={self.words['kafka']}", "connect.port": free_port()}
        self.answers = []

    def every_word(self):
        return [*self.words.values(), self.credentials()["mysql"]["root_password"]]

    def http(self, method, path, body=None, headers=None):
        answer = super().http(method, path, body, headers)
        self.answers.append((f"{method} {path}", repr(answer.headers).encode() + answer.body))
        return answer

    def connect(self, method, path, body=None):
        answer = ask(self.settings["connect.port"], method, path, body)
        self.answers.append((f"Connect {method} {path}", repr(answer.headers).encode() + answer.body))
        return answer

    def as_root(self, sql):
        connection = pymysql.connect(host="127.0.0.1", port=self.settings["mysql.port"], user="root", database="ecommerce",
                                     password=self.credentials()["mysql"]["root_password"], autocommit=True)
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)

    def in_warehouse(self, sql):
        answer = ask(self.settings["clickhouse.port"], "POST", "/", sql,
                     {"X-ClickHouse-User": "admin", "X-ClickHouse-Key": self.words["clickhouse"]})
        assert answer.status == 200, answer

    def log_texts(self):
        """Of all processes, and what they write of themselves; not their data, which is where e-mail addresses belong."""
        stores = [self.data / part for part in ("mysql/data", "clickhouse/data", "event-log")]
        return [(path, text) for path, text in texts_below(self.home, but=[self.credentials_file, self.secret_file])
                if not any(path.is_relative_to(store) for store in stores)]


@pytest.fixture(scope="module")
def marked():
    folder = Path(tempfile.mkdtemp(prefix="millrace-security-"))
    millrace = Markers(folder / "marked")
    try:
        yield millrace.start()
        millrace.close()
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        millrace.may_have_ended = True
        millrace.close()
        Millrace.all_of_this_test.remove(millrace)


TELLING = re.compile(rb"SELECT|INSERT|UPDATE|FROM |WHERE|127\.0\.0\.1|localhost|admin@|ecommerce|users\.|analytics\.|DB::|Exception|"
                     rb"errno|/data|Unknown column|doesn't exist|/tmp", re.IGNORECASE)


def tells_nothing(millrace, answer, logged):
    """An error of a database: a sentence of ours and the name under which the log, and nobody else, has the rest."""
    text = answer.json
    assert answer.headers["content-type"] == "application/problem+json"
    assert not TELLING.search(text["detail"].encode()), text
    assert set(text) == {"type", "title", "status", "detail", "instance", "requestId"}, text
    assert text["requestId"] == answer.headers["x-request-id"]
    lines = [line for line in millrace.log_file().read_text().splitlines() if text["requestId"] in line]
    assert len(lines) == 1 and logged in lines[0], (lines, logged)


def test_an_error_of_the_order_store_goes_to_the_log_and_not_to_the_client(marked):
    marked.as_root("ALTER TABLE users CHANGE phone phone_hidden VARCHAR(64) NULL")
    try:
        for path in ("/api/users", "/api/users/user-1", "/api/users/email/who%40example.org"):
            answer = marked.http("GET", path)
            assert answer.status in (400, 500, 503), answer
            tells_nothing(marked, answer, "phone")
        named = marked.http("GET", "/api/users", headers={"X-Request-Id": "mine-42"})
        assert named.json["requestId"] == "mine-42"
        for bad in ('a"b', "x" * 65, "a b", "<script>"):
            answer = marked.http("GET", "/api/users", headers={"X-Request-Id": bad})
            assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"]), answer.headers
    finally:
        marked.as_root("ALTER TABLE users CHANGE phone_hidden phone VARCHAR(64) NULL")
    assert marked.http("GET", "/api/users/user-1").status == 200


def test_an_error_of_the_warehouse_goes_to_the_log_and_not_to_the_client(marked):
    marked.in_warehouse("RENAME TABLE analytics.daily_sales_mv TO analytics.daily_sales_hidden")
    try:
        answer = marked.http("GET", "/api/analytics/daily-sales")
        assert answer.status in (500, 503)
        tells_nothing(marked, answer, "daily_sales_mv")
    finally:
        marked.in_warehouse("RENAME TABLE analytics.daily_sales_hidden TO analytics.daily_sales_mv")


def test_a_wrong_password_of_a_warehouse_is_not_told_to_clients(marked):
    settings = {**marked.settings, "api.port": free_port(), "clickhouse.password": marked.words["kafka"] + "-wrong", "kafka.client": None}
    other = Kept(marked.home / "other", **settings)
    try:
        other.process = other.begin("api", stdout=subprocess.DEVNULL, stderr=other.log_file().open("wb"))
        wait_until(lambda: ask(other.api_port, "GET", "/healthz").status == 200, "it serves")
        answer = other.http("GET", "/api/analytics/stats")
        assert answer.status == 500
        tells_nothing(other, answer, "warehouse")
        health = other.http("GET", "/api/analytics/health")
        assert (health.status, health.json) == (503, {"status": "unhealthy", "clickhouse": False})
        verify = marked.run("verify", environment={"MILLRACE_CLICKHOUSE_PASSWORD": marked.words["kafka"] + "-wrong"})
        assert verify.code not in (0, 1) and not finds([("verify", (verify.out + verify.err).encode())], marked.every_word())
    finally:
        other.close()
        Millrace.all_of_this_test.remove(other)


SHOWN_CONFIG = {"password": "[hidden]", "passwd": "[hidden]", "apikey": "[hidden]", "basic.auth.user.info": "[hidden]",
                "ssl.key.pem": "[hidden]", "proxyAuth": "[hidden]"}


def test_connect_hides_what_a_configuration_holds(marked):
    word = marked.words["connect"]
    config = {"connector.class": "com.clickhouse.kafka.connect.ClickHouseSinkConnector", "topics": "orders_analytics",
              "database": "analytics", "username": "admin", "jdbcConnectionProperties": f"?user=admin&password={word}",
              "proxy.url": f"http://proxy:{word}@127.0.0.1:1", **{key: word for key in SHOWN_CONFIG}}
    name = "clickhouse-sink-orders"
    put = marked.connect("PUT", f"/connectors/{name}/config", config)
    assert put.status in (200, 201), put
    shown = marked.connect("GET", f"/connectors/{name}/config").json
    assert SHOWN_CONFIG.items() <= shown.items() and shown["username"] == "admin"
    assert shown["proxy.url"] == "http://***@127.0.0.1:1" and shown["jdbcConnectionProperties"] == "?user=admin&password=***"
    again = marked.connect("PUT", f"/connectors/{name}/config", shown)
    assert again.status == 200 and marked.connect("GET", f"/connectors/{name}/config").json == shown
    for path in ("/connectors?expand=info&expand=status", f"/connectors/{name}", f"/connectors/{name}/tasks"):
        assert marked.connect("GET", path).status == 200
    assert marked.connect("PUT", "/connector-plugins/ClickHouseSink/config/validate", {**config, "topics": "x"}).status == 200
    assert marked.connect("PUT", f"/connectors/{name}/config", {**config, "topics": "x"}).status == 400


def test_after_traffic_and_trouble_no_secret_is_anywhere(marked):
    order = marked.order("user-1", [("prod-2", 1)])
    marked.http("GET", "/api/orders/%27%20OR%201%3D1%20--")
    marked.http("GET", "/api/products/category/%5C%27%3B%20DROP%20TABLE%20users%3B")
    marked.http("GET", "/api/users/email/%F0%9F%92%A5%40%22%27")
    marked.http("GET", "/api/analytics/daily-sales?startDate=2026-01-01%27&limit=x")
    marked.http("PATCH", "/api/inventory/prod-1%27", {"quantity": 2**70})
    marked.http("POST", "/api/orders", {"userId": "user-1'", "items": [{"productId": "prod-1\\", "quantity": 1}]})
    admin = {"X-Admin-Id": "me"}
    marked.http("POST", "/admin/jobs", {"kind": "replay", "topic": "orders_analytics", "from": "'"}, admin)
    for path in ("/admin/jobs", "/admin/dead-letters", "/admin/dead-letters/order.events/0/99", "/metrics", "/healthz", "/readyz",
                 "/api/kafka/topics/no-such", "/api/kafka/cluster"):
        marked.http("GET", path, headers=admin)

    os.kill(marked.pid_of("mariadbd"), 9)
    statuses = {marked.http("GET", "/api/orders/" + order["id"]).status for _ in range(20) if not time.sleep(0.02)}
    wait_until(lambda: marked.http("GET", "/api/orders/" + order["id"]).status == 200, "the order store is back")
    assert statuses <= {200, 503}, statuses
    os.kill(marked.pid_of("millrace-warehouse"), 9)
    assert marked.http("GET", "/api/analytics/stats").status in (200, 503)
    wait_until(lambda: marked.http("GET", "/api/analytics/stats").status == 200, "the warehouse is back")
    marked.verify()

    words = marked.every_word()
    commands = [(f"process {pid}", Path(f"/proc/{pid}/cmdline").read_bytes()) for pid in marked.processes()]
    assert len(commands) >= 3
    tools = [(" ".join(tool), (done.out + done.err).encode()) for tool in
             (["config"], ["ps", "--json"], ["logs", "--lines", "100000"], ["verify", "--json"]) for done in [marked.run(*tool)]]
    assert not finds([*marked.answers, *commands, *tools], words)
    assert not finds(texts_below(marked.home, but=[marked.credentials_file, marked.secret_file]), words)
    assert len(finds(texts_below(marked.home), words)) == 2, "the search finds them where they are kept"

    emails = [user["email"] for user in marked.get("/api/users")]
    assert emails
    metrics = ("/metrics", marked.http("GET", "/metrics").body)
    assert not finds([*marked.log_texts(), *commands, metrics], [*emails, "who@example.org"])
    assert (marked.data / "status.json") in [path for path, _ in marked.log_texts()]
