"""A TCP gate: stands between a client and a server on this machine, and misbehaves when told to.

What happens to one connection is decided when its bytes pass, by the mode that the gate is in at that moment:

    pass    bytes go through
    drop    connections end at once, new ones too
    delay   every piece waits for a moment, in both directions
    cut     the connection is reset after so many bytes, in the middle of whatever they were
    lose    requests go through and are carried out; some answers are thrown away, and the connection is reset
    hold    connections that are open now deliver no more requests; new ones pass. Afterwards what was held is delivered, late,
            even when the client has given up or died meanwhile.
    part    a network between that is gone: connections stay open and can be made, and nothing arrives in either direction. Afterwards
            everything does, as after the retransmissions of TCP.
"""
import random
import socket
import struct
import threading

from system import free_port

PIECE_BYTES = 1 << 20
DELAY_SECONDS = (0.02, 0.3)
CUT_BYTES = (1, 20_000)
LOSE_SHARE = 0.2
INSERT_HEAD_BYTES = 2_000
HELD_SECONDS_MAX = 120


class Connection:
    def __init__(self, client, server):
        self.client = client
        self.server = server
        self.bytes_left = None  # in mode cut
        self.held = False
        self.directions = 2  # that may still carry something

    def reset(self):
        """Both sides see an error, not an orderly end."""
        for side in (self.client, self.server):
            try:
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            side.close()


class Gate:
    """Listens on `port` from the start until close(). Threads: two for each connection; the methods may be called from any."""

    def __init__(self, target_port, seed):
        self.target_port = target_port
        self.port = free_port()
        self.mode = "pass"
        self.counts = {"ended": 0, "delayed": 0, "cut": 0, "answers lost": 0, "delivered late": 0, "inserts delivered late": 0}
        self.chance = random.Random(seed)
        self.mutex = threading.Lock()  # guards mode, counts, chance, open
        self.released = threading.Event()
        self.released.set()
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode):
        with self.mutex:
            self.mode = mode
            now = list(self.open)
            if mode in ("hold", "part"):
                self.released.clear()
                for connection in now:
                    connection.held = mode == "hold"
            else:
                self.released.set()
        if mode == "drop":
            for connection in now:
                self._count("ended")
                connection.reset()

    def close(self):
        self.listener.close()
        self.set("drop")

    def _count(self, what):
        with self.mutex:
            self.counts[what] += 1

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.mode == "drop":
                self._count("ended")
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port), timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(client, server)
            with self.mutex:
                self.open.add(connection)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(connection, source, sink), daemon=True).start()

    def _pump(self, connection, source, sink):
        to_server = sink is connection.server
        try:
            while piece := source.recv(PIECE_BYTES):
                if not self._pass_on(connection, piece, sink, to_server):
                    connection.reset()
                    break
            else:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            connection.reset()
        finally:
            with self.mutex:
                connection.directions -= 1
                last = connection.directions == 0
                self.open.discard(connection)
            if last:
                connection.client.close()
                connection.server.close()

    def _pass_on(self, connection, piece, sink, to_server):
        """False: the connection is to be reset."""
        with self.mutex:
            mode = self.mode
            delay = self.chance.uniform(*DELAY_SECONDS)
            lose = self.chance.random() < LOSE_SHARE
            if mode == "cut" and connection.bytes_left is None:
                low, high = CUT_BYTES
                connection.bytes_left = int(low * (high / low) ** self.chance.random())
        if (mode == "part" or to_server and connection.held) and not self.released.is_set():
            self.released.wait(HELD_SECONDS_MAX)
            sink.sendall(piece)
            self._count("delivered late")
            if piece.startswith(b"POST") and b"INSERT%20INTO" in piece[:INSERT_HEAD_BYTES]:
                self._count("inserts delivered late")
        elif mode == "drop":
            self._count("ended")
            return False
        elif mode == "delay":
            self._count("delayed")
            threading.Event().wait(delay)
            sink.sendall(piece)
        elif mode == "cut":
            sink.sendall(piece[:connection.bytes_left])
            connection.bytes_left -= len(piece)
            if connection.bytes_left <= 0:
                self._count("cut")
                return False
        elif mode == "lose" and not to_server and lose:
            self._count("answers lost")
            return False
        else:
            sink.sendall(piece)
        return True
