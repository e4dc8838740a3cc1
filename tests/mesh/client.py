#!/usr/bin/python3
"""The clients of the netns suite, run inside pods: client.py COMMAND HOST PORT [ARGUMENT...]

Each command prints JSON objects, one a line: what it saw, or {"error": "ECONNREFUSED"}. Standard library only.
"""

import errno
import json
import resource
import select
import socket
import struct
import sys
import threading
import time
import zlib

import app

TIMEOUT = 30
IP_TRANSPARENT = 19
IPV6_TRANSPARENT = 75
PROXY_MARK = 0x539
SO_BINDTODEVICE = 25
SO_MARK = 36
TCP_FASTOPEN_CONNECT = 30
IPPROTO_MPTCP = 262


def _say(**fields):
    print(json.dumps(fields), flush=True)


def name_of(error):
    if isinstance(error, TimeoutError) and error.errno is None:
        return "timeout"
    return errno.errorcode.get(error.errno, type(error).__name__)


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def dial(host, port, order, source_port=0, reuse=False, timeout=TIMEOUT, protocol=0):
    connection = socket.socket(family_of(host), socket.SOCK_STREAM, protocol)
    connection.settimeout(timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if reuse:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if source_port:
        connection.bind(("::" if ":" in host else "0.0.0.0", source_port))
    connection.connect((host, int(port)))
    connection.sendall(f"{order}\n".encode())
    return connection


def read_line(connection):
    line = b""
    while not line.endswith(b"\n"):
        data = connection.recv(4096)
        if not data:
            raise ConnectionError(errno.ENODATA, "the end came before the answer")
        line += data
    return line


def ask(host, port, *order):
    """Sends the order and prints the server's line."""
    with dial(host, port, " ".join(order)) as connection:
        _say(**json.loads(read_line(connection)))


def both(host, port, seed, size):
    """Sends and receives at once, ends its direction, and compares what both ends say."""
    size = int(size)
    with dial(host, port, f"both {int(seed) + 1} {size}", timeout=180) as connection:
        started = time.monotonic()
        seen = []
        reader = threading.Thread(target=lambda: seen.append(app.receive_all(connection, size)), daemon=True)
        reader.start()
        sent = app.send_pattern(connection, seed, size)
        connection.shutdown(socket.SHUT_WR)
        reader.join()
        length, checksum = seen[0]
        server = json.loads(read_line(connection))
        tail = connection.recv(1)
        _say(length=length, server_length=server["length"], same_up=sent == server["checksum"],
             same_down=checksum == server["sent"], end=tail == b"", seconds=time.monotonic() - started)


def finish_first(host, port, token, size):
    """The server ends its direction first; then this one sends `size` bytes and ends, too."""
    with dial(host, port, f"finish_first {token} {size}") as connection:
        length, _ = app.receive_all(connection)
        app.send_pattern(connection, 2, int(size))
    _say(length=length)


def single_bytes(host, port, count):
    """Writes byte by byte, each a segment of its own; compares the echo."""
    data = app.pattern(3)[:int(count)]
    with dial(host, port, "echo") as connection:
        for at in range(len(data)):
            connection.sendall(data[at:at + 1])
        connection.shutdown(socket.SHUT_WR)
        seen = b""
        while part := connection.recv(65536):
            seen += part
    _say(same=seen == data, length=len(seen))


def _exchange(connection, data):
    connection.sendall(data)
    seen = b""
    while len(seen) < len(data):
        part = connection.recv(65536)
        if not part:
            break
        seen += part
    return seen == data


def many(host, port, count, rounds=1):
    """Opens `count` connections, keeps all, and exchanges data over each, in every round."""
    connections, started = [], time.monotonic()
    for _ in range(int(count)):
        connections.append(dial(host, port, "echo"))
    opened = time.monotonic() - started
    good = sum(_exchange(connection, b"%d of many\n" % number)
               for _ in range(int(rounds)) for number, connection in enumerate(connections))
    for connection in connections:
        connection.close()
    _say(exchanges=good, opened_seconds=opened, seconds=time.monotonic() - started)


def churn(host, port, count):
    """`count` connections, one after the other, each used once."""
    started, good = time.monotonic(), 0
    for number in range(int(count)):
        with dial(host, port, "echo") as connection:
            good += _exchange(connection, b"%d\n" % number)
    _say(exchanges=good, seconds=time.monotonic() - started)


def keep(host, port, count, order):
    """Opens `count` connections and keeps them until it is stopped; tells when one ends."""
    connections = []
    for number in range(int(count)):
        connection = dial(host, port, order.replace("_", " ").replace("#", str(number)))
        if read_line(connection) != b"open\n":
            _say(error="no greeting")
            return
        connections.append(connection)
    _say(open=len(connections))
    poller, by_number = select.poll(), {connection.fileno(): connection for connection in connections}
    for number in by_number:
        poller.register(number, select.POLLIN)
    while by_number:
        for number, _ in poller.poll():
            try:
                reason = "data" if by_number[number].recv(4096) else "EOF"
            except OSError as error:
                reason = name_of(error)
            _say(ended=reason, at=time.monotonic_ns())
            poller.unregister(number)
            by_number.pop(number).close()


def stalled(host, port, token, size):
    """Sends until the other side takes no more for 2 s, says how much, goes on when it takes again."""
    connection = dial(host, port, f"stall {token}")
    block, size, sent, checksum, announced = app.pattern(4), int(size), 0, 0, False
    connection.setblocking(False)
    while sent < size:
        if not select.select([], [connection], [], 60 if announced else 2)[1]:
            if announced:
                raise TimeoutError(errno.ETIMEDOUT, "never taken")
            announced = True
            _say(stopped_at=sent)
            continue
        try:
            count = connection.send(block[:min(65536, size - sent)])
        except BlockingIOError:
            continue
        checksum = zlib.crc32(block[:count], checksum)
        sent += count
    connection.setblocking(True)
    connection.shutdown(socket.SHUT_WR)
    answer = json.loads(read_line(connection))
    _say(sent=sent, same=answer["checksum"] == checksum, length=answer["length"])


def read_to_end(host, port, *order):
    """Sends the order, reads, and says how the end came."""
    with dial(host, port, " ".join(order)) as connection:
        try:
            length, _ = app.receive_all(connection)
            _say(end="EOF", length=length)
        except OSError as error:
            _say(end=name_of(error))


def reset(host, port, token):
    """Opens, waits for the greeting, and closes with a RST."""
    connection = dial(host, port, f"hold {token}")
    read_line(connection)
    app.reset(connection)
    _say(done=True)


def same_port(host, port, source_port, count):
    """Connects from one source port again and again, at once after each close."""
    ports, started = set(), time.monotonic()
    for _ in range(int(count)):
        with dial(host, port, "whoami", int(source_port), reuse=True) as connection:
            ports.add(json.loads(read_line(connection))["address"])
            app.reset(connection)
    _say(addresses=sorted(ports), seconds=time.monotonic() - started)


def use_up(host, port, client, listening):
    """In a pod that is not captured yet: what an agent's dials for that client leave behind that use every port above
    1023 within a minute, but for those on which something listens. The application, here for once, closes first."""
    with open("/proc/sys/net/ipv4/tcp_fwmark_accept", "w") as setting:
        setting.write("1")
    family = family_of(host)
    with socket.socket(family, socket.SOCK_STREAM) as application:
        application.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        application.bind((host, int(port)))
        application.listen()
        for source_port in sorted(set(range(1024, 65536)) - {int(port), int(listening)}):
            with socket.socket(family, socket.SOCK_STREAM) as dialled:
                dialled.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                dialled.setsockopt(*((socket.SOL_IPV6, IPV6_TRANSPARENT) if family == socket.AF_INET6 else
                                     (socket.SOL_IP, IP_TRANSPARENT)), 1)
                dialled.setsockopt(socket.SOL_SOCKET, SO_MARK, PROXY_MARK)
                dialled.bind((client, source_port))
                dialled.connect((host, int(port)))
                application.accept()[0].close()
    _say(done=True)


def special(host, port, kind):
    """A connect by some way: plain, tfo-connect, tfo-sendto, mptcp, device, reuseport, mapped, nonblocking, again."""
    if kind == "mapped" and ":" not in host:
        host = f"::ffff:{host}"
    with socket.socket(family_of(host), socket.SOCK_STREAM, IPPROTO_MPTCP if kind == "mptcp" else 0) as connection:
        connection.settimeout(5)
        address = (host, int(port))
        if kind == "device":
            connection.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"eth0")
        if kind == "reuseport":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            connection.bind(("::" if ":" in host else "0.0.0.0", 0))
        if kind == "tfo-connect":
            connection.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
        if kind == "tfo-sendto":
            connection.settimeout(None)
            connection.sendto(b"whoami\n", socket.MSG_FASTOPEN, address)
        else:
            ways = {"again": _connect_twice, "nonblocking": _connect_nonblocking}
            ways.get(kind, socket.socket.connect)(connection, address)
            connection.sendall(b"whoami\n")
        _say(**json.loads(read_line(connection)))


