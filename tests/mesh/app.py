#!/usr/bin/python3
"""The application of the netns suite: one server whose behaviour the client asks for. Standard library only.

    app.py PORT [ADDRESS]    without an address it listens on all of both families

A connection's first line is an order: the behaviour's name, and its arguments as words. See BEHAVIOURS.
"""

import errno
import json
import select
import socket
import struct
import sys
import threading
import zlib

BLOCK = 1 << 20
_reports = {}  # Token -> how the connection with that token went on; read by `report`.
_gates = {}  # Token -> an event that `release` sets.
_lock = threading.Lock()
_held = None  # Of the server that main() is.


def pattern(seed):
    """A block of bytes that does not repeat itself, and differs for each seed."""
    import random
    return random.Random(int(seed)).randbytes(BLOCK)


def send_pattern(connection, seed, size):
    """Sends `size` bytes; returns their checksum."""
    block, checksum, left = memoryview(pattern(seed)), 0, size
    while left > 0:
        part = block[:min(left, BLOCK)]
        checksum = zlib.crc32(part, checksum)
        connection.sendall(part)
        left -= len(part)
    return checksum


def receive_all(connection, limit=None):
    """Reads to the end, or `limit` bytes; returns (length, checksum)."""
    buffer, length, checksum = memoryview(bytearray(BLOCK)), 0, 0
    while limit is None or length < limit:
        count = connection.recv_into(buffer if limit is None else buffer[:min(BLOCK, limit - length)])
        if count == 0:
            break
        checksum = zlib.crc32(buffer[:count], checksum)
        length += count
    return length, checksum


def reset(connection):
    """Closes with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def ending(connection):
    """Reads to the end; says how it came."""
    try:
        length, _ = receive_all(connection)
        return f"EOF after {length}"
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__)


def _say(connection, **fields):
    connection.sendall(json.dumps(fields).encode() + b"\n")


def _gate(token):
    with _lock:
        return _gates.setdefault(token, threading.Event())


def whoami(connection, peer):
    _say(connection, address=peer[0].removeprefix("::ffff:"), port=peer[1])


def echo(connection, peer):
    while data := connection.recv(65536):
        connection.sendall(data)


def both(connection, peer, seed, size):
    """Sends that many bytes while it receives; at the client's end, a line with what was seen."""
    received = []
    reader = threading.Thread(target=lambda: received.append(receive_all(connection)), daemon=True)
    reader.start()
    sent = send_pattern(connection, seed, int(size))
    reader.join()
    length, checksum = received[0]
    _say(connection, sent=sent, length=length, checksum=checksum)


def finish_first(connection, peer, token, size):
    """Sends, ends its own direction, and goes on reading."""
    send_pattern(connection, 1, int(size))
    connection.shutdown(socket.SHUT_WR)
    _reports[token] = ending(connection)


class _Held:
    """Connections that are only read from, all by one thread: thousands that end at once would wake as many threads."""

    def __init__(self):
        self._epoll = select.epoll()
        self._connections = {}  # Descriptor -> [connection, token, bytes so far].
        threading.Thread(target=self._read, daemon=True).start()

    def add(self, connection, token):
        connection.setblocking(False)
        self._connections[connection.fileno()] = [connection, token, 0]
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _read(self):
        while True:
            for number, _ in self._epoll.poll():
                end = self._read_one(self._connections[number])
                if end:
                    connection, token, _ = self._connections.pop(number)
                    _reports[token] = end
                    connection.close()

    @staticmethod
    def _read_one(held):
        """How the connection ended, None while it goes on."""
        try:
            data = held[0].recv(65536)
        except BlockingIOError:
            return None
        except OSError as error:
            return errno.errorcode.get(error.errno, type(error).__name__)
        held[2] += len(data)
        return None if data else f"EOF after {held[2]}"


def hold(connection, peer, token):
    """Says `open`, then reads; its end is reported under the token."""
    connection.sendall(b"open\n")
    _held.add(socket.socket(fileno=connection.detach()), token)


def stall(connection, peer, token):
    """Does not read until `release`; then says how much came."""
    _gate(token).wait(120)
    length, checksum = receive_all(connection)
    _say(connection, length=length, checksum=checksum)


def release(connection, peer, token):
    _gate(token).set()
    connection.sendall(b"released\n")


def reset_after(connection, peer, size):
    send_pattern(connection, 1, int(size))
    reset(connection)


def report(connection, peer, token):
    _say(connection, end=_reports.get(token))


BEHAVIOURS = {each.__name__: each for each in
              (whoami, echo, both, finish_first, hold, stall, release, reset_after, report)}


def _serve_one(connection, peer):
    try:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = b""
            while not line.endswith(b"\n"):
                byte = connection.recv(1)
                if not byte:
                    return
                line += byte
            name, *arguments = line.decode().split()
            BEHAVIOURS[name](connection, peer, *arguments)
    except OSError:
        pass  # The other end has gone; tests that care ask for a report.


def main(port, address="::"):
    global _held
    _held = _Held()
    threading.stack_size(256 * 1024)  # Thousands of connections, each a thread that mostly waits.
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, int(port)))
    listener.listen(4096)
    while True:
        connection, peer = listener.accept()
        threading.Thread(target=_serve_one, args=(connection, peer), daemon=True).start()


if __name__ == "__main__":
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    main(*sys.argv[1:])
