#!/usr/bin/python3
"""A peer that speaks HBONE with other code than ours: OpenSSL's TLS and as much of HTTP/2 (RFC 9113) as CONNECT needs.

    hbone.py connect HOST PORT CERT KEY AUTHORITY [METHOD]   prints what came of it, as JSON
    hbone.py truncate HOST PORT CERT KEY BYTES               ends the connection after that much of the handshake
    hbone.py flood HOST PORT CERT KEY KIND AUTHORITY         breaks HTTP/2's rules after the handshake; see FLOODS
    hbone.py impostor HOST PORT CERT KEY                     a server; prints a line for each connection

CERT holds a chain; the peer's own certificate is printed, not judged.
"""

import json
import os
import socket
import ssl
import sys

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
# HPACK (RFC 7541): the indexed fields of appendix A that are a status, and the digits of appendix B.
STATUSES = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
HUFFMAN_DIGITS = {"00000": "0", "00001": "1", "00010": "2", "011001": "3", "011010": "4", "011011": "5",
                  "011100": "6", "011101": "7", "011110": "8", "011111": "9"}


def _say(**fields):
    print(json.dumps(fields), flush=True)


def context(role, certificate, key):
    made = ssl.SSLContext(role)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    if certificate != "-":
        made.load_cert_chain(certificate, key)
    made.set_alpn_protocols(["h2"])
    return made


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name, value):
    """A field without indexing and without Huffman codes."""
    return b"\x00" + b"".join(bytes([len(part)]) + part.encode() for part in (name, value))


def status_of(block):
    """The :status of a header block, which comes first in it."""
    while block and block[0] & 0xe0 == 0x20:
        block = block[1:]  # A change of the table's size.
    if block[0] & 0x80:
        return STATUSES[block[0] & 0x7f]
    length = block[1] & 0x7f
    text = block[2:2 + length]
    return int(_digits(text) if block[1] & 0x80 else text)


def _digits(data):
    bits, word, text = "".join(f"{byte:08b}" for byte in data), "", ""
    for bit in bits:
        word += bit
        if word in HUFFMAN_DIGITS:
            text, word = text + HUFFMAN_DIGITS[word], ""
    return text


class Frames:
    def __init__(self, connection):
        self._connection = connection
        self._buffer = b""

    def _take(self, length):
        while len(self._buffer) < length:
            data = self._connection.recv(65536)
            if not data:
                raise EOFError
            self._buffer += data
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    def next(self):
        """(kind, flags, stream, payload) of the next frame."""
        head = self._take(9)
        return (head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7fffffff,
                self._take(int.from_bytes(head[:3], "big")))


def secure(host, port, certificate, key):
    plain = socket.create_connection((host, int(port)), timeout=10)
    return context(ssl.PROTOCOL_TLS_CLIENT, certificate, key).wrap_socket(plain)


def request(authority, method, stream=1):
    fields = [(":method", method), (":authority", authority)]
    if method != "CONNECT":
        fields += [(":scheme", "https"), (":path", "/")]
    block = b"".join(literal(*field) for field in fields)
    return frame(HEADERS, END_HEADERS, stream, block)


def connect(host, port, certificate, key, authority, method="CONNECT"):
    """The answer's status; after a 200 also what the application at the end says to `whoami`."""
    with secure(host, port, certificate, key) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + request(authority, method))
        frames, body, status = Frames(connection), b"", None
        while True:
            kind, flags, stream, payload = frames.next()
            if kind == SETTINGS and not flags & ACK:
                connection.sendall(frame(SETTINGS, ACK, 0))
            elif kind == HEADERS:
                status = status_of(payload)
                if status != 200 or flags & END_STREAM:
                    return _say(status=status)
                connection.sendall(frame(DATA, 0, 1, b"whoami\n"))
            elif kind == DATA:
                body += payload
                if body.endswith(b"\n"):
                    return _say(status=status, **json.loads(body))
            elif kind == RST_STREAM:
                return _say(status=status, reset=int.from_bytes(payload, "big"))
            elif kind == GOAWAY:
                return _say(status=status, goaway=int.from_bytes(payload[4:8], "big"))


