"""nghttpx as a pair of HTTP proxies that speak HTTP/2 over mutual TLS with each other.

It carries requests, not connections: its --http2-proxy wants a client that speaks CONNECT. So it is for HTTP alone."""

from .. import peers
from .subject import Pair

# No configuration file of the system's. It logs accesses only where a file is named for them.
_COMMON = ("--conf=/dev/null", "--workers=2", "--no-ocsp",
           "--tls-min-proto-version=TLSv1.3", "--tls-max-proto-version=TLSv1.3", "--ecdh-curves=X25519")


def config(side, listen, to, identity):
    """The arguments of one side. Only chains are verified of clients, as with haproxy and nginx."""
    listen, to = (",".join(address.rsplit(":", 1)) for address in (listen, to))
    if side == "a":
        return [*_COMMON, f"--frontend={listen};no-tls", f"--backend={to};;proto=h2;tls;sni=b.bench",
                f"--cacert={identity.root}", f"--client-cert-file={identity.chain}",
                f"--client-private-key-file={identity.key}", "--tls13-client-ciphers=TLS_AES_128_GCM_SHA256"]
    return [*_COMMON, f"--frontend={listen}", f"--backend={to};;proto=http/1.1", "--verify-client",
            f"--verify-client-cacert={identity.root}", "--tls13-ciphers=TLS_AES_128_GCM_SHA256", identity.key,
            identity.chain]


class Nghttpx(Pair):
    name = "nghttpx"
    ports = 6
    only = ("R1",)

    def argv(self, side):
        binary, = peers.debian("nghttp2-proxy")
        listen, to = (self.entry, self.link) if side == "a" else (self.link, self.ground.server_address)
        return [binary, *config(side, listen, to, self.grounds.identity(side))]

    def carries(self):
        done = self.client.run(["curl", "-sf", "-o", "/dev/null", "--max-time", "2", f"http://{self.address}/"],
                               check=False)
        return done.returncode == 0