def _connect_nonblocking(connection, address):
    """By a poll for the result, as event loops do."""
    connection.setblocking(False)
    connection.connect_ex(address)
    select.select([], [connection], [], 5)
    error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, "connect")
    connection.settimeout(5)


def raw_syn(host, port, count):
    """A SYN without connect(), as a tool would send it that builds its own segments."""
    segment = struct.pack("!HHIIBBHHH", 44444, int(port), 1, 0, 5 << 4, 2, 1024, 0, 0)
    with socket.socket(family_of(host), socket.SOCK_RAW, socket.IPPROTO_TCP) as connection:
        results = []
        for _ in range(int(count)):
            try:
                connection.sendto(segment, (host, 0))
                results.append("sent")
            except OSError as error:
                results.append(name_of(error))
    _say(results=sorted(set(results)))


def _connect_twice(connection, address):
    """The same socket: a connect that is given up (AF_UNSPEC), then the real one."""
    import ctypes
    connection.setblocking(False)
    connection.connect_ex(address)
    ctypes.CDLL(None, use_errno=True).connect(connection.fileno(), bytes(16), 16)
    connection.setblocking(True)
    connection.settimeout(5)
    connection.connect(address)


def chat(host, port, seconds):
    """Exchanges data over one connection all the time."""
    end, good = time.monotonic() + float(seconds), 0
    with dial(host, port, "echo") as connection:
        _say(open=connection.getsockname()[1])
        while time.monotonic() < end:
            good += _exchange(connection, b"still there?\n")
            time.sleep(0.01)
    _say(exchanges=good)


