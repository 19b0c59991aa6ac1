"""Relays that share three shards on a Kafka cluster: one is killed, one stopped; another takes over within seconds, and all comes once."""
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from system import wait_until
from test_kafka import kafka_settings, see

OWNER = "SELECT IS_USED_LOCK(CONCAT('millrace-relay ecommerce ', %s))"


def test_a_standby_takes_over_from_a_relay_that_is_killed_stopped_or_ends(make):
    millrace = make(**kafka_settings(), **{"relay.shards": 3})
    millrace.start("--relay-own-shards", "0")
    log = millrace.home / "relay.log"

    def begin():
        with log.open("ab") as out:
            return millrace.begin("relay", "--relay-own-shards", "1,2", stdout=out, stderr=out)

    def owner(shard):
        return millrace.mysql(OWNER, shard)[0][0]

    def epochs():
        return dict(millrace.mysql("SELECT shard, epoch FROM relay_shards"))

    def order_of_each_shard():
        """Until every shard has had one, of as many orders as that takes."""
        made, left = [], {0, 1, 2}
        while left:
            made.append(millrace.order())
            left.discard(millrace.mysql("SELECT CRC32(%s) %% 3", made[-1]["id"])[0][0])
        return made

    def seconds_until_taken(former):
        start = time.monotonic()
        wait_until(lambda: {owner(1), owner(2)}.isdisjoint(former | {None}), "the shards have another owner", pause=0.01)
        return round(time.monotonic() - start, 2)

    active = begin()
    standby = None
    took = {}
    try:
        wait_until(lambda: owner(1) and owner(2), "the other process has its shards")
        orders = order_of_each_shard()
        for order in orders:
            see(millrace, order)
        for way in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
            standby = begin()
            wait_until(lambda: log.read_text().count("standing by") >= 2, "the other one stands by")
            before, former = epochs(), {owner(shard) for shard in (1, 2)}
            active.send_signal(way)
            with ThreadPoolExecutor(1) as pool:
                watching = pool.submit(seconds_until_taken, former)
                late = order_of_each_shard()  # meanwhile
                took[way.name] = watching.result()
            for order in late:
                see(millrace, order)
            after = epochs()
            assert min(after[1], after[2]) > max(before.values()), (before, after)
            orders += late
            if way == signal.SIGSTOP:
                active.send_signal(signal.SIGCONT)
                # It finds that it was replaced, and stands by itself.
                wait_until(lambda: "lost shard" in log.read_text(), "the former owner knows")
                active.send_signal(signal.SIGKILL)
            active.wait(60)
            active, standby = standby, None
            log.write_text("")
        millrace.verify()
        assert millrace.mysql("SELECT COUNT(*) FROM outbox WHERE processed = 0")[0][0] == 0
    finally:
        print("take-over after", took)
        for process in (active, standby):
            if process is not None and process.poll() is None:
                os.kill(process.pid, signal.SIGCONT)
                process.terminate()
                process.wait(60)
