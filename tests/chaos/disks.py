"""The stack whose stores lie on small disks of their own (tmpfs), which get full, read-only, or fail to sync.

The mounts are in a name space of this process: nobody else sees them, and they go when the last process of the suite has ended.
"""
import ctypes
import errno
import os
import shutil
import signal
import subprocess
import threading
import time

from load import PRODUCTS, USERS
from stacks import MARIADBD, MILLRACE, WAREHOUSE, LeftOut, Stack
from system import tail, wait_until

DISK_BYTES = {"event-log": 160 << 20, "mysql/data": 224 << 20, "clickhouse/data": 320 << 20}
STORES = {"event_log": "event-log", "mysql": "mysql/data", "warehouse": "clickhouse/data"}
OWNERS = {"event_log": MILLRACE, "mysql": MARIADBD, "warehouse": WAREHOUSE}
FULL_SECONDS = (1.5, 5.0)
READ_ONLY_SECONDS = (0.5, 3.0)
FAILING_SECONDS = (0.3, 1.5)
BURST_SECONDS_MAX = 20
BURST_THREADS = 6
BALLAST = "ballast"

# Numbers of <sched.h> and <sys/mount.h>.
CLONE_NEWNS = 0x20000
MS_RDONLY, MS_REMOUNT, MS_REC, MS_PRIVATE = 0x1, 0x20, 0x4000, 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *words):
    if getattr(_libc, name)(*words) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def mount_of_our_own():
    """Whether this process may mount; from then on its mounts are its own. For the thread that starts all others."""
    try:
        _call("unshare", CLONE_NEWNS)
        _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    except OSError as problem:
        raise LeftOut(f"disks: mounting is not permitted here ({problem}); as root it is") from None


def mount_tmpfs(path, size):
    _call("mount", b"tmpfs", str(path).encode(), b"tmpfs", 0, f"size={size}".encode())


def remount(path, size, read_only):
    _call("mount", b"tmpfs", str(path).encode(), b"tmpfs", MS_REMOUNT | (MS_RDONLY if read_only else 0), f"size={size}".encode())


