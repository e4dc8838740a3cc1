"""What is applied takes effect, and how soon."""

import time

import pytest
import yaml
from acceptance import results
from acceptance.namespace import request
from topology.process import CommandFailed
from topology.waiting import wait_until

CHANGES = 100
BOUND_SECONDS = 10.0  # For one change: that it has effect at all. The figures are for people.
POLL_SECONDS = 0.02


def policy(name, action, rules):
    return {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "action": action, "rules": rules}}


def from_account(name):
    return [{"from": [{"source": {"principals": [f"cluster.local/ns/shop/sa/{name}"]}}]}]


def apply(cluster, *objects):
    cluster.kubectl("apply", "--filename=-", input=yaml.safe_dump_all(objects))


@pytest.fixture
def ends(shop):
    """A client and a server on different nodes."""
    return shop.pods("client")[0]["metadata"]["name"], shop.pods("web")[1]["status"]["podIP"]


def test_who_may_is_decided_by_identity(cluster, shop, ends):
    client, server = ends
    other = shop.pods("every")[0]["metadata"]["name"]
    apply(cluster, policy("only-client", "ALLOW", from_account("client")))
    wait_until(lambda: shop.ask(other, server) is None, "others are refused", 20)
    assert shop.ask(client, server) is not None
    apply(cluster, policy("no-client", "DENY", from_account("client")))
    wait_until(lambda: shop.ask(client, server) is None, "DENY wins", 20)
    cluster.kubectl("delete", "authorizationpolicy", "--all", "--namespace=shop")
    wait_until(lambda: shop.ask(client, server) and shop.ask(other, server), "all are served again", 20)


class Asking:
    """Connects again and again from inside the client's pod, and says when the answer turns."""

    def __init__(self, shop, client, server):
        loop = (f"while :; do if {request(server, path='/').replace('-w 5', '-w 1')} | grep -q ok; then echo yes; else "
                f"echo no; fi; sleep {POLL_SECONDS}; done")
        control, self._read = shop.cluster.control, 0
        self.process = control.spawn([shop.cluster.programs["kubectl"], "exec", client, "--namespace=shop",
                                      "--container=app", "--", "sh", "-c", loop], "asking")

    def wait(self, answer):
        """The seconds until the answer comes for the first time from now on."""
        started = time.monotonic()
        self._read = len(self.process.output())

        def said():
            lines = self.process.output()[self._read:].split("\n")[1:-1]  # The first may have been asked before.
            return answer in lines

        wait_until(said, f"the answer is {answer}", BOUND_SECONDS, 0.003)
        return time.monotonic() - started


def test_a_hundred_changes_of_a_policy_take_effect(cluster, shop, ends, api):
    asking = Asking(shop, *ends)
    asking.wait("yes")
    path = "/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies"
    seconds = []
    for change in range(CHANGES // 2):
        api("POST", path, policy(f"change-{change}", "DENY", from_account("client")))
        seconds.append(asking.wait("no"))
        api("DELETE", f"{path}/change-{change}")
        seconds.append(asking.wait("yes"))
    asking.process.stop()
    middle, rare = (round(results.percentile(seconds, share), 4) for share in (0.5, 0.99))
    results.record("policy_change_to_effect_seconds", changes=len(seconds), median=middle, p99=rare,
                   maximum=round(max(seconds), 4), counted_from="the API server's answer")


def test_plaintext_is_refused_under_strict_and_the_mesh_goes_on(cluster, shop, ends):
    client, server = ends
    outside = ["curl", "-sS", "-m", "3", f"http://{server}:8080/"]
    assert "ok" in cluster.control.run(outside).stdout
    apply(cluster, {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
                    "metadata": {"name": "default", "namespace": "shop"}, "spec": {"mtls": {"mode": "STRICT"}}})
    wait_until(lambda: cluster.control.run(outside, check=False).returncode != 0, "plaintext is refused", 20)
    assert shop.ask(client, server) is not None
    cluster.kubectl("delete", "peerauthentication", "default", "--namespace=shop")
    wait_until(lambda: cluster.control.run(outside, check=False).returncode == 0, "and taken again", 20)


def test_a_policy_that_makes_no_sense_is_refused_when_it_is_applied(cluster, shop):
    with pytest.raises(CommandFailed, match="denied request"):
        apply(cluster, policy("bad", "ALLOW", [{"from": [{"source": {"ipBlocks": ["10.0.0.0/99"]}}]}]))
