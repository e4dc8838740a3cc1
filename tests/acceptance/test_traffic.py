"""Pods of a labelled namespace talk over mutual TLS between nodes, however they address each other."""

import itertools
import time

import pytest
from acceptance.namespace import ECHOD, HTTPD, LABEL, Namespace, container, pod, pod_spec
from acceptance.traffic import Connection
from acceptance.witness import HBONE, HEARD_SECONDS, LinkWitness, Watch, opened_outside
from topology.waiting import wait_until


def names(pods):
    return {pod["metadata"]["name"] for pod in pods}


def addresses(pods):
    return {pod["status"]["podIP"] for pod in pods}


def clients(shop):
    return shop.pods("client") + shop.pods("every")


def seen_from(shop, client, address, port):
    answer = shop.ask(client["metadata"]["name"], address, port)
    assert answer is not None, f"no answer to {client['metadata']['name']} from {address}:{port}"
    assert answer[0] == client["status"]["podIP"]
    return answer[1]


@pytest.fixture
def link(cluster, shop):
    """Between pods of the shop, no connection but of HBONE is opened, and none where tunnels of earlier tests are open.
    That the witness sees what crosses in clear is shown where pods are taken in and let go."""
    with LinkWitness(cluster, cluster.nodes[0]) as witness:
        yield witness
        crossed = witness.between(addresses(shop.pods()))
        assert {syn.port for syn in crossed} <= {HBONE}


def test_every_pod_of_the_namespace_is_captured(cluster, release, shop):
    for node in cluster.nodes:
        on_node = {f"shop/{each['metadata']['name']}" for each in shop.pods() if each["spec"]["nodeName"] == node.name}
        assert len(on_node) == 3 and on_node <= release.captured(node)


def test_pods_reach_every_pod_by_its_own_address(shop, link):
    for client, server in itertools.product(clients(shop), shop.pods("web") + shop.pods("every")):
        assert seen_from(shop, client, server["status"]["podIP"], 8080) == server["metadata"]["name"]


def test_a_service_leads_to_all_its_pods_on_both_nodes(shop, link):
    for (app, client) in itertools.product(("web", "every"), clients(shop)):
        seen = set()
        wait_until(lambda: seen.add(seen_from(shop, client, shop.service_address(app), 80)) or
                   seen == names(shop.pods(app)), f"service {app} leads to all its pods", 60)


def test_a_headless_service_leads_to_each_of_its_pods(shop, link):
    found = shop.endpoints("web-headless")
    assert found == addresses(shop.pods("web"))
    for client in clients(shop):
        assert {seen_from(shop, client, address, 8080) for address in found} == names(shop.pods("web"))


def test_the_sockets_of_the_pods_lead_to_the_mesh_only(cluster, shop):
    """While connections are open, so that there is something to see."""
    client = shop.pods("client")[0]["metadata"]["name"]
    server = shop.pods("web")[1]["status"]["podIP"]
    shop.shell(client, f"(sleep 20 | nc {server} 9000) >/dev/null 2>&1 &")
    for each in shop.pods():
        node = cluster.nodes[int(each["spec"]["nodeName"][-1]) - 1]
        assert opened_outside(node, each, addresses(shop.pods())) == []


def test_a_job_whose_init_container_needs_the_network_completes(shop):
    server = shop.service_address("web")
    ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {server} 80 | grep ok"
    spec = pod_spec([container(["sh", "-c", ask])], restartPolicy="Never", serviceAccountName="client",
                    initContainers=[{**container(["sh", "-c", ask]), "name": "before"}])
    shop.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"},
                "spec": {"backoffLimit": 0, "template": {"spec": spec}}})
    shop.kubectl("wait", "--for=condition=Complete", "job/once", "--timeout=60s", timeout=69)
    assert shop.kubectl("logs", "job/once") == "ok\n"
    shop.delete("job", "once")


