#!/usr/bin/python3
"""The applications of the tests: a server and two clients, run inside pods. Standard library only.

    traffic.py serve PORT         HTTP: /whoami answers with the client's address, /hold streams until it is ended,
                                  anything else reads the request's body and answers its length
    traffic.py probe HOST PORT    asks for /whoami over and over; one line per try: nanoseconds, then ok or the reason
    traffic.py hold HOST PORT     keeps /hold open; a line "open", and at the end nanoseconds and the reason

Nanoseconds are those of the monotonic clock, which all processes of the machine share.
"""

import errno
import http.server
import socket
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path != "/hold":
            self._answer(self.client_address[0].replace("::ffff:", "").encode() + b"\n")
            return
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b".")
                time.sleep(0.01)
        except OSError:
            self.close_connection = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(f"{len(body)} bytes\n".encode())

    def log_message(self, *unused):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 128
    daemon_threads = True


def serve(port):
    Server(("::", int(port)), Handler).serve_forever()


def _reason(error):
    return errno.errorcode.get(error.errno, type(error).__name__) if isinstance(error, OSError) else str(error)


def _say(*words):
    print(*words, flush=True)


def _get(host, port, path):
    connection = socket.create_connection((host, int(port)), timeout=5)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    return connection


def probe(host, port):
    while True:
        started = time.monotonic_ns()
        try:
            with _get(host, port, "/whoami") as connection:
                outcome = "ok" if connection.recv(4096) else "EOF"
        except OSError as error:
            outcome = _reason(error)
        _say(started, outcome)
        time.sleep(0.002)


def hold(host, port):
    try:
        with _get(host, port, "/hold") as connection:
            connection.recv(4096)
            _say("open")
            while connection.recv(4096):
                pass
            outcome = "EOF"
    except OSError as error:
        outcome = _reason(error)
    _say(time.monotonic_ns(), outcome)


if __name__ == "__main__":
    {"serve": serve, "probe": probe, "hold": hold}[sys.argv[1]](*sys.argv[2:])
