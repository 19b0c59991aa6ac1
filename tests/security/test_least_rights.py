"""Started by root, nothing runs as root, and no other user of the machine gets at the data; no statement reaches a file."""
import errno
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import uuid
from pathlib import Path

import pymysql
import pytest

from rights_fixtures import NOBODY, SYSTEM_USER, Guarded, as_user, need_root, status_of, system_uid
from system import PASSWORD, free_port, program, wait_until

CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def new_folder(mode):
    """Where everybody may go; its own mode decides who may enter it."""
    folder = Path(tempfile.mkdtemp(prefix="millrace-rights-"))
    folder.chmod(mode)
    return folder


def kafka_settings():
    """With a broker of its own where Java and the jars are installed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "millrace"
    if not shutil.which("java") or not list(cache.glob("kafka-*/complete")):
        return {}
    return {"event_log.kind": "kafka", "kafka.embedded": True, "kafka.replication_factor": 1, "kafka.min_in_sync": 1,
            "kafka.brokers": f"127.0.0.1:{free_port(also=(10_000,))}"}


@pytest.fixture(scope="module")
def open_house():
    """One in a directory that everybody may enter, started with umask 000 and with secrets in its environment."""
    need_root()
    folder = new_folder(0o755)
    millrace = Guarded(folder / "home", **kafka_settings())
    millrace.home.chmod(0o755)
    millrace.umask = 0
    millrace.dev_credentials = False
    millrace.own_secrets = {f"MILLRACE_{server}_PASSWORD": f"marker-{uuid.uuid4().hex}" for server in ("MYSQL", "CLICKHOUSE")}
    try:
        millrace.start()
        yield millrace
        millrace.stop()
    finally:
        millrace.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def make():
    """Makes instances in a directory that root alone may enter."""
    need_root()
    folder = new_folder(0o700)
    made = []

    def new(**settings):
        made.append(Guarded(folder / f"instance-{len(made) + 1}", **settings))
        return made[-1]

    try:
        yield new
        for millrace in made:
            millrace.close()
    finally:
        for millrace in made:
            millrace.may_have_ended = True
            millrace.close()
        shutil.rmtree(folder, ignore_errors=True)


def assert_unprivileged(millrace, uid):
    processes = millrace.processes()
    names = {Path(command.split(" ")[0]).name for command in processes.values()}
    assert names >= {"millrace", "mariadbd", "millrace-warehouse"}, processes
    for pid, command in processes.items():
        status = status_of(pid)
        assert {int(number) for number in status["Uid"]} == {uid}, command
        assert 0 not in {int(number) for number in status["Gid"]} and status["Groups"] == [], command
        assert {int(status[name][0], 16) for name in CAPABILITIES} == {0}, (command, status)
        assert status["NoNewPrivs"] == ["1"], command
        assert status["Seccomp"] == ["2"], command
        if pid != millrace.process.pid:
            assert os.getsid(pid) != os.getsid(millrace.process.pid), f"{command} has the terminal of millrace"
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max core file size +[01] +[01] ", limits, re.MULTILINE), (command, limits)


# Who runs

def test_no_process_has_a_right_of_root(open_house):
    assert_unprivileged(open_house, system_uid())
    if "kafka.brokers" in open_house.settings:
        assert any("kafka.Kafka" in command for command in open_house.processes().values())


def test_no_process_shows_a_secret(open_house):
    processes = open_house.processes()
    assert len(processes) >= 3
    for pid, command in processes.items():
        for name in ("environ", "cmdline"):
            shown = Path(f"/proc/{pid}/{name}").read_bytes()
            assert shown, (name, command)
            for secret in open_house.own_secrets.values():
                assert secret.encode() not in shown, f"/proc/{pid}/{name} of {command} shows a password"
    servers = [pid for pid in processes if pid != open_house.process.pid]
    for pid in servers:
        assert b"MILLRACE_" not in Path(f"/proc/{pid}/environ").read_bytes(), processes[pid]
    with open_house.connection_of("admin", open_house.own_secrets["MILLRACE_MYSQL_PASSWORD"]) as connection:
        connection.ping()  # it is the password in force, all the same
    for name in ("status.json", "millrace.lock", "mysql/accounts.sql", "mysql/mariadbd.log", "clickhouse/warehouse.log"):
        text = (open_house.data / name).read_text()
        assert not any(secret in text for secret in open_house.own_secrets.values()), name


def test_nobody_knows_the_password_of_root(open_house):
    for password in ("", PASSWORD, open_house.own_secrets["MILLRACE_MYSQL_PASSWORD"]):
        with pytest.raises(pymysql.err.OperationalError):
            open_house.connection_of("root", password)


# Other users of the machine

def opened_by(paths):
    """What this process can do with each of them, as words."""
    done = []
    for path, kind in paths:
        attempts = {"read": lambda: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK)),
                    "write": lambda: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)),
                    "stat": lambda: os.stat(path)}
        if kind == "directory":
            attempts = {"list": lambda: os.listdir(path), "stat": lambda: os.stat(os.path.join(path, ".")),
                        "make a file": lambda: os.close(os.open(os.path.join(path, "new"), os.O_WRONLY | os.O_CREAT)),
                        "enter": lambda: os.chdir(path)}
        elif kind == "socket":
            def connect():
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(path)
            attempts = {"connect": connect, "stat": lambda: os.stat(path)}
        for what, attempt in attempts.items():
            try:
                attempt()
            except OSError as problem:
                if problem.errno not in (errno.EACCES, errno.EPERM):
                    done.append(f"{what} {path}: {problem}")
            else:
                done.append(f"{what} {path}")
    return done


def kind_of(path):
    mode = path.lstat().st_mode
    return "directory" if stat.S_ISDIR(mode) else "socket" if stat.S_ISSOCK(mode) else "file"


def test_another_user_reaches_none_of_the_files(open_house):
    open_house.order()
    control = open_house.home / "for-everybody"
    control.write_text("x")
    control.chmod(0o644)
    below = [(str(path), kind_of(path)) for path in open_house.data.rglob("*")]
    kinds = {kind for _, kind in below}
    assert len(below) > 100 and kinds == {"directory", "file", "socket"}, kinds
    assert any(path.endswith("mysql.sock") for path, _ in below)

    assert as_user(NOBODY, lambda: opened_by([(str(control), "file")])) == [f"read {control}", f"stat {control}"]
    assert as_user(NOBODY, lambda: opened_by(below)) == []
    data = str(open_house.data)
    assert as_user(NOBODY, lambda: opened_by([(data, "directory")])) == [], "nor the directory itself"


def test_the_files_are_for_their_owner_alone_whatever_the_umask(open_house):
    """The directory is a wall in front of them; this is the next one."""
    for path in (open_house.data, *open_house.data.rglob("*")):
        status = path.lstat()
        assert status.st_uid == system_uid(), path
        if not stat.S_ISLNK(status.st_mode):
            assert status.st_mode & 0o077 == 0, f"{path} has mode {status.st_mode & 0o777:o}"


def test_another_user_gets_nothing_of_the_processes(open_house):
    pids = list(open_house.processes())
    paths = [(f"/proc/{pid}/{name}", "file") for pid in pids for name in ("environ", "mem", "maps")]
    paths += [(f"/proc/{pid}/{name}", "directory") for pid in pids for name in ("fd", "root", "cwd")]

    def reached():
        return [done for done in opened_by(paths) if done.split(" ")[0] in ("read", "write", "list", "enter")]
    assert as_user(NOBODY, reached) == []


def test_nothing_is_typed_into_the_terminal_of_root(make):
    """By the program itself, which has it open: the call is put into the program with a debugger, as a bug would do it."""
    gdb = shutil.which("gdb")
    if gdb is None:
        pytest.skip("gdb is not installed")
    millrace = make().start()
    done = subprocess.run([gdb, "-p", str(millrace.process.pid), "-batch", "-ex", 'print (int)ioctl(0, 0x5412, "x")',
                           "-ex", "print *(int*)__errno_location()"], capture_output=True, text=True, timeout=120)
    assert "$1 = -1" in done.stdout and f"$2 = {errno.EPERM}" in done.stdout, done.stdout + done.stderr


# Statements

@pytest.mark.parametrize("user", ["root", "admin"])
def test_no_statement_reaches_a_file_outside(make, user):
    millrace = make().start()
    outside = new_folder(0o777)
    try:
        secret = outside / "secret"
        secret.write_text("42\n")
        secret.chmod(0o644)
        made = outside / "cron"
        with millrace.connection_of(user, PASSWORD) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE door (a INT)")
            for refused in (
                    f"SELECT '* * * * * root id' INTO OUTFILE '{made}'", f"SELECT 1 INTO DUMPFILE '{made}'",
                    f"SELECT 1 INTO OUTFILE '{millrace.data}/mysql/made'", f"SELECT 1 INTO OUTFILE '../../made'",
                    f"LOAD DATA INFILE '{secret}' INTO TABLE door", f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE door",
                    f"SET GLOBAL general_log_file = '{made}'", "SET GLOBAL general_log = 1",
                    f"SET GLOBAL slow_query_log_file = '{made}'", f"SET GLOBAL innodb_buffer_pool_filename = '{made}'",
                    f"SET GLOBAL aria_log_dir_path = '{outside}'", "SET GLOBAL secure_file_priv = ''",
                    "INSTALL SONAME 'ha_connect'", "INSTALL PLUGIN p SONAME 'ha_federatedx.so'",
                    "CREATE FUNCTION sys_exec RETURNS INT SONAME 'udf.so'", "INSERT INTO mysql.plugin VALUES ('p', 'p.so')",
                    "GRANT FILE ON *.* TO CURRENT_USER", "UPDATE mysql.global_priv SET Priv = '{\"access\":18446744073709551615}'",
                    "CREATE USER other IDENTIFIED BY 'x'", "CHANGE MASTER TO MASTER_HOST = '127.0.0.1'", "SHUTDOWN"):
                with pytest.raises(pymysql.MySQLError):
                    cursor.execute(refused)
            cursor.execute(f"SELECT LOAD_FILE('{secret}'), LOAD_FILE('/etc/passwd')")
            assert cursor.fetchall() == ((None, None),)
            for engine in ("InnoDB", "MyISAM", "Aria"):
                try:
                    cursor.execute(f"CREATE OR REPLACE TABLE elsewhere (a INT) ENGINE = {engine} DATA DIRECTORY = '{outside}' "
                                   f"INDEX DIRECTORY = '{outside}'")
                except pymysql.MySQLError:
                    pass  # refused or without effect, as below
            cursor.execute("DROP TABLE IF EXISTS door, elsewhere")
        assert [path.name for path in outside.iterdir()] == ["secret"]
        assert not list(millrace.data.rglob("made"))
        millrace.order()
    finally:
        shutil.rmtree(outside)


# Where the data are

def test_it_runs_in_a_directory_that_its_user_may_not_enter(make):
    millrace = make().start()
    private = millrace.home / "private"
    private.write_text("x")
    private.chmod(0o644)
    assert_unprivileged(millrace, system_uid())
    assert as_user(system_uid(), lambda: opened_by([(str(millrace.data), "directory")])) == [], "it is out of reach"
    order = millrace.order()["id"]
    assert (millrace.data / "mysql/data/ecommerce").is_dir(), "the data are where they were asked for"
    for pid in millrace.processes():
        seen = Path(f"/proc/{pid}/root") / str(private).lstrip("/")
        assert seen.parent.is_dir() and not seen.exists(), "nothing else of that directory is within reach"

    millrace.stop()
    millrace.start()
    assert millrace.get("/api/orders/" + order)["id"] == order
    millrace.kill()
    millrace.start()
    assert millrace.get("/api/orders/" + order)["id"] == order
    wait_until(lambda: millrace.warehouse_order(order), "the order is visible")
    assert_unprivileged(millrace, system_uid())
    assert not any(str(millrace.home) in line for line in Path("/proc/self/mountinfo").read_text().splitlines()), (
        "the mounts are its own")


def test_data_of_root_go_on_with_another_user(make):
    """As earlier versions made them, and as --run-as root still does: root's, and open to others."""
    millrace = make()
    millrace.start("--run-as", "root")
    assert {int(status_of(pid)["Uid"][0]) for pid in millrace.processes()} == {0}
    assert "warning" in millrace.log_file().read_text()
    order = millrace.order()["id"]
    millrace.stop()
    for path in (millrace.data, *millrace.data.rglob("*")):
        if not path.is_symlink() and path.is_dir():
            path.chmod(0o755)
    assert millrace.data.stat().st_uid == 0

    millrace.start()

    assert_unprivileged(millrace, system_uid())
    assert stat.S_IMODE(millrace.data.stat().st_mode) == 0o700
    assert millrace.get("/api/orders/" + order)["id"] == order


