#!/usr/bin/env python3
"""The scripts that install and remove things do neither too much nor too little. Nothing here touches the machine itself."""
import http.server
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, **options)


class Bootstrap(unittest.TestCase):
    """With a PATH that holds a false dpkg-query and no apt-get."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)
        self.programs = self.home / "bin"
        self.programs.mkdir()
        self.fake("getent", "exit 0")  # every user is there
        for name in ("bash", "cat", "comm", "dirname", "sed", "sort", "stat", "uname", "xargs"):
            (self.programs / name).symlink_to(shutil.which(name))
        self.all = [line for line in (REPOSITORY / "scripts/debian-packages.txt").read_text().splitlines()
                    if line and line[0] not in "#["]

    def fake(self, name, script):
        program = self.programs / name
        program.write_text(f"#!{shutil.which('bash')}\n{script}\n")
        program.chmod(0o755)

    def bootstrap(self, installed, *arguments):
        listing = self.home / "installed"
        listing.write_text("".join(f"installed {name}\n" for name in installed))
        self.fake("dpkg-query", f"cat {listing}\nexit 1")
        return run("bash", REPOSITORY / "scripts/bootstrap", *arguments,
                   env={"PATH": str(self.programs), "XDG_CACHE_HOME": str(self.home)})

    def test_names_what_is_missing_in_one_line_when_it_cannot_install_it(self):
        done = self.bootstrap([name for name in self.all if name not in ("cmake", "librocksdb-dev")])
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertTrue(done.stderr.endswith("apt-get install --no-install-recommends cmake librocksdb-dev\n"), done.stderr)

    @unittest.skipIf(os.geteuid() != 0, "only root can make users")
    def test_makes_the_user_of_the_servers_when_it_is_missing(self):
        self.fake("getent", "exit 2")
        self.fake("useradd", f'echo "$@" >{self.home}/made; exit 1')
        done = self.bootstrap(self.all)
        self.assertEqual((self.home / "made").read_text(),
                         "--system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin millrace\n")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("millrace", done.stderr)

    def test_is_silent_when_nothing_is_missing(self):
        source = (REPOSITORY / "scripts/bootstrap").read_text()
        value = {name: source.split(f"readonly {name}=")[1].split("\n")[0] for name in ("engine_version", "engine_library_bytes", "kafka_client_version", "kafka_client_library_bytes", "kafka_header_bytes")}
        engine = self.home / f"millrace/engine-{value['engine_version']}/libchdb.so"
        engine.parent.mkdir(parents=True)
        with engine.open("wb") as file:
            file.truncate(int(value["engine_library_bytes"]))
        client = self.home / f"millrace/kafka-client-{value['kafka_client_version']}/librdkafka.so.1"
        client.parent.mkdir(parents=True)
        with client.open("wb") as file:
            file.truncate(int(value["kafka_client_library_bytes"]))
        header = client.parent / "include/librdkafka/rdkafka.h"
        header.parent.mkdir(parents=True)
        with header.open("wb") as file:
            file.truncate(int(value["kafka_header_bytes"]))
        done = self.bootstrap(self.all)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_fetches_the_engine_that_the_build_links(self):
        version = (REPOSITORY / "cmake/Engine.cmake").read_text().split("MILLRACE_ENGINE_VERSION \"")[1].split("\"")[0]
        self.assertIn(f"engine_version={version}\n", (REPOSITORY / "scripts/bootstrap").read_text())

    def test_fetches_the_kafka_client_and_the_kafka_that_the_build_names(self):
        cmake = (REPOSITORY / "cmake/Kafka.cmake").read_text()
        bootstrap = (REPOSITORY / "scripts/bootstrap").read_text()
        for name in ("MILLRACE_KAFKA_VERSION", "MILLRACE_KAFKA_CLIENT_VERSION"):
            version = cmake.split(f'{name} "')[1].split('"')[0]
            self.assertIn(f"{name.removeprefix('MILLRACE_').lower()}={version}\n", bootstrap)
        self.assertIn("<version>" + cmake.split('MILLRACE_KAFKA_VERSION "')[1].split('"')[0] + "</version>",
                      (REPOSITORY / "scripts/kafka/pom.xml").read_text())

    def test_refuses_an_option_that_it_does_not_know(self):
        done = self.bootstrap(self.all, "--everything")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("unknown option --everything", done.stderr)

    def test_never_installs_a_package_that_starts_a_service(self):
        self.assertNotIn("mariadb-server", self.all)


class Clean(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        (self.root / "scripts").mkdir()
        shutil.copy(REPOSITORY / "scripts/clean", self.root / "scripts/clean")
        for name in ("data/mysql", "build"):
            (self.root / name).mkdir(parents=True)

    def test_removes_data_and_build(self):
        done = run(self.root / "scripts/clean")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(os.listdir(self.root)), ["scripts"])

    def test_refuses_while_a_program_has_a_file_of_the_data_open(self):
        with (self.root / "data/mysql/ibdata1").open("w"):
            done = run(self.root / "scripts/clean")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("is using", done.stderr)
        self.assertTrue((self.root / "data/mysql/ibdata1").exists())
        self.assertTrue((self.root / "build").exists())


class EventLog(unittest.TestCase):
    """With a false build/millrace, which tells how it was called."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name in ("scripts", "build"):
            (self.root / name).mkdir()
        shutil.copy(REPOSITORY / "scripts/event-log", self.root / "scripts/event-log")
        nobody = socket.socket()
        self.addCleanup(nobody.close)
        nobody.bind(("127.0.0.1", 0))  # and nobody listens there
        self.api = self.broker = nobody.getsockname()[1]

    def called(self, *arguments, **variables):
        """The kind of log that millrace was told, and its arguments."""
        program = self.root / "build/millrace"
        program.write_text("#!/bin/bash\n"
                           "if [[ $1 != config ]]; then echo \"${MILLRACE_EVENT_LOG_KIND:-}|$*\"; exit; fi\n"
                           "echo \"event_log.kind = ${MILLRACE_EVENT_LOG_KIND:-embedded}\"\n"
                           f"printf 'api.host = 0.0.0.0\\napi.port = {self.api}\\nkafka.brokers = 127.0.0.1:1,127.0.0.1:{self.broker}\\n'\n")
        program.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
        done = run(self.root / "scripts/event-log", *arguments, env={**kept, **variables})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.strip()

    def serve_api(self):
        class Healthy(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if self.path == "/healthz" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass
        server = http.server.HTTPServer(("127.0.0.1", 0), Healthy)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(lambda: (server.shutdown(), thread.join(), server.server_close()))
        self.api = server.server_port

    def serve_broker(self):
        broker = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(broker.close)
        self.broker = broker.getsockname()[1]

    def test_asks_a_running_program_about_its_own_log_whichever_that_is(self):
        self.serve_api()
        self.serve_broker()
        self.assertEqual(self.called("topics", "show", "--", "a b"), "|topics show -- a b")

    def test_asks_the_brokers_when_no_program_runs(self):
        self.serve_broker()
        self.assertEqual(self.called("groups"), "kafka|groups")

    def test_leaves_it_to_the_program_to_say_that_nobody_answers(self):
        self.assertEqual(self.called("cluster"), "|cluster")

    def test_asks_the_log_that_it_is_told(self):
        self.serve_broker()
        self.assertEqual(self.called("cluster", MILLRACE_EVENT_LOG_KIND="embedded"), "embedded|cluster")
        self.assertEqual(self.called("cluster", MILLRACE_EVENT_LOG_KIND="kafka"), "kafka|cluster")

    def test_says_what_to_do_before_anything_was_built(self):
        done = run(self.root / "scripts/event-log", "topics")
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stderr, "event-log: build/millrace is not there; run make build\n")


