"""Calls a controller as an agent of a node does, with whichever token."""

import base64
import json
import re
import time

from kube import metrics

NAMESPACE = "heddle-system"
SIGN = "istio.v1.auth.IstioCertificateService/CreateCertificate"
AUDIENCE = "heddle-controller"
IDENTITY = "spiffe://cluster.local/ns/shop/sa/web"
UNAUTHENTICATED, DENIED, OK = "16", "7", "0"
HOUR = 3600


def token(cluster, agent, audience=AUDIENCE, namespace=NAMESPACE, service_account="heddle-agent"):
    """As the kubelet gets it for a pod; without a pod when `agent` is empty."""
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={agent}") if agent else ()
    audiences = (f"--audience={audience}",) if audience else ()
    return cluster.kubectl("create", "token", service_account, f"--namespace={namespace}", *audiences, *bound).strip()


def unpadded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def expired(cluster, bearer):
    """The same token as it would have been made so long ago that it ended an hour ago, signed with the cluster's
    key."""
    header, claims, _ = bearer.split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    age = said["exp"] - int(time.time()) + HOUR
    for claim in ("iat", "nbf", "exp"):
        said[claim] -= age
    signed = header.encode() + b"." + unpadded(json.dumps(said).encode())
    data, signature = cluster.dir / "expired", cluster.dir / "expired.signature"
    data.write_bytes(signed)
    cluster.control.run(["openssl", "dgst", "-sha256", "-sign", cluster.control_plane.account_key, "-out", signature,
                         data])
    return (signed + b"." + unpadded(signature.read_bytes())).decode()


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


class Caller:
    """By curl: gRPC is HTTP/2 with a frame and trailers. The controller is at that port of `address` as `place` sees
    it, by default on the machine of the control plane; get("/metrics") of `controller` is what it shows."""

    def __init__(self, cluster, controller, port, address="127.0.0.1", place=None):
        self._cluster, self._port, self.controller = cluster, port, controller
        self._address, self._place = address, place or cluster.control
        key, request = cluster.dir / "pod.key", cluster.dir / "pod.csr"
        cluster.control.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                             "-nodes", "-keyout", key, "-out", request, "-subj", "/", "-addext",
                             f"subjectAltName=critical,URI:{IDENTITY}"])
        self._csr = request.read_bytes()

    def roots(self):
        path = self._cluster.dir / f"roots-{self._port}.pem"
        path.write_text(self._cluster.find("configmap", "heddle-root", NAMESPACE)["data"]["root-cert.pem"])
        return path

    def command(self, method, bearer, roots=None):
        headers = ["content-type: application/grpc", "te: trailers"]
        headers += [f"authorization: Bearer {bearer}"] if bearer is not None else []
        return ["curl", "-sS", "--http2", "-m", "60", "--cacert", roots or self.roots(), "--resolve",
                f"heddle-controller:{self._port}:{self._address}", *(f"-H{header}" for header in headers), "-D", "-",
                f"https://heddle-controller:{self._port}/{method}"]

    def sign(self, bearer, identity=IDENTITY, roots=None):
        """(grpc-status, grpc-message, the answer's bytes)"""
        metadata = field(1, field(1, b"ImpersonatedIdentity") + field(2, field(3, identity.encode())))
        message = field(1, self._csr) + field(4, metadata)
        frame, answer = self._cluster.dir / "frame", self._cluster.dir / "answer"
        frame.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
        answer.write_bytes(b"")
        # Who is refused is reset after the trailers, because nobody reads the rest: an error for curl, not for gRPC.
        done = self._place.run(
            [*self.command(SIGN, bearer, roots), "--data-binary", f"@{frame}", "-o", answer], check=False)
        found = dict(re.findall(r"^(grpc-\w+): (.*?)\r?$", done.stdout, re.MULTILINE))
        assert "grpc-status" in found, done.stderr
        return found["grpc-status"], found.get("grpc-message", ""), answer.read_bytes()

    def refused(self, reason):
        return metrics.total(self.controller.get("/metrics"), "heddle_controller_calls_unauthenticated_total",
                             reason=reason)

    def metric(self, name):
        return metrics.total(self.controller.get("/metrics"), name)

    def phase(self):
        return re.search(r"^heddle_controller_root_rotation_phase (\d)", self.controller.get("/metrics"),
                         re.MULTILINE)[1]