def test_a_user_may_be_named_by_number(make):
    millrace = make()
    millrace.start("--run-as", "64777:64778")
    assert_unprivileged(millrace, 64777)


# What root is not made to do

def refused_start(millrace, *words, **options):
    done = millrace.run("up", *words, **options)
    assert done.code == 2, done
    assert not millrace.processes()
    return done.complaint()


def set_up_directory(millrace):
    """As a stack leaves it, with somebody else at work in it since."""
    millrace.data.mkdir(mode=0o700)
    (millrace.data / "millrace.lock").touch()
    os.chown(millrace.data, system_uid(), system_uid())


def test_a_link_in_the_data_gives_no_file_of_root_away(make):
    millrace = make()
    set_up_directory(millrace)
    outside = millrace.home / "outside"
    outside.mkdir()
    (outside / "file").write_text("root's")
    (millrace.data / "link-to-file").symlink_to(outside / "file")
    (millrace.data / "link-to-directory").symlink_to(outside)
    others = millrace.data / "of-another"
    others.write_text("x")
    os.chown(others, NOBODY, NOBODY)
    (millrace.data / "two-names").write_text("x")
    os.link(millrace.data / "two-names", millrace.data / "two-names-of-one")

    millrace.start()

    assert {path.stat().st_uid for path in (outside, outside / "file")} == {0}
    assert others.stat().st_uid == NOBODY
    assert (millrace.data / "two-names").stat().st_uid == system_uid(), "all its names are in the directory"


