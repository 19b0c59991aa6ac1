"""The confinement alone, with no guard before it: what SQL asks for outside of the data directory does not happen."""
import ctypes
import errno
import os
import re
import struct
import subprocess
from pathlib import Path

import pytest
import variants
from attacks import ATTACKS, COMMAND, CONNECT, READ, SECRET, WRITE
from conftest import unguarded

IDS = [attack.name for attack in ATTACKS]
SEED = int(os.environ.get("MILLRACE_SECURITY_SEED", "20261128"))


def landlock_of(program):
    found = re.search(r"confined by Landlock (\d+) and seccomp", program.log_text())
    return int(found.group(1)) if found else 0


@pytest.mark.parametrize("attack", ATTACKS, ids=IDS)
def test_nothing_outside_is_reached(attack, confined, outside):
    if attack.breach in (READ, WRITE, SECRET) and not landlock_of(confined):
        pytest.skip("this kernel has no Landlock that can be used")
    seen, answers = outside.breaches_of(attack, confined)
    assert seen == set(), answers
    assert confined.lives(), confined.log_text()


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack.works], ids=lambda attack: attack.name)
def test_the_same_is_reached_without_the_confinement(attack, unconfined, outside):
    """The suite's own proof: each of these is seen when nothing holds it back."""
    seen, answers = outside.breaches_of(attack, unconfined)
    assert attack.breach in seen, answers


def test_every_kind_of_breach_has_attacks_that_work():
    for kind in (READ, WRITE, COMMAND, CONNECT, SECRET):
        assert sum(attack.works for attack in ATTACKS if attack.breach == kind) >= 2, kind


def test_every_thread_is_held(confined):
    statuses = confined.statuses()
    assert len(statuses) > 5  # the engine's, too
    for status in statuses:
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), status["Name"]
    assert re.search(r"Max core file size +1 +1 ", Path(f"/proc/{confined.process.pid}/limits").read_text())


def test_the_log_says_what_is_in_force(confined, unconfined):
    assert "confined by " in confined.log_text() and "[warning]" not in confined.log_text()
    assert "--unconfined" in unconfined.log_text() and "[warning]" in unconfined.log_text()
    assert "confined by " not in unconfined.log_text()
    assert {status["Seccomp"] for status in unconfined.statuses()} == {os_seccomp()}


def os_seccomp():
    """What this process itself is under: a container may have put a filter on everything."""
    return re.search(r"Seccomp:\t(\d)", Path("/proc/self/status").read_text()).group(1)


def test_the_password_is_not_shown_by_proc(confined, unconfined):
    for program in (confined, unconfined):
        assert program.password.encode() not in Path(f"/proc/{program.process.pid}/environ").read_bytes()


def test_its_own_address_space_is_not_written_through_proc(confined):
    """/proc/self may be read, not written: memory could be changed there."""
    answer = confined.send("INSERT INTO FUNCTION file('/proc/self/mem', 'RawBLOB', 's String') SELECT 'x'")[1].decode()
    assert "errno: 13" in answer or "Permission denied" in answer, answer
    assert confined.lives()


def test_other_ways_to_write_them_meet_the_wall_as_well(confined, outside):
    """None of them is stopped before the engine, whatever a guard would make of it."""
    for attack in variants.made(200, SEED):
        seen, answers = outside.breaches_of(attack, confined)
        assert seen == set(), f"seed {SEED}: {attack}\n{answers}"
        if not confined.lives():
            assert attack.may_end, f"seed {SEED}: {attack}"
            confined.restart()


def without_landlock():
    """For a child: answers landlock_create_ruleset as a kernel does that is older than Landlock."""
    ALLOW, FAIL = 0x7FFF0000, 0x00050000 | errno.ENOSYS
    LANDLOCK_CREATE_RULESET = 444
    steps = b"".join(struct.pack("HBBI", *step) for step in (
        (0x20, 0, 0, 0),  # the call's number
        (0x15, 0, 1, LANDLOCK_CREATE_RULESET),
        (0x06, 0, 0, FAIL),
        (0x06, 0, 0, ALLOW)))
    program = ctypes.create_string_buffer(steps, len(steps))
    filter_ = struct.pack("HxxxxxxQ", 4, ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.prctl(PR_SET_SECCOMP, MODE_FILTER, filter_, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def test_without_landlock_it_warns_and_keeps_seccomp(start, outside):
    program = start(preexec_fn=without_landlock)
    assert "the kernel has no Landlock" in program.log_text() and "confined by seccomp alone" in program.log_text()
    for attack in ATTACKS:
        if attack.name in ("SOURCE(EXECUTABLE)", "url()", "remote()", "mysql()"):
            seen, answers = outside.breaches_of(attack, program)
            assert seen == set(), answers
        if attack.name == "file()":  # the filter above does what it should
            assert outside.breaches_of(attack, program)[0] == {READ}


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack.name in (
    "file()", "INSERT INTO FUNCTION file()", "ENGINE = File", "url()", "ENGINE = URL", "remote()", "mysql()", "postgresql()", "s3()",
    "ENGINE = Filesystem", "a sqlite file", "a database of MySQL")], ids=lambda attack: attack.name)
