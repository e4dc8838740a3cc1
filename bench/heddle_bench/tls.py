"""Certificates for the peers, and what a recorded handshake agreed on."""

import dataclasses
import pathlib
import struct

from topology.process import run

from . import peers

TLS_AES_128_GCM_SHA256 = 0x1301
X25519 = 0x001D
X25519MLKEM768 = 0x11EC
CIPHERS = {0x1301: "TLS_AES_128_GCM_SHA256", 0x1302: "TLS_AES_256_GCM_SHA384", 0x1303: "TLS_CHACHA20_POLY1305_SHA256"}
GROUPS = {0x001D: "X25519", 0x0017: "P-256", 0x0018: "P-384", X25519MLKEM768: "X25519MLKEM768"}


@dataclasses.dataclass(frozen=True)
class Identity:
    """Files of one end: leaf and intermediate, key, both in one file, and the root that the other end must chain to."""
    name: str
    chain: pathlib.Path
    key: pathlib.Path
    both: pathlib.Path
    root: pathlib.Path


class Authority:
    """A P-256 root and intermediate; leaves with a DNS name. Made with openssl's command line."""

    def __init__(self, folder):
        self._folder = pathlib.Path(folder)
        self._folder.mkdir(mode=0o700, parents=True)
        peers.debian("openssl")
        self.root = self._folder / "root.pem"
        self._make_root()
        self._intermediate, self._intermediate_key = self._sign(
            "intermediate", self.root, self._folder / "root.key",
            "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n")

    def _key(self, name):
        path = self._folder / f"{name}.key"
        run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path])
        return path

    def _make_root(self):
        run(["openssl", "req", "-x509", "-new", "-key", self._key("root"), "-out", self.root, "-days", "7",
             "-subj", "/O=bench/CN=root", "-addext", "basicConstraints=critical,CA:TRUE",
             "-addext", "keyUsage=critical,keyCertSign"])

    def _sign(self, name, issuer, issuer_key, extensions):
        key, request, certificate = self._key(name), self._folder / f"{name}.csr", self._folder / f"{name}.pem"
        extension_file = self._folder / f"{name}.ext"
        extension_file.write_text(extensions)
        run(["openssl", "req", "-new", "-key", key, "-out", request, "-subj", f"/O=bench/CN={name}"])
        run(["openssl", "x509", "-req", "-in", request, "-CA", issuer, "-CAkey", issuer_key, "-CAcreateserial",
             "-days", "7", "-extfile", extension_file, "-out", certificate])
        return certificate, key

    def issue(self, name):
        leaf, key = self._sign(name, self._intermediate, self._intermediate_key,
                               f"subjectAltName=critical,DNS:{name}\nkeyUsage=critical,digitalSignature\n"
                               "extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=critical,CA:FALSE\n")
        chain, both = self._folder / f"{name}-chain.pem", self._folder / f"{name}-both.pem"
        chain.write_text(leaf.read_text() + self._intermediate.read_text())
        both.write_text(chain.read_text() + key.read_text())
        return Identity(name, chain, key, both, self.root)


def server_hellos(data):
    """(cipher suite, group) of each TLS 1.3 ServerHello (RFC 8446 section 4.1.3) that stands whole in a packet of the
    recording `data`. A HelloRetryRequest looks the same and counts, too: a second round trip that should not be."""
    found, at = [], data.find(b"\x16\x03\x03")
    while at >= 0:
        hello = _server_hello(data[at + 5:at + 5 + 2048])  # A hybrid key share has 1120 bytes.
        if hello:
            found.append(hello)
        at = data.find(b"\x16\x03\x03", at + 1)
    return found


def _server_hello(message):
    # Type 2, length (3 bytes), 0x0303, random (32), session id, suite, compression, extensions.
    if len(message) < 39 or message[0] != 2 or message[1] != 0 or message[4:6] != b"\x03\x03":
        return None
    at = 39 + message[38]
    if len(message) < at + 5:
        return None
    suite, = struct.unpack_from(">H", message, at)
    end = at + 5 + struct.unpack_from(">H", message, at + 3)[0]
    if end > len(message):
        return None
    at, version, group = at + 5, None, None
    while at + 4 <= end:
        kind, length = struct.unpack_from(">HH", message, at)
        if kind == 43 and length == 2:  # supported_versions
            version = message[at + 4:at + 6]
        if kind == 51 and length >= 2:  # key_share
            group, = struct.unpack_from(">H", message, at + 4)
        at += 4 + length
    return (suite, group) if version == b"\x03\x04" else None


def describe(hello):
    suite, group = hello
    return f"{CIPHERS.get(suite, hex(suite))} {GROUPS.get(group, hex(group or 0))}"


def is_pinned(hellos):
    """Whether all of them, at least one, agreed on what every subject has to use."""
    return bool(hellos) and all(hello == (TLS_AES_128_GCM_SHA256, X25519) for hello in hellos)