def test_a_second_name_of_a_file_of_root_is_refused(make):
    millrace = make()
    set_up_directory(millrace)
    precious = millrace.home / "precious"
    precious.write_text("root's")
    os.link(precious, millrace.data / "mine-now")

    assert "mine-now" in refused_start(millrace)
    assert precious.stat().st_uid == 0


def test_a_symbolic_link_of_another_user_leads_nowhere(make):
    millrace = make()
    target = millrace.home / "empty"
    target.mkdir()
    millrace.data.symlink_to(target)
    os.lchown(millrace.data, NOBODY, NOBODY)

    assert str(millrace.data) in refused_start(millrace)
    assert target.stat().st_uid == 0 and not list(target.iterdir())


def test_a_directory_with_other_things_in_it_is_not_given_away(make):
    millrace = make()
    millrace.data.mkdir()
    (millrace.data / "letters.txt").write_text("x")

    assert "chown" in refused_start(millrace)
    assert {path.stat().st_uid for path in (millrace.data, millrace.data / "letters.txt")} == {0}


# What it says when it cannot

def test_a_user_who_is_not_there_is_named(make):
    millrace = make()
    assert "nosuchuser" in refused_start(millrace, "--run-as", "nosuchuser")


def run_in(millrace, *prefix):
    return subprocess.run([*map(str, prefix), str(program()), "up", *millrace.flags()], cwd=millrace.home,
                          env=millrace.environment(), capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)


