"""An address goes to another pod, and no agent has heard of the end of its last owner: nothing of that one holds for
the heir. The session's Watch sees the nodes' links all the while."""

import contextlib

import pytest
from acceptance.namespace import HTTPD, pod, pod_spec
from topology.waiting import wait_until

SOCKET = "/run/heddle/cni.sock"
SECONDS = 30


def give_next(node, address):
    """Makes the node's IPAM hand out this address next. Without the last line the node would send to the last
    owner's link address for most of a minute, as a network does that announces nothing."""
    octets = address.split(".")
    before = ".".join([*octets[:3], str(int(octets[3]) - 1)])
    node.run(["sh", "-c", f"printf {before} >/run/cni-ipam/pods/last_reserved_ip.0"])
    node.run(["ip", "neigh", "del", address, "dev", "cni0"], check=False)


@contextlib.contextmanager
def deaf(node):
    """The plugin does not find the agent, which goes on serving."""
    node.run(["mv", SOCKET, f"{SOCKET}.away"])
    try:
        yield
    finally:
        node.run(["mv", f"{SOCKET}.away", SOCKET])


def policy(name, app, rules):
    return {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": app}}, "action": "DENY", "rules": rules}}


def no_account(name):
    """Whoever runs as that account is refused by `web`."""
    source = {"source": {"principals": [f"cluster.local/ns/shop/sa/{name}"]}}
    return policy(f"no-{name}", "web", [{"from": [source]}])


@pytest.fixture
def accounts(shop):
    """Two identities; the owner's is refused by `web`, and so is everybody by the owner."""
    names = ("owner", "heir")
    shop.apply(*({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}} for name in names),
               no_account("owner"), policy("nobody", "owner", [{}]))
    yield
    for name in ("no-owner", "no-heir", "nobody"):
        shop.delete("authorizationpolicy", name, **{"ignore-not-found": "true"})
    for name in names:
        shop.delete("serviceaccount", name)


def start(namespace, name, node, account="default"):
    namespace.apply(pod(name, pod_spec([HTTPD], node=node.name, serviceAccountName=account)))
    namespace.ready(name)
    return namespace.address(name)


@pytest.mark.parametrize("last", ["outside", "captured"])
def test_an_enrolled_heir_is_judged_by_what_it_is_itself(cluster, release, shop, plain, traffic, accounts, last):
    """The last owner was a pod outside, or a captured one that runs as another account."""
    node, there = cluster.nodes[0], shop.pods("client")[1]
    server = traffic.server["status"]["podIP"]  # On node2, as `there` is.
    owners, account = (plain, "default") if last == "outside" else (shop, "owner")
    address = start(owners, "owner", node, account)
    if last == "outside":
        wait_until(lambda: shop.ask(there["metadata"]["name"], address), "the owner answers", SECONDS)
    else:
        wait_until(lambda: shop.ask("owner", server) is None, "the owner is refused", SECONDS)
        wait_until(lambda: shop.ask(there["metadata"]["name"], address) is None, "and refuses everybody", SECONDS)
    with deaf(node):
        owners.delete("pod", "owner")
    give_next(node, address)
    assert start(shop, "heir", node, "heir") == address
    assert "shop/heir" in release.captured(node)
    wait_until(lambda: shop.ask("heir", server) is not None, "the heir is served", SECONDS)

    def serves():
        return shop.ask(there["metadata"]["name"], address) == (there["status"]["podIP"], "heir")

    wait_until(serves, "the heir serves", SECONDS)
    shop.apply(no_account("heir"))
    wait_until(lambda: shop.ask("heir", server) is None, "what is said of the heir holds for it", SECONDS)
    wait_until(lambda: "shop/owner" not in release.captured(node), "the owner is let go", SECONDS)
    assert serves()
    traffic.assert_unharmed()
    shop.delete("pod", "heir")


def test_an_heir_outside_is_outside_though_no_agent_runs(cluster, release, shop, plain):
    node = cluster.nodes[0]
    address = start(shop, "owner", node)
    with release.without_agents():
        shop.delete("pod", "owner")
        give_next(node, address)
        assert start(plain, "heir", node) == address
        shop.apply(pod("owner", pod_spec([HTTPD], node=node.name)))  # Waits; its address will be another.
    shop.ready("owner")
    assert release.captured(node) >= {"shop/owner"} and "plain/heir" not in release.captured(node)
    whoami = cluster.control.run(["curl", "-fsS", "-m", "5", f"http://{address}:8080/cgi-bin/whoami"]).stdout
    assert whoami.split()[1] == "heir"
    for each in shop.pods("client"):
        answer = shop.ask(each["metadata"]["name"], address)
        assert answer == (each["status"]["podIP"], "heir")
    shop.delete("pod", "owner")
    plain.delete("pod", "heir")