def truncate(host, port, certificate, key, length):
    """As many bytes of a real ClientHello, then the end."""
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    engine = context(ssl.PROTOCOL_TLS_CLIENT, certificate, key).wrap_bio(inward, outward)
    try:
        engine.do_handshake()
    except ssl.SSLWantReadError:
        pass
    with socket.create_connection((host, int(port)), timeout=15) as connection:
        connection.sendall(outward.read()[:int(length)])
        connection.shutdown(socket.SHUT_WR)
        seen = b""
        while data := connection.recv(65536):
            seen += data
    _say(end="EOF", length=len(seen))


def _opened(*frames):
    return PREFACE + frame(SETTINGS, 0, 0) + b"".join(frames)


def _rapid_reset(authority):
    yield _opened()
    for stream in range(1, 40_000, 2):
        yield request(authority, "CONNECT", stream) + frame(RST_STREAM, 0, stream, bytes(4))


def _repeated(count, *frames):
    yield _opened()
    for _ in range(count):
        yield b"".join(frames)


# What a peer with a good certificate may send; each is an iterable of bytes for the authority that it asks for.
FLOODS = {
    "http1": lambda authority: [f"GET / HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode()],
    "random": lambda authority: [os.urandom(20_000)],
    "random frames": lambda authority: [_opened(os.urandom(20_000))],
    "huge frame": lambda authority: [_opened(b"\xff\xff\xff" + frame(DATA, 0, 1)[3:], bytes(100_000))],
    "data on no stream": lambda authority: [_opened(frame(DATA, 0, 7, b"x"))],
    "endless header block": lambda authority: _repeated(
        5000, frame(HEADERS, 0, 1, literal("x", "y")), *[frame(CONTINUATION, 0, 1, literal("x", "y"))] * 10),
    "large header list": lambda authority: [_opened(
        frame(HEADERS, 0, 1, b""), *[frame(CONTINUATION, 0, 1, literal("x", "y" * 100) * 150)] * 40)],
    "rapid reset": _rapid_reset,
    "pings": lambda authority: _repeated(50_000, frame(PING, 0, 0, bytes(8))),
    "settings": lambda authority: _repeated(50_000, frame(SETTINGS, 0, 0)),
    "empty data": lambda authority: _repeated(1, request(authority, "CONNECT"), frame(DATA, 0, 1) * 50_000),
    "window overflow": lambda authority: [_opened(*[frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff")] * 2)],
}


def flood(host, port, certificate, key, kind, authority):
    """Sends until the other side ends it; says how, and with which code of HTTP/2."""
    goaway = None
    with secure(host, port, certificate, key) as connection:
        try:
            for part in FLOODS[kind](authority):
                connection.sendall(part)
            sent = True
        except OSError:
            sent = False
        try:
            frames = Frames(connection)
            while True:
                seen, _, _, payload = frames.next()
                if seen == GOAWAY:
                    goaway = int.from_bytes(payload[4:8], "big")
        except EOFError:
            _say(end="EOF", goaway=goaway, took_all=sent)
        except TimeoutError:
            _say(end="timeout", goaway=goaway, took_all=sent)
        except OSError as error:
            _say(end=type(error).__name__, goaway=goaway, took_all=sent)


def impostor(host, port, certificate, key):
    """Takes connections as the workload at this address would; tells what it was sent after the handshake."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, int(port)), family=family)
    made = context(ssl.PROTOCOL_TLS_SERVER, certificate, key)
    made.set_alpn_protocols(["h2"])
    _say(listening=True)
    while True:
        plain, _ = listener.accept()
        plain.settimeout(10)
        seen = b""
        try:
            with made.wrap_socket(plain, server_side=True) as connection:
                while data := connection.recv(65536):
                    seen += data
            _say(end="EOF", length=len(seen))
        except (OSError, ssl.SSLError) as error:
            _say(end=getattr(error, "reason", None) or type(error).__name__, length=len(seen))


if __name__ == "__main__":
    try:
        {"connect": connect, "truncate": truncate, "flood": flood, "impostor": impostor}[sys.argv[1]](*sys.argv[2:])
    except ssl.SSLError as error:
        _say(tls=error.reason or str(error))
    except EOFError:
        _say(end="EOF")
    except OSError as error:
        _say(error=type(error).__name__)
