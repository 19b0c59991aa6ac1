"""A running Millrace as root starts it, and the eyes of another user of the machine."""
import json
import os
import pwd
import sys
from pathlib import Path

import pymysql
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from system import Millrace  # noqa: E402

NOBODY = 65534
SYSTEM_USER = "millrace"


def need_root():
    if os.geteuid() != 0:
        pytest.skip("needs root, from whose rights the program is to step down")


def system_uid():
    return pwd.getpwnam(SYSTEM_USER).pw_uid


class Guarded(Millrace):
    """With passwords of its own from the environment, and with the widest umask that the one who starts it can have."""
    own_secrets = {}
    umask = -1

    def environment(self, extra=None, own_settings=True):
        return {**super().environment(extra, own_settings), **self.own_secrets}

    def begin(self, *words, **options):
        return super().begin(*words, umask=self.umask, **options)

    def connection_of(self, user, password):
        return pymysql.connect(host="127.0.0.1", port=int(self.settings["mysql.port"]), user=user, password=password,
                               database="ecommerce", autocommit=True, local_infile=True)


def as_user(uid, work):
    """work() in a process of that user alone, without root's groups; its answer must be JSON."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            with os.fdopen(writer, "w") as pipe:
                json.dump(work(), pipe)
            os._exit(0)
        except BaseException as problem:  # the parent fails on the missing answer
            print(f"as user {uid}: {problem!r}", file=sys.stderr)
        os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0, "the other user's process failed"
    return json.loads(text)


def status_of(pid):
    """/proc/PID/status as a table."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