def test_a_pod_on_the_hosts_network_is_untouched(cluster, release, shop):
    shop.apply(pod("host", pod_spec([{**HTTPD, "command": ["httpd", "-f", "-p", "8090", "-h", "/www"], "readinessProbe":
                                      {"httpGet": {"port": 8090, "path": "/"}, "periodSeconds": 1}}], node="node1",
                                    hostNetwork=True)))
    shop.kubectl("wait", "--for=condition=Ready", "pod/host", "--timeout=60s", timeout=69)
    assert "shop/host" not in release.heddlectl(cluster.nodes[0], "pods")
    assert shop.ask("host", shop.pods("web")[1]["status"]["podIP"]) is not None
    client = shop.pods("client")[1]["metadata"]["name"]
    assert shop.ask(client, cluster.nodes[0].address, 8090) is not None
    shop.delete("pod", "host")


def test_the_watch_on_the_links_sees_what_is_in_clear_between_any_two_nodes(cluster, release):
    """Pods outside, of which it is told that they are in the mesh: as if those inside leaked."""
    plain = Namespace(release, "in-clear", enrolled=False)
    plain.apply(*(pod(f"pod{node.name[-1]}", pod_spec([HTTPD], node=node.name)) for node in cluster.nodes))
    plain.ready("pod1", "pod2")
    ends = {name: plain.address(name) for name in ("pod1", "pod2")}
    watch = Watch(cluster)
    assert plain.ask("pod1", ends["pod2"]) == (ends["pod1"], "pod2")  # Nothing is known of either yet.
    for address in ends.values():
        watch.add(address, time.time() - HEARD_SECONDS)
    assert plain.ask("pod2", ends["pod1"]) == (ends["pod2"], "pod1")
    watch.remove(ends["pod1"])
    assert plain.ask("pod1", ends["pod2"]) == (ends["pod1"], "pod2")
    leaks = watch.leaks()
    assert len({leak.source for leak in leaks} | {leak.target for leak in leaks}) == 2  # One connection, to and fro.
    assert {leak.target for leak in leaks if "S" in leak.flags and "." not in leak.flags} == {f"{ends['pod1']}:8080"}
    assert len(leaks) > 3 and watch.hbone == set()
    plain.remove(wait=False)


def test_running_pods_are_taken_in_and_let_go_by_a_label(cluster, release, shop, watch):
    late = Namespace(release, "late", enrolled=False, watch=watch)
    late.apply(*(pod(f"pod{node.name[-1]}", pod_spec([HTTPD, ECHOD], node=node.name)) for node in cluster.nodes))
    late.ready("pod1", "pod2")
    there = late.address("pod2")
    before = late.restarts()

    def crosses():
        with LinkWitness(cluster, cluster.nodes[0]) as witness:
            assert late.ask("pod1", there) == (late.address("pod1"), "pod2")
        return {syn.port for syn in witness.between({late.address("pod1"), there})}

    assert crosses() == {8080}
    outside = Connection(late, "pod1", there, "outside")
    late.label(True)
    wait_until(lambda: crosses() == {HBONE}, "they talk by the mesh", 30, 0.3)
    late.taken_in()
    assert all(f"late/pod{node.name[-1]}" in release.captured(node) for node in cluster.nodes)
    assert late.ask("pod1", shop.service_address("web"), 80) is not None
    inside = Connection(late, "pod1", there, "inside")
    assert outside.is_alive()
    late.label(False)
    wait_until(lambda: crosses() == {8080}, "they talk without it", 60, 0.3)
    assert outside.is_alive() and inside.is_alive()  # Each goes on as it began.
    inside.stop()
    wait_until(inside.has_ended, "what the mesh carries ends", 15, 0.3)
    wait_until(lambda: not any("late/" in release.heddlectl(node, "pods") for node in cluster.nodes),
               "nothing is left of it in the agents", 60, 0.5)
    assert outside.is_alive()
    assert late.restarts() == before
    late.remove()


def test_one_pods_label_decides_before_the_namespaces(cluster, release, shop):
    spec = pod_spec([HTTPD], node="node1")
    shop.apply(pod("apart", spec, {"app": "apart", LABEL: "none"}))
    shop.kubectl("wait", "--for=condition=Ready", "pod/apart", "--timeout=60s", timeout=69)
    assert "shop/apart" not in release.heddlectl(cluster.nodes[0], "pods")
    shop.delete("pod", "apart")


def test_the_pods_were_not_restarted(shop):
    assert set(shop.restarts().values()) == {0}
