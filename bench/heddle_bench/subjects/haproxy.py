"""HAProxy in TCP mode, mutual TLS per connection, with the 64 KiB buffers that its manual advises for bulk.

It takes as many connections as the descriptor limit allows."""

from .. import peers
from .subject import Pair

_CONFIG = """\
global
    nbthread 2
    tune.bufsize 65536
    tune.ssl.cachesize 0
    ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
    ssl-default-bind-curves X25519
    ssl-default-server-options ssl-min-ver TLSv1.3 no-tls-tickets
    ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
defaults
    mode tcp
    timeout connect 10s
    timeout client 10m
    timeout server 10m
listen {name}
    bind {listen}{bind}
    server next {to}{server}
"""


def config(side, listen, to, identity):
    """HAProxy reads the certificate and its key from one file."""
    if side == "a":
        server = f" ssl verify required ca-file {identity.root} verifyhost b.bench crt {identity.both} no-ssl-reuse"
        return _CONFIG.format(name="a", listen=listen, bind="", to=to, server=server)
    bind = f" ssl crt {identity.both} ca-file {identity.root} verify required"
    return _CONFIG.format(name="b", listen=listen, bind=bind, to=to, server="")


class Haproxy(Pair):
    name = "haproxy-64k"
    per_connection = True
    ports = 1

    def argv(self, side):
        binary, = peers.debian("haproxy")
        file = self.folder / f"{side}.cfg"
        listen, to = (self.entry, self.link) if side == "a" else (self.link, self.ground.server_address)
        file.write_text(config(side, listen, to, self.grounds.identity(side)))
        return [binary, "-db", "-f", file]