class Disks(Stack):
    """`up` with the servers that it brings along, each store on a small disk."""
    faults = (tuple(f"full_{store}" for store in STORES) + tuple(f"read_only_{store}" for store in STORES)
              + tuple(f"failing_sync_{store}" for store in STORES) + ("full_all",))

    def __init__(self, folder, chance):
        mount_of_our_own()
        if shutil.which("strace") is None:
            self.faults = tuple(fault for fault in self.faults if not fault.startswith("failing_sync"))
            print("disks: failing_sync_* is left out: strace is not installed", flush=True)
        super().__init__(folder / "disks", chance)
        # mariadbd makes its directory by renaming another, which must not be a mount: it is moved to its disk afterwards.
        self.millrace.start().stop()
        for place, size in DISK_BYTES.items():
            path = self.millrace.data / place
            kept = path.with_name(path.name + ".kept")
            path.rename(kept)
            path.mkdir(mode=0o700)
            mount_tmpfs(path, size)
            shutil.copytree(kept, path, symlinks=True, dirs_exist_ok=True)
            path.chmod(0o700)
            shutil.rmtree(kept)

    def keep(self):
        """What was found wrong is to be looked at after the mounts have gone."""
        for place in DISK_BYTES:
            path = self.millrace.data / place
            shutil.copytree(path, path.with_name(path.name + ".found"), symlinks=True, ignore_dangling_symlinks=True)

    def disk(self, store):
        return self.millrace.data / STORES[store]

    # Full

    def fill(self, stores, goes_on):
        """Keeps the disks full: what their owner frees meanwhile is taken too."""
        files = [os.open(self.disk(store) / BALLAST, os.O_RDWR | os.O_CREAT) for store in stores]
        try:
            while goes_on():
                for file in files:
                    free = os.fstatvfs(file)
                    room = free.f_bavail * free.f_frsize
                    if room:
                        try:
                            os.posix_fallocate(file, os.fstat(file).st_size, room)
                        except OSError as problem:
                            if problem.errno != errno.ENOSPC:
                                raise
                time.sleep(0.02)
        finally:
            for store, file in zip(stores, files):
                os.close(file)
                (self.disk(store) / BALLAST).unlink()
        return time.monotonic()

    def full(self, *stores):
        until = time.monotonic() + self.chance.uniform(*FULL_SECONDS)
        return self.fill_and_look(stores, lambda: time.monotonic() < until)

    def full_event_log(self):
        """The log has claimed space ahead, so a burst of orders must use that up before the disk is felt."""
        until = time.monotonic() + BURST_SECONDS_MAX
        log = self.millrace.log_file()
        offset = log.stat().st_size
        bursting = threading.Event()
        bursting.set()

        def burst():
            while bursting.is_set():
                self.load.place(USERS[0], [(product, 1) for product in PRODUCTS])

        threads = [threading.Thread(target=burst) for _ in range(BURST_THREADS)]
        for thread in threads:
            thread.start()
        try:
            return self.fill_and_look(
                ["event_log"], lambda: time.monotonic() < until and b"No space" not in log.read_bytes()[offset:])
        finally:
            bursting.clear()
            for thread in threads:
                thread.join()

    def fill_and_look(self, stores, goes_on):
        at = self.fill(stores, goes_on)
        assert self.millrace.process.poll() is None, f"up ended by itself with {self.millrace.process.returncode}"
        return at

    # Read-only: a disk with open files does not become it, so its owner is killed, and comes back to one that is.

    def make_read_only(self, store):
        """After the kill of its owner; the supervisor may have been faster, then it is killed again."""
        def done():
            try:
                remount(self.disk(store), DISK_BYTES[STORES[store]], True)
                return True
            except OSError as problem:
                assert problem.errno == errno.EBUSY, problem
            if store != "event_log" and (pid := self.millrace.pid_of(OWNERS[store])):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            return False
        wait_until(done, f"the disk of {store} is read-only", pause=0.001)

    def make_writable(self, store):
        remount(self.disk(store), DISK_BYTES[STORES[store]], False)

    def read_only_event_log(self):
        """The program refuses to start, in one line; started again, it goes on."""
        self.kill(MILLRACE)
        self.millrace.may_have_ended = True
        self.millrace.process.wait()
        wait_until(lambda: not self.millrace.processes(), "its servers end with it")
        self.make_read_only("event_log")
        try:
            refused = self.millrace.run("up", seconds=120)
        finally:
            self.make_writable("event_log")
        assert refused.code != 0, "up started on a read-only log"
        assert "event log" in refused.complaint(), refused.err
        self.note("starts refused")
        at = time.monotonic()
        self.millrace.start(wait=False)
        return at

    def read_only_server(self, store):
        self.kill(OWNERS[store])
        self.make_read_only(store)
        try:
            time.sleep(self.chance.uniform(*READ_ONLY_SECONDS))
        finally:
            self.make_writable(store)
        assert self.millrace.process.poll() is None, f"up ended by itself with {self.millrace.process.returncode}"
        return time.monotonic()

    # A disk that fails to sync: the kernel's answer is replaced while the process runs.

    def failing_sync(self, store):
        pid = self.pid(OWNERS[store])
        log = self.millrace.home / "strace.log"
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-p", str(pid), "-o", str(log), "-e", "trace=fsync,fdatasync",
             "-e", "inject=fsync,fdatasync:error=EIO"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        time.sleep(self.chance.uniform(*FAILING_SECONDS))
        tracer.send_signal(signal.SIGINT)  # detaches
        tracer.wait(60)
        self.note("syncs that failed", log.read_text(errors="replace").count("INJECTED") if log.exists() else 0)
        assert self.millrace.process.poll() is None, (
            f"up ended by itself with {self.millrace.process.returncode}: {tail(self.millrace.log_file(), 3)}")
        return time.monotonic()


def _add(name, method, *words):
    setattr(Disks, name, lambda self: getattr(self, method)(*words))


for _store in STORES:
    _add(f"failing_sync_{_store}", "failing_sync", _store)
    if _store != "event_log":  # which has methods of its own
        _add(f"full_{_store}", "full", _store)
        _add(f"read_only_{_store}", "read_only_server", _store)
_add("full_all", "full", *STORES)
del _store
