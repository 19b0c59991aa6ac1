"""The guard alone: a program that is not confined refuses every attack of attacks.py and other ways to write them, and serves what only
looks like one. `test_wall.py` shows the other half, the confinement without the guard.
"""
import importlib.util
import os
import secrets
import socket
import threading
from pathlib import Path

import attacks
import pytest
import variants

VARIANTS = 200
SEED = int(os.environ.get("MILLRACE_SECURITY_SEED", "20261128"))
# ACCESS_DENIED and UNKNOWN_SETTING: the guard's own answers.
REFUSALS = (497, 115)


def _client():
    """The client of the program's own tests; theirs is a conftest, as ours may be, so it is loaded by its path."""
    path = Path(__file__).parent.parent / "integration" / "warehouse" / "conftest.py"
    spec = importlib.util.spec_from_file_location("warehouse_client", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Outside:
    """What lies and listens outside of the data directory, and what became of it."""

    def __init__(self, folder):
        self.folder = folder
        self.data = folder / "data"
        self.marker = folder / "marker"
        self.secret = "wall-marker-" + secrets.token_hex(16)
        self.marker.write_text(self.secret + "\n1\n", encoding="utf-8")
        self.victim = folder / "victim"
        self.victim.write_text("untouched\n", encoding="utf-8")
        self.target = folder / "target"
        self.inside = self.data / "ran"
        self.calls = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                connection, peer = self.listener.accept()
            except OSError:
                return
            self.calls.append(peer)
            connection.close()

    def words(self, database):
        return {"MARKER": self.marker, "FOLDER": self.folder, "ORACLE": "wall-oracle-yes", "TARGET": self.target, "VICTIM": self.victim,
                "PORT": self.listener.getsockname()[1], "INSIDE": self.inside, "DATA": self.data, "NEIGHBOUR": os.getpid(), "DB": database}

    def breaches(self):
        found = []
        if self.calls:
            found.append(f"called {len(self.calls)} times")
        if self.victim.read_text(encoding="utf-8") != "untouched\n" or self.marker.read_text(encoding="utf-8") != self.secret + "\n1\n":
            found.append("a file was changed")
        if self.inside.exists():
            found.append("a command ran")
        unknown = {path.name for path in self.folder.iterdir()} - {"data", "marker", "victim"}
        return found + [f"{name} was made" for name in sorted(unknown)]


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    made = Outside(tmp_path_factory.mktemp("guard"))
    yield made
    made.listener.close()


@pytest.fixture(scope="module")
def program(outside):
    started = _client().Warehouse(outside.data, "--unconfined")
    yield started
    assert started.stop() == 0, started.log_text()


def send(program, step):
    if step.method == "GET":
        return program.send(b"", method="GET", **{**step.parameters, "query": step.statement})
    return program.send(step.statement, method=step.method, **step.parameters)


def run(program, outside, attack, database):
    """The answers' codes; fails when anything came out of the data directory or into it."""
    program.ask(f"CREATE DATABASE {database}")
    try:
        answers = [send(program, step) for step in attack.with_words(outside.words(database))]
    finally:
        program.ask(f"DROP DATABASE {database}")
    shown = "\n".join(f"{answer.status} {answer.text}" for answer in answers)
    assert outside.secret not in shown, f"{attack}\n{shown}"
    assert outside.breaches() == [], f"{attack}\n{shown}"
    return [answer.code for answer in answers], shown


@pytest.mark.parametrize("attack", attacks.ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_refused_before_the_engine_sees_it(program, outside, attack):
    codes, shown = run(program, outside, attack, "guarded")
    if attack.works and attack.breach != attacks.SECRET:
        assert any(code in REFUSALS for code in codes), f"{attack}\n{shown}"


def test_other_ways_to_write_them_are_refused_as_well(program, outside):
    for number, attack in enumerate(variants.made(VARIANTS, SEED)):
        codes, shown = run(program, outside, attack, f"variant_{number}")
        assert any(code in REFUSALS for code in codes), f"seed {SEED}: {attack}\n{shown}"


# What holds the words of an attack and is none.
HARMLESS = [
    "CREATE TABLE harmless.file (format_schema String, url String, x UInt8 DEFAULT 1) ENGINE = MergeTree ORDER BY x",
    "INSERT INTO harmless.file (format_schema, url) VALUES ('file(', 'it''s url(x)'), (concat('a', 'b'), upper('c'))",
    "INSERT INTO harmless.file (format_schema, url) FORMAT JSONEachRow {\"format_schema\": \"file('x')\", \"url\": \"y\"}",
    "SELECT format_schema, url AS remote FROM harmless.file WHERE format_schema != 'SETTINGS dialect = 1'",
    "CREATE TABLE harmless.`select` (engine String) ENGINE = Memory",
    "SELECT engine FROM harmless.`select` WHERE engine = 'File'",
    "SELECT format('{} {}', toString(number), 'x') FROM numbers(2)",
    "SELECT\u00a01\u3000+ 1 /* file('x') /* nested */ */ -- url('y')",
    "SELECT * FROM format(JSONEachRow, '{\"a\": 1}')",
    "SELECT * FROM values('a UInt8, b String', (1, 'x'), (2, 'y'))",
    "WITH file AS (SELECT 1 AS a) SELECT a FROM file",
    "SELECT $$it's$$, $tag$ file('x') $tag$, {$x$:UInt8}",
    "SELECT 1 SETTINGS max_threads = 1, session_timezone = 'UTC', param_x = 1",
    "CREATE DICTIONARY harmless.d (x UInt64, url String) PRIMARY KEY x SOURCE(CLICKHOUSE(DB 'harmless' TABLE 'file')) LAYOUT(FLAT()) "
    "LIFETIME(0)",
    "SELECT dictGetOrDefault('harmless.d', 'url', toUInt64(7), 'none')",
    "CREATE FUNCTION IF NOT EXISTS harmless_f AS (x) -> concat(x, '!')",
    "SELECT harmless_f('a')",
    "DROP FUNCTION harmless_f",
    "ALTER TABLE harmless.file UPDATE url = 'z' WHERE x = 1 SETTINGS mutations_sync = 2",
    "ALTER TABLE harmless.file ADD COLUMN source String DEFAULT 'x'",
    "SELECT sumIf(x, url = 'z'), quantilesTDigestIf(0.5)(x, 1), anyLastOrNull(url) FROM harmless.file",
    "EXPLAIN PLAN indexes = 1 SELECT * FROM harmless.file WHERE x = 1",
    "SHOW CREATE TABLE harmless.file",
    "DROP DICTIONARY harmless.d",
    "DROP TABLE harmless.file SYNC",
]


def test_what_only_looks_like_an_attack_is_served(program):
    program.ask("CREATE DATABASE harmless")
    for statement in HARMLESS:
        parameters = {"param_$x$": "1"} if "{$x$" in statement else {}
        answer = program.send(statement, **parameters)
        assert answer.status == 200, f"{statement}\n{answer.text}"
    program.ask("DROP DATABASE harmless")


@pytest.mark.parametrize("name", ["dialect", "format_schema", "additional_result_filter", "output_format_schema", "implicit_select",
                                  "format_avro_schema_registry_url", "http_response_headers", "ADDITIONAL_RESULT_FILTER"])
def test_settings_in_the_url_are_a_closed_list(program, name):
    answer = program.send("SELECT 1", **{name: "x"})
    assert answer.code in REFUSALS, answer.text


def test_a_refusal_says_why(program):
    answer = program.send("SELECT * FROM file('x')")
    assert (answer.status, answer.code) == (403, 497)
    assert "file() is not served here: it reads files of the server" in answer.text, answer.text
