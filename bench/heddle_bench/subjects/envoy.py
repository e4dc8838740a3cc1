"""A real Envoy: TCP proxy with mutual TLS per connection, and HBONE (HTTP/2 CONNECT over mutual TLS, streams pooled).

BoringSSL chooses TLS 1.3 ciphers by the machine: with AES instructions it is AES-128-GCM, which the handshake shows."""

import json

from .. import peers
from .subject import Pair

_API = "type.googleapis.com/envoy.extensions"
_LIMIT = 1_000_000  # For what Envoy bounds by 1024 unless told.


def _address(text):
    host, _, port = text.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def _files(identity, verify):
    context = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3",
                       "ecdh_curves": ["X25519"]},
        "tls_certificates": [{"certificate_chain": {"filename": str(identity.chain)},
                              "private_key": {"filename": str(identity.key)}}],
        "validation_context": {"trusted_ca": {"filename": str(identity.root)},
                               "match_typed_subject_alt_names": [
                                   {"san_type": "DNS", "matcher": {"exact": verify}}]},
    }
    return context


def _upstream_tls(identity, alpn):
    context = _files(identity, "b.bench")
    if alpn:
        context["alpn_protocols"] = [alpn]
    return {"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": f"{_API}.transport_sockets.tls.v3.UpstreamTlsContext", "sni": "b.bench", "max_session_keys": 0,
        "common_tls_context": context}}


def _downstream_tls(identity, alpn):
    context = _files(identity, "a.bench")
    if alpn:
        context["alpn_protocols"] = [alpn]
    return {"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": f"{_API}.transport_sockets.tls.v3.DownstreamTlsContext", "require_client_certificate": True,
        "disable_stateless_session_resumption": True, "disable_stateful_session_resumption": True,
        "common_tls_context": context}}


def _cluster(to, transport=None, http2=False, streams_max=0):
    cluster = {
        "name": "next", "type": "STATIC", "connect_timeout": "10s",
        "circuit_breakers": {"thresholds": [{"max_connections": _LIMIT, "max_pending_requests": _LIMIT,
                                             "max_requests": _LIMIT, "max_retries": 3}]},
        "load_assignment": {"cluster_name": "next", "endpoints": [
            {"lb_endpoints": [{"endpoint": {"address": _address(to)}}]}]},
    }
    if transport:
        cluster["transport_socket"] = transport
    if http2:
        options = {"@type": f"{_API}.upstreams.http.v3.HttpProtocolOptions",
                   "explicit_http_config": {"http2_protocol_options": {}}}
        if streams_max:
            options["common_http_protocol_options"] = {"max_requests_per_connection": streams_max}
        cluster["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}
    return cluster


def _tcp_proxy(tunnel_to=None):
    proxy = {"@type": f"{_API}.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "tcp", "cluster": "next",
             "idle_timeout": "600s"}
    if tunnel_to:
        proxy["tunneling_config"] = {"hostname": tunnel_to}
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}


def _connect_terminator():
    """HTTP/2 CONNECT in, TCP out."""
    route = {"match": {"connect_matcher": {}},
             "route": {"cluster": "next", "timeout": "0s",
                       "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]}}
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": {
        "@type": f"{_API}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "hbone", "codec_type": "HTTP2", "generate_request_id": False,
        "http2_protocol_options": {"allow_connect": True},
        "stream_idle_timeout": "600s", "upgrade_configs": [{"upgrade_type": "CONNECT"}],
        "http_filters": [{"name": "envoy.filters.http.router",
                          "typed_config": {"@type": f"{_API}.filters.http.router.v3.Router"}}],
        "route_config": {"name": "all", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}}}


def config(side, listen, to, identity, hbone, streams_max=0):
    """A bootstrap without an admin port or statistics of its own."""
    alpn = "h2" if hbone else None
    chain = {"filters": [_tcp_proxy("server.bench:80" if hbone else None)]}
    if side == "a":
        cluster = _cluster(to, _upstream_tls(identity, alpn), hbone, streams_max)
    else:
        chain = {"filters": [_connect_terminator() if hbone else _tcp_proxy()],
                 "transport_socket": _downstream_tls(identity, alpn)}
        cluster = _cluster(to)
    return {"static_resources": {
        "listeners": [{"name": "in", "address": _address(listen), "filter_chains": [chain]}], "clusters": [cluster]}}


class EnvoyTcp(Pair):
    name = "envoy-tcp"
    ports = 3
    per_connection = True
    hbone = False
    streams_max = 0  # Of a tunnel over its life; 0: no limit.

    def argv(self, side):
        file = self.folder / f"{side}.json"
        listen, to = (self.entry, self.link) if side == "a" else (self.link, self.ground.server_address)
        file.write_text(json.dumps(config(side, listen, to, self.grounds.identity(side), self.hbone,
                                          self.streams_max), indent=1))
        return [peers.envoy(), "-c", file, "--concurrency", "2", "--use-dynamic-base-id", "-l", "warning"]


class EnvoyHbone(EnvoyTcp):
    name = "envoy-hbone"
    ports = 4
    per_connection = False
    hbone = True


class EnvoyHboneFresh(EnvoyHbone):
    """A new tunnel for each connection: Envoy HBONE as it is when there is nothing to pool."""

    name = "envoy-hbone-fresh"
    ports = 5
    per_connection = True
    streams_max = 1
    only = ("H1",)
