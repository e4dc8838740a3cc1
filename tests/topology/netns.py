"""Named network namespaces and their plumbing."""

import contextlib
import ctypes
import pathlib

from .process import run

NETNS_DIR = pathlib.Path("/run/netns")

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def entered(path):
    """The calling thread is in that network namespace, and so is what it starts: for what is timed, which would have
    the start of nsenter in it, too. While the main thread is inside, /proc/net shows that namespace to all threads."""
    with open("/proc/thread-self/ns/net", "rb") as own, open(path, "rb") as there:
        try:
            _enter(there)
            yield
        finally:
            _enter(own)


def _enter(namespace):
    if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {namespace.name}")


class Netns:
    """A network namespace with loopback up, made on construction."""

    def __init__(self, name):
        self.name = name
        self.path = NETNS_DIR / name
        run(["ip", "netns", "add", name])
        try:
            self.sysctl("net/ipv6/conf/default/accept_dad", 0)  # Addresses are usable at once.
            self.sysctl("net/ipv6/conf/all/accept_dad", 0)
            self.ip("link", "set", "lo", "up")
        except BaseException:  # Nobody else knows of it yet: Ctrl-C may come just here.
            self.remove()
            raise

    def run(self, argv, **options):
        return run(["nsenter", f"--net={self.path}", "--", *argv], **options)

    def ip(self, *arguments):
        return self.run(["ip", *arguments])

    def sysctl(self, key, value):
        # /proc/sys/net shows the namespace of the process that opens it.
        self.run(["sh", "-c", f'[ ! -e /proc/sys/{key} ] || echo {value} >/proc/sys/{key}'])

    def remove(self):
        if self.path.exists():
            run(["ip", "netns", "del", self.name])


def veth(first, first_name, second, second_name):
    """Joins two namespaces; the interfaces never show in the machine's own namespace."""
    run(["ip", "link", "add", first_name, "netns", first.name, "type", "veth",
         "peer", "name", second_name, "netns", second.name])
    first.ip("link", "set", first_name, "up")
    second.ip("link", "set", second_name, "up")
