"""nginx as a stream proxy, mutual TLS per connection, with 64 KiB buffers."""

from .. import peers
from .subject import Pair

_CONFIG = """\
load_module {module};
user root;
worker_processes 2;
daemon off;
pid {folder}/{side}.pid;
error_log {folder}/{side}-error.log warn;
events {{ worker_connections 40000; }}
stream {{
    tcp_nodelay on;
    proxy_buffer_size 64k;
    proxy_timeout 10m;
    proxy_half_close on;
    server {{
        listen {listen}{ssl} backlog=4096;
        proxy_pass {to};
{tls}    }}
}}
"""
_OUT = """\
        proxy_ssl on;
        proxy_ssl_certificate {chain};
        proxy_ssl_certificate_key {key};
        proxy_ssl_trusted_certificate {root};
        proxy_ssl_verify on;
        proxy_ssl_verify_depth 2;
        proxy_ssl_name b.bench;
        proxy_ssl_protocols TLSv1.3;
        proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        proxy_ssl_session_reuse off;
"""
_IN = """\
        ssl_certificate {chain};
        ssl_certificate_key {key};
        ssl_client_certificate {root};
        ssl_verify_client on;
        ssl_verify_depth 2;
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        ssl_ecdh_curve X25519;
        ssl_session_tickets off;
        ssl_session_cache off;
"""


def config(side, listen, to, identity, folder, module):
    tls = (_OUT if side == "a" else _IN).format(chain=identity.chain, key=identity.key, root=identity.root)
    return _CONFIG.format(module=module, folder=folder, side=side, listen=listen, ssl="" if side == "a" else " ssl",
                          to=to, tls=tls)


class Nginx(Pair):
    name = "nginx-64k"
    per_connection = True
    ports = 2

    def argv(self, side):
        binary, module = peers.debian("nginx", "libnginx-mod-stream")
        file = self.folder / f"{side}.conf"
        listen, to = (self.entry, self.link) if side == "a" else (self.link, self.ground.server_address)
        file.write_text(config(side, listen, to, self.grounds.identity(side), self.folder, module))
        return [binary, "-p", self.folder, "-c", file, "-e", self.folder / f"{side}-start.log"]
