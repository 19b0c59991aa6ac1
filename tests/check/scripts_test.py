#!/usr/bin/env python3
"""The scripts that install and remove things do neither too much nor too little. Nothing here touches the machine's own set-up."""
import os
import shutil
import subprocess
import tempfile
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
        for name in ("bash", "cat", "comm", "dirname", "sed", "sort", "stat", "uname", "xargs"):
            (self.programs / name).symlink_to(shutil.which(name))
        self.all = [line for line in (REPOSITORY / "scripts/debian-packages.txt").read_text().splitlines()
                    if line and line[0] not in "#["]

    def bootstrap(self, installed, *arguments):
        listing = self.home / "installed"
        listing.write_text("".join(f"installed {name}\n" for name in installed))
        fake = self.programs / "dpkg-query"
        fake.write_text(f"#!{shutil.which('bash')}\ncat {listing}\nexit 1\n")
        fake.chmod(0o755)
        return run("bash", REPOSITORY / "scripts/bootstrap", *arguments,
                   env={"PATH": str(self.programs), "XDG_CACHE_HOME": str(self.home)})

    def test_names_what_is_missing_in_one_line_when_it_cannot_install_it(self):
        done = self.bootstrap([name for name in self.all if name not in ("cmake", "librocksdb-dev")])
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertTrue(done.stderr.endswith("apt-get install --no-install-recommends cmake librocksdb-dev\n"), done.stderr)

    def test_is_silent_when_nothing_is_missing(self):
        source = (REPOSITORY / "scripts/bootstrap").read_text()
        value = {name: source.split(f"readonly {name}=")[1].split("\n")[0] for name in ("engine_version", "engine_library_bytes", "kafka_client_version", "kafka_client_library_bytes")}
        engine = self.home / f"millrace/engine-{value['engine_version']}/libchdb.so"
        engine.parent.mkdir(parents=True)
        with engine.open("wb") as file:
            file.truncate(int(value["engine_library_bytes"]))
        client = self.home / f"millrace/kafka-client-{value['kafka_client_version']}/librdkafka.so.1"
        client.parent.mkdir(parents=True)
        with client.open("wb") as file:
            file.truncate(int(value["kafka_client_library_bytes"]))
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


if __name__ == "__main__":
    unittest.main()