def hammer(host, port, seconds, pause=0):
    """Connects again and again; counts what came of it."""
    _say(started=True)
    end, ok, failed, errors = time.monotonic() + float(seconds), 0, 0, set()
    while time.monotonic() < end:
        try:
            with dial(host, port, "whoami", timeout=2) as connection:
                read_line(connection)
                ok += 1
            time.sleep(float(pause))
        except OSError as error:
            failed += 1
            errors.add(name_of(error))
            time.sleep(0.001)
    _say(ok=ok, failed=failed, errors=sorted(errors))


def peer_name(host, port):
    """Whom the socket says that it is connected to."""
    with dial(host, port, "whoami") as connection:
        read_line(connection)
        _say(peer=connection.getpeername()[:2])


def bind(host, port):
    """Tries to listen at an address of this pod."""
    with socket.socket(family_of(host)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, int(port)))
        listener.listen()
        _say(bound=True)


def send_raw(host, port, kind):
    """Bytes that are no protocol, and how the other side ends it."""
    payloads = {"random": app.pattern(9)[:4096], "http1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                "half_record": b"\x16\x03\x01\x20\x00" + app.pattern(8)[:100], "nothing": b""}
    with socket.create_connection((host, int(port)), timeout=15) as connection:
        connection.sendall(payloads[kind])
        connection.shutdown(socket.SHUT_WR)
        length, _ = app.receive_all(connection)
        _say(end="EOF", length=length)


COMMANDS = {each.__name__: each for each in (ask, both, finish_first, single_bytes, many, churn, keep, chat, stalled,
                                             read_to_end, reset, same_port, special, raw_syn, hammer, peer_name, bind,
                                             use_up, send_raw)}

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    try:
        COMMANDS[sys.argv[1]](*sys.argv[2:])
    except OSError as error:
        _say(error=name_of(error))
