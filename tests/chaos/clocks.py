"""The stack whose clocks are set forth and back by an hour while it runs: libfaketime stands between each program and the time.

Each program reads its offset from a file of its own, again every second. Its monotonic clock runs on, as it does when somebody sets
a machine's clock. The embedded engine asks the kernel itself, where no library can stand between: its clock differs from the others
by setting both of those.
"""
import os
import shutil
import tempfile
import time
from pathlib import Path

from own_servers import Mariadb, Warehouse
from stacks import LeftOut, Stack
from system import Millrace, wait_until

LIBRARIES = [Path(f"/usr/lib/{machine}/faketime/libfaketimeMT.so.1") for machine in
             (os.uname().machine + "-linux-gnu", "")] + [Path("/usr/lib/faketime/libfaketimeMT.so.1")]
PROGRAMS = ("millrace", "mysql")
HOUR = 3600
SKEWED_SECONDS = (1.5, 3.5)
READ_AGAIN_SECONDS = 1.1  # until every program has read its file again


class Clock:
    def __init__(self, folder, name, library):
        self.file = folder / f"{name}.clock"
        self.environment = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(self.file),
                            "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
        self.set(0)

    def set(self, seconds):
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self.file)


class SkewedMillrace(Millrace):
    clock = None

    def environment(self, extra=None, own_settings=True):
        return {**super().environment(extra, own_settings), **self.clock.environment}


class Clocks(Stack):
    """`up` on servers that the suite runs, each with a clock of its own."""
    faults = tuple(f"clock_{program}_{way}" for program in (*PROGRAMS, "both") for way in ("forth", "back"))

    def __init__(self, folder, chance):
        library = next((library for library in LIBRARIES if library.exists()), None)
        if library is None:
            raise LeftOut("clocks: libfaketime is not installed (package faketime)")
        folder = folder / "clocks"
        folder.mkdir()
        self.mariadb = self.warehouse = None
        # Where every user may read: millrace is root's no longer when it reads its clock's file again.
        self.clock_folder = Path(tempfile.mkdtemp(prefix="millrace-clocks-"))
        self.clock_folder.chmod(0o755)
        self.clocks = {name: Clock(self.clock_folder, name, library) for name in PROGRAMS}
        # The purge goes by the clock too: its period is longer than what the clocks are set by.
        super().__init__(folder / "millrace", chance, SkewedMillrace, **{
            "mysql.embedded": False, "mysql.user": "chief", "mysql.password": "chief", "clickhouse.embedded": False,
            "purge.period": "3h"})
        self.purge_seconds = float("inf")
        self.millrace.clock = self.clocks["millrace"]
        try:
            self.mariadb = Mariadb(folder / "mariadb", self.clocks["mysql"].environment)
            self.warehouse = Warehouse(folder / "warehouse", mark="")
            self.millrace.settings.update({"mysql.port": self.mariadb.port, "clickhouse.port": self.warehouse.port})
            wait_until(lambda: self.millrace.clickhouse("SELECT 1"), "the suite's own warehouse answers")
        except BaseException:
            self.close_servers()
            raise

    def shown(self):
        """What the programs take for the time, in seconds: the fault has struck when it shows here."""
        order = self.load.place("user-1", [("prod-1", 1)])
        made = order and self.millrace.mysql("SELECT UNIX_TIMESTAMP(created_at) FROM orders WHERE id = %s", order)[0][0]
        return {"mysql": float(self.millrace.mysql("SELECT UNIX_TIMESTAMP(NOW(3))")[0][0]), "millrace": made and float(made)}

    def skew(self, programs, seconds):
        acknowledged = self.load.acknowledged
        for program in programs:
            self.clocks[program].set(seconds)
        try:
            time.sleep(READ_AGAIN_SECONDS + self.chance.uniform(*SKEWED_SECONDS))
            now = time.time()
            for program, shown in self.shown().items():
                wanted = seconds if program in programs else 0
                assert shown is None or abs(shown - now - wanted) < HOUR / 2, (
                    f"the clock of {program} is off by {shown - now:.0f} s, not {wanted}")
        finally:
            for program in programs:
                self.clocks[program].set(0)
        self.note("changes under a wrong clock", self.load.acknowledged - acknowledged)
        time.sleep(READ_AGAIN_SECONDS)
        assert self.millrace.process.poll() is None, f"up ended by itself with {self.millrace.process.returncode}"
        return time.monotonic()

    def close_servers(self):
        shutil.rmtree(self.clock_folder, ignore_errors=True)
        for server in (self.warehouse, self.mariadb):
            if server is not None:
                server.stop()

    def close(self):
        try:
            super().close()
        finally:
            self.close_servers()


def _fault(programs, seconds):
    return lambda self: self.skew(programs, seconds)


for _program in (*PROGRAMS, "both"):
    for _way, _seconds in (("forth", HOUR), ("back", -HOUR)):
        setattr(Clocks, f"clock_{_program}_{_way}", _fault(PROGRAMS if _program == "both" else (_program,), _seconds))
del _program, _way, _seconds
