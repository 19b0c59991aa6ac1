"""Each role as a process of its own, two sinks among them, on servers that somebody else runs, and no `up` anywhere: dead letters, jobs
and scheduled verification work, each done by one process at a time; and by the commands themselves where no API answers."""
import json
import signal
import tempfile
import shutil
from pathlib import Path

import pytest

from own_kafka import OwnKafka
from own_servers import Mariadb, Warehouse
from system import PATIENCE, ask, wait_until

KAFKA_PASSWORD = "the-password-of-kafka"
ROLES = ("api", "relay", "transform", "sink", "sink")


class Roles:
    def __init__(self, millrace):
        self.millrace = millrace
        self.processes = {}

    def start(self):
        for number, role in enumerate(ROLES):
            name = f"{role}-{number}"
            self.processes[name] = self.millrace.begin(role, "--log-file", self.log(name))
        wait_until(lambda: ask(self.millrace.api_port, "GET", "/healthz").status == 200, "the API answers")

    def begin_again(self, name):
        role = name.split("-")[0]
        self.processes[f"{role}-again"] = self.millrace.begin(role, "--log-file", self.log(f"{role}-again"))
        wait_until(lambda: self.log(f"{role}-again").exists() and self.log(f"{role}-again").read_text(), f"the {role} runs again")

    def log(self, name):
        return self.millrace.home / f"{name}.log"

    def lines(self, text):
        """Which processes have said so, once for each time."""
        return [name for name in self.processes if self.log(name).exists()
                for line in self.log(name).read_text().splitlines() if text in line]

    def stop(self, only=""):
        ending = [name for name in self.processes if name.startswith(only) and self.processes[name].poll() is None]
        for name in ending:
            self.processes[name].send_signal(signal.SIGTERM)
        for name in ending:
            try:
                code = self.processes[name].wait(PATIENCE)
            finally:
                self.processes[name].kill()
            assert code == 0, f"{name} ended with {code}"


@pytest.fixture
def roles(make):
    millrace = make()
    folder = Path(tempfile.mkdtemp(prefix="millrace-e2e-"))
    mariadb, kafka, warehouse = Mariadb(folder), OwnKafka(folder / "kafka", millrace.mark + "-kafka", KAFKA_PASSWORD), None
    roles = Roles(millrace)
    try:
        kafka.start()
        warehouse = Warehouse(folder / "warehouse", mark=millrace.mark + "-warehouse")
        millrace.settings.update(kafka.settings(KAFKA_PASSWORD))
        millrace.settings.update({"mysql.port": None, "mysql.embedded": False, "mysql.url": mariadb.chief_url("shop"),
                                  "clickhouse.embedded": False, "clickhouse.port": warehouse.port, "verify.interval": "2s"})
        wait_until(lambda: millrace.clickhouse("SELECT 1"), "the warehouse answers")
        for command in ("init-db", "init-warehouse"):
            done = millrace.run(command)
            assert done.code == 0, done
        roles.mariadb = mariadb
        yield roles
    finally:
        try:
            roles.stop()
        finally:
            kafka.stop()
            if warehouse is not None:
                warehouse.stop()
            mariadb.stop()
            shutil.rmtree(folder, ignore_errors=True)


def open_letters(millrace):
    done = millrace.run("dlq", "list", "--json")
    assert done.code == 0, done
    return [letter["id"] for letter in json.loads(done.out)["letters"]]


def damage_event(roles, name):
    roles.mariadb.rows("INSERT INTO outbox (aggregate_id, aggregate_type, event_type, payload) "
                       f"VALUES ('{name}', 'Order', 'OrderCreated', '{{}}')", "shop")


def test_everything_works_without_an_up(roles):
    millrace = roles.millrace
    roles.start()
    order = millrace.order()
    wait_until(lambda: millrace.warehouse_order(order["id"]) == ("PENDING", "0", "CREATED"), "the order arrives")

    # Through the API: a dead letter, a job.
    damage_event(roles, "first")
    letter = wait_until(lambda: open_letters(millrace), "the dead letter is listed")[0]
    dropped = millrace.run("dlq", "drop", letter, "--reason", "a test wrote it")
    assert dropped.code == 0, dropped
    rebuilt = millrace.run("rebuild")
    assert (rebuilt.code, "job 1 (rebuild) is done" in rebuilt.out) == (0, True), rebuilt
    assert len(roles.lines("jobs: job 1 (rebuild) begins")) == 1
    assert len(roles.lines("jobs: job 1 (rebuild) is done")) == 1
    millrace.verify()

    # One of the processes verifies, again and again; when it ends another does.
    said = "verify: the warehouse says what the order store says"
    wait_until(lambda: len(roles.lines(said)) >= 2, "it was verified twice")
    (verifying,) = set(roles.lines(said))
    roles.stop(verifying)
    wait_until(lambda: set(roles.lines(said)) - {verifying}, "another process verifies")
    assert len(set(roles.lines(said))) == 2
    # It may have been the only one of its stage.
    roles.begin_again(verifying)

    # Without the API, by the commands themselves; the stages run on.
    roles.stop("api")
    damage_event(roles, "second")
    letter = wait_until(lambda: open_letters(millrace), "the dead letter is listed without the API")[0]
    dropped = millrace.run("dlq", "drop", letter, "--reason", "a test wrote it")
    assert (dropped.code, open_letters(millrace)) == (0, []), dropped
    rebuilt = millrace.run("rebuild")
    assert (rebuilt.code, "job 2 (rebuild) is done" in rebuilt.out) == (0, True), rebuilt
    millrace.verify()

    # With none of them: the command is the only process that can execute the job.
    roles.stop()
    rebuilt = millrace.run("rebuild")
    assert (rebuilt.code, "job 3 (rebuild) is done" in rebuilt.out) == (0, True), rebuilt
    jobs = millrace.run("jobs", "--json")
    assert [job["state"] for job in json.loads(jobs.out)["jobs"]] == ["done"] * 3, jobs
    millrace.verify()
