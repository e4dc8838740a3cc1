"""Services by name, as applications call them. To find the address is no business of the mesh: DNS by UDP passes by it,
also where a namespace takes nothing but the mesh."""

import contextlib
import itertools
import json
import re
import struct

from acceptance.namespace import HTTP
from acceptance.witness import HBONE, LinkWitness
from topology.capture import Capture
from topology.waiting import wait_until

DNS = "10.96.0.10"
NAMES = ("web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local")
STRICT = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {"name": "default"},
          "spec": {"mtls": {"mode": "STRICT"}}}


def addresses(pods):
    return {pod["status"]["podIP"] for pod in pods}


def resolved(shop, client, name):
    """By UDP, of which a packet may get lost; the server's own address comes with a port."""
    def found():
        said = shop.shell(client["metadata"]["name"], f"nslookup {name}.", check=False)
        return set(re.findall(r"^Address: ([\d.]+)$", said, re.M))

    return wait_until(found, f"{client['metadata']['name']} finds {name}", 30)


def answer_by_name(shop, client, name, port):
    """What Namespace.ask() says; of the question for the name, too, a packet may get lost."""
    name_of_client = client["metadata"]["name"]
    return wait_until(lambda: shop.ask(name_of_client, name, port), f"{name} answers {name_of_client}", 30)


def clients(shop):
    return shop.pods("client") + shop.pods("every")


@contextlib.contextmanager
def strict(cluster, shop):
    outside = ["curl", "-sS", "-m", "3", f"http://{shop.pods('web')[0]['status']['podIP']}:8080/"]

    def is_refused():
        return cluster.control.run(outside, check=False).returncode != 0

    shop.apply(STRICT)
    try:
        wait_until(is_refused, "plaintext is refused", 30)
        yield
    finally:
        shop.delete("peerauthentication", "default")
        wait_until(lambda: not is_refused(), "plaintext is taken again", 30)


def assert_names_lead_to_the_service(shop):
    servers = {pod["metadata"]["name"] for pod in shop.pods("web")}
    for client, name in itertools.product(clients(shop), NAMES):
        answer = answer_by_name(shop, client, name, 80)
        assert answer[0] == client["status"]["podIP"] and answer[1] in servers


def test_a_service_is_reached_by_each_of_its_names(cluster, shop):
    with LinkWitness(cluster, cluster.nodes[0]) as link:
        assert_names_lead_to_the_service(shop)
    assert {syn.port for syn in link.between(addresses(shop.pods()))} <= {HBONE}


def test_names_are_found_and_services_reached_where_only_the_mesh_is_let_in(cluster, shop):
    with strict(cluster, shop):
        assert_names_lead_to_the_service(shop)


def test_the_name_of_a_headless_service_is_each_of_its_pods(shop):
    servers = {pod["status"]["podIP"]: pod["metadata"]["name"] for pod in shop.pods("web")}
    for client in clients(shop):
        found = resolved(shop, client, "web-headless.shop.svc.cluster.local")
        assert found == set(servers)
        for address in found:
            assert shop.ask(client["metadata"]["name"], address) == (client["status"]["podIP"], servers[address])
        # The resolver of the application takes one of them.
        assert answer_by_name(shop, client, "web-headless", HTTP)[1] in servers.values()


def test_a_question_by_udp_passes_by_the_mesh(cluster, shop):
    """Answered by a server on the other node, with the pod as who asks."""
    client = shop.pods("client")[0]
    own = client["status"]["podIP"]
    file = cluster.dir / "questions.pcap"
    capture = Capture(cluster.control, cluster.nodes[0].name, file, f"udp and port 53 and host {own}")

    def crossed():
        assert resolved(shop, client, "web.shop.svc.cluster.local") == {shop.service_address("web")}
        return capture.packets(f"src {own}")

    try:
        wait_until(crossed, "a server on the other node is asked", 60, 0.1)
    finally:
        capture.stop()
    servers = addresses(dns_servers(cluster))
    assert all(any(f" > {server}.53:" in line for server in servers) for line in capture.packets(f"src {own}"))


def dns_servers(cluster):
    return json.loads(cluster.kubectl("get", "pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns",
                                      "--output=json"))["items"]


def test_a_question_by_tcp_is_answered_as_well(shop):
    """Longer answers come that way; it goes through the proxy, in clear, because no server of names is in the mesh."""
    labels = b"".join(bytes([len(label)]) + label for label in b"web.shop.svc.cluster.local".split(b"."))
    question = struct.pack(">6H", 4711, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">B2H", 0, 1, 1)
    octal = "".join(f"\\{byte:03o}" for byte in struct.pack(">H", len(question)) + question)
    for client in clients(shop):
        ask = f"(printf '{octal}'; sleep 1) | nc -w 5 {DNS} 53 | od -An -v -tu1"

        def answer():
            return bytes(map(int, shop.shell(client["metadata"]["name"], ask).split()))

        got = wait_until(answer, "an answer, in time", 30)
        assert got[2:4] == question[:2]
        assert got[-4:] == bytes(map(int, shop.service_address("web").split(".")))