class Make(unittest.TestCase):
    def test_names_an_argument_that_is_missing_in_one_line_before_it_builds(self):
        for target in ("kafka-create-topic", "kafka-create-topic TOPIC=a", "kafka-create-topic PARTITIONS=3", "kafka-describe-topic"):
            done = run("make", *target.split(), cwd=REPOSITORY, env={"PATH": os.environ["PATH"]})
            self.assertEqual(done.returncode, 2, target)
            self.assertEqual(done.stdout, "", target)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(f"make {target.split()[0]} TOPIC=", done.stderr)


class SetUp(unittest.TestCase):
    """scripts/stack, in a folder where stacks have run or run."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        (self.root / "scripts").mkdir()
        shutil.copy(REPOSITORY / "scripts/stack", self.root / "scripts/stack")

    def keep(self, directory, name):
        (self.root / directory).mkdir(parents=True, exist_ok=True)
        (self.root / directory / "credentials.toml").write_text(
            f'kind = "generated"\n[mysql]\nuser = "admin"\npassword = "{name}-a"\nroot_password = "{name}-r"\n'
            f'[clickhouse]\nuser = "admin"\npassword = "{name}-c"\n')

    def said(self, *arguments, **variables):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
        return run(self.root / "scripts/stack", *arguments, env={**kept, **variables}, cwd=self.root)

    def test_finds_the_set_up_that_runs_or_the_one_that_is_named(self):
        self.keep("data", "plain")
        self.keep("data/cluster", "cluster")
        self.keep("elsewhere", "named")
        self.assertEqual(self.said("password", "mysql").stdout, "plain-a\n")
        lock = self.root / "data/cluster/millrace.lock"
        lock.write_text(f"{os.getpid()}\n")
        with lock.open():
            self.assertEqual(self.said("directory").stdout, "data/cluster\n")
            self.assertEqual(self.said("password", "clickhouse").stdout, "cluster-c\n")
            self.assertEqual(self.said("password", "mysql", MILLRACE_DATA_DIR="elsewhere").stdout, "named-a\n")
        self.assertEqual(self.said("directory").stdout, "data\n", "the lock of one that has ended counts for nothing")
        (self.root / "millrace.toml").write_text('[data]\ndir = "elsewhere"\n')
        self.assertEqual(self.said("password", "mysql", MILLRACE_MYSQL_USER="root").stdout, "named-r\n")

    def test_lets_a_setting_win_and_says_what_is_missing(self):
        self.keep("data", "plain")
        self.assertEqual(self.said("password", "mysql", MILLRACE_MYSQL_PASSWORD="own").stdout, "own\n")
        (self.root / "file").write_text("of the file\nnot this\n")
        self.assertEqual(self.said("password", "mysql", MILLRACE_MYSQL_PASSWORD_FILE=str(self.root / "file")).stdout, "of the file\n")
        for variables in ({"MILLRACE_DATA_DIR": "nowhere"}, {"MILLRACE_MYSQL_USER": "shop"}):
            done = self.said("password", "mysql", **variables)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1))
            self.assertIn("MILLRACE_MYSQL_PASSWORD", done.stderr)


if __name__ == "__main__":
    unittest.main()