def test_without_the_system_user_it_says_how_to_make_it(make):
    millrace = make()
    passwd = millrace.home / "passwd"
    passwd.write_text("".join(line for line in Path("/etc/passwd").read_text().splitlines(True)
                              if not line.startswith(SYSTEM_USER + ":")))
    done = run_in(millrace, "unshare", "--mount", "sh", "-c", f"mount --bind '{passwd}' /etc/passwd && exec \"$@\"", "sh")
    assert done.returncode == 2, done
    assert "useradd" in done.stderr and "--run-as" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not millrace.data.exists()


def test_where_mounts_are_not_allowed_it_says_what_to_do(make):
    millrace = make()
    done = run_in(millrace, "setpriv", "--bounding-set", "-sys_admin")
    assert done.returncode == 2, done
    assert "XDG_CACHE_HOME" in done.stderr and "--run-as root" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not millrace.processes()


# As `up` itself does it: root's home is covered, and the program and its libraries alone are bound to their places in it.
VISIT = """set -e
home=$1 build=$2 cache=$3 hidden=$4; shift 4
mkdir "$hidden/build" "$hidden/cache"
mount --bind "$build" "$hidden/build"
mount --bind "$cache" "$hidden/cache"
mount -t tmpfs -o mode=755 tmpfs "$home"
umask 022
for name in build cache; do
  eval "place=\\$$name"
  case $place in "$home"/*) mkdir -p "$place"; mount --bind "$hidden/$name" "$place";; esac
done
exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
"""


def test_only_root_may_run_it_as_another_user(make):
    millrace = make()
    home, cache = Path.home(), Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "millrace"

    def visit(run_as):
        hidden = millrace.home / f"hidden-{run_as}"
        hidden.mkdir()
        return subprocess.run(["unshare", "--mount", "sh", "-c", VISIT, "sh", home, program().parent, cache, hidden, program(),
                               "up", "--data-dir", "/nonexistent/data", "--run-as", run_as], cwd="/", capture_output=True,
                              text=True, timeout=120, env=millrace.environment(), stdin=subprocess.DEVNULL)
    for asked in ("root", SYSTEM_USER, "64777:64778"):
        done = visit(asked)
        assert done.returncode == 2 and "only root" in done.stderr and done.stderr.count("\n") == 1, done
    done = visit("nobody")  # itself, which is not refused: it gets as far as the directory
    assert done.returncode == 2 and "/nonexistent" in done.stderr, done