def test_the_engines_own_rights_refuse_it_too(attack, rights_alone, outside):
    seen, answers = outside.breaches_of(attack, rights_alone)
    assert seen == set() and "ACCESS_DENIED" in answers, answers


@pytest.fixture(scope="module")
def rights_alone():
    from conftest import Program
    program = Program("--unconfined", "--restricted-rights")
    yield program
    program.remove()


def test_a_configuration_in_the_working_directory_is_not_taken(start, tmp_path):
    """The library by itself reads ./config.xml, and with it users, rights and paths."""
    (tmp_path / "config.xml").write_text("<clickhouse><max_server_memory_usage>1234567890</max_server_memory_usage></clickhouse>")
    program = start("--unconfined", cwd=tmp_path)
    limit = program.ask("SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'")
    assert limit.strip() not in ("", "1234567890")


def test_the_engines_configuration_is_gone_when_it_serves(confined):
    assert not [name for name in os.listdir(confined.data) if "configuration" in name]


def test_ordinary_work_goes_on(start):
    program = start()
    program.ask("CREATE TABLE t (a UInt64, s String, d DateTime) ENGINE = MergeTree PARTITION BY a % 3 ORDER BY a "
                "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1")
    for _ in range(5):
        program.ask("INSERT INTO t SELECT number, toString(number), now() FROM numbers(200000)")
    program.ask("OPTIMIZE TABLE t FINAL")
    assert program.ask("SELECT count() FROM system.parts WHERE table = 't' AND active") == "3\n"
    program.ask("ALTER TABLE t UPDATE s = 'changed' WHERE a < 10 SETTINGS mutations_sync = 2")
    program.ask("ALTER TABLE t DELETE WHERE a >= 100000 SETTINGS mutations_sync = 2")
    assert program.ask("SELECT count(), countIf(s = 'changed') FROM t") == "500000\t50\n"

    spilled = "SELECT count(), sum(c) FROM (SELECT number % 700000 AS k, count() AS c FROM numbers(2000000) GROUP BY k)"
    assert program.ask(spilled, max_bytes_before_external_group_by="2000000", max_bytes_ratio_before_external_group_by="0",
                       log_comment="spill") == "700000\t2000000\n"
    sorted_ = "SELECT max(a) FROM (SELECT a FROM t ORDER BY s, a)"
    assert program.ask(sorted_, max_bytes_before_external_sort="1000000", max_bytes_ratio_before_external_sort="0") == "99999\n"
    assert program.ask("SELECT sum(a * 2 + length(s) + 1) > 0 FROM t", compile_expressions="1", min_count_to_compile_expression="0") == "1\n"
    assert program.ask("SELECT sum(a) > 0 FROM t", min_bytes_to_use_direct_io="1") == "1\n"
    assert program.ask("SELECT toString(toDateTime('2026-07-01 12:00:00', 'UTC'), 'Europe/Berlin')") == "2026-07-01 14:00:00\n"
    for table in ("databases", "tables", "columns", "parts", "metrics", "events", "processes", "mutations", "merges", "disks", "settings",
                  "functions", "data_type_families"):
        program.ask(f"SELECT * FROM system.{table} LIMIT 5")

    program.ask("RENAME TABLE t TO u")
    program.ask("CREATE DATABASE other")
    program.ask("RENAME TABLE u TO other.t")
    assert program.stop() == 0
    program.start()
    assert program.ask("SELECT count() FROM other.t") == "500000\n"
    program.ask("DROP TABLE other.t SYNC")
    program.ask("DROP DATABASE other")


def test_a_group_by_spills_to_disk(start):
    """That the case above does spill."""
    program = start()
    program.ask("SELECT count() FROM (SELECT number AS k, count() FROM numbers(3000000) GROUP BY k)",
                max_bytes_before_external_group_by="2000000", max_bytes_ratio_before_external_group_by="0")
    assert int(program.ask("SELECT value FROM system.events WHERE event = 'ExternalAggregationWritePart'")) > 0


def test_a_port_that_is_taken_ends_it_before_the_engine_is_opened(confined, tmp_path):
    ended = subprocess.run([unguarded(), "--path", str(tmp_path / "data"), "--port", str(confined.port)], capture_output=True, text=True,
                           timeout=60, env={**os.environ, "MILLRACE_WAREHOUSE_PASSWORD": "x"})
    assert ended.returncode == 2 and "cannot listen on" in ended.stderr
    assert not (tmp_path / "data").exists()
