"""Servers that a test runs itself, where `up` would start its own."""
import os
import shutil
import signal
import subprocess
import urllib.parse

import pymysql
import pytest

from system import MARK, PASSWORD, free_port, program, wait_until

SECRET = "p%/@:#'\" \\ word"


def server_program(*names):
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    pytest.fail(f"none of {', '.join(names)} is installed; scripts/bootstrap --test installs them")


class Mariadb:
    """A server with defaults, as a package would start it, and an account for the shop alone."""

    def __init__(self, folder, environment=None):
        self.folder = folder
        self.port = free_port()
        temporary = folder / "tmp"
        temporary.mkdir(parents=True)
        as_root = ["--user=root"] if os.geteuid() == 0 else []
        subprocess.run([server_program("mariadb-install-db", "mysql_install_db"), "--no-defaults", f"--datadir={folder / 'data'}",
                        f"--tmpdir={temporary}", "--auth-root-authentication-method=normal", "--skip-test-db", *as_root],
                       check=True, capture_output=True, timeout=120)
        start = folder / "start.sql"
        quoted = SECRET.replace("\\", "\\\\").replace("'", "\\'")
        start.write_text("CREATE USER shop@'127.0.0.1' IDENTIFIED BY '" + quoted + "';\n"
                         "GRANT ALL ON shop.* TO shop@'127.0.0.1';\nCREATE DATABASE shop;\n"
                         "CREATE USER chief@'127.0.0.1' IDENTIFIED BY 'chief';\nGRANT ALL ON *.* TO chief@'127.0.0.1';\n")
        self.command = [server_program("mariadbd", "mysqld"), "--no-defaults", f"--datadir={folder / 'data'}",
                        f"--tmpdir={temporary}", f"--socket={folder / 's'}", f"--port={self.port}", "--bind-address=127.0.0.1",
                        *as_root]
        self.environment = {**os.environ, **(environment or {})}
        self.start(f"--init-file={start}")

    def start(self, *words):
        """Also again, after its process was killed."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*self.command, *words], stdout=log, stderr=log, env=self.environment)
        wait_until(lambda: self.rows("SELECT 1"), "the test's own MariaDB answers")

    def rows(self, sql, database=None):
        connection = pymysql.connect(host="127.0.0.1", port=self.port, user="chief", password="chief", database=database,
                                     autocommit=True)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def url(self, database):
        return f"mysql://shop:{urllib.parse.quote(SECRET, safe='')}@127.0.0.1:{self.port}/{database}"

    def chief_url(self, database):
        return f"mysql://chief:chief@127.0.0.1:{self.port}/{database}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        finally:
            self.process.kill()


class Warehouse:
    """millrace-warehouse as a server of its own, as ClickHouse would be."""

    def __init__(self, folder, mark):
        self.port = free_port()
        self.command = [str(program("millrace-warehouse")), "--path", str(folder), "--port", str(self.port)]
        self.environment = {**os.environ, "MILLRACE_WAREHOUSE_PASSWORD": PASSWORD, MARK: mark}
        self.start()

    def start(self):
        """Also again, after its process was killed."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment)

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)
