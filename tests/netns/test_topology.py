"""The topology itself, with a plain CNI chain: what the mesh's suites stand on."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest
from topology import CniError, CommandFailed, PodSpec, Timeout, Topology, wait_until
from topology.applications import Holder, Prober, get, serve
from topology.capture import Capture
from topology.sweep import belongings


@pytest.mark.parametrize("families", [("ipv4",), ("ipv6",), ("ipv4", "ipv6")], ids="+".join)
def test_pods_reach_each_other_with_their_own_addresses(families):
    with Topology(nodes=2, families=families) as topology:
        client = topology.nodes[0].add_pod(PodSpec("client"))
        near = topology.nodes[0].add_pod(PodSpec("near"))
        far = topology.nodes[1].add_pod(PodSpec("far"))
        serve(near)
        serve(far)
        assert len(client.addresses) == len(families)
        for version in [4 if family == "ipv4" else 6 for family in families]:
            for server in (near, far):
                assert get(client, server.address(version)) == str(client.address(version))


def test_the_node_and_the_control_machine_reach_pods_and_nodes():
    with Topology(nodes=2) as topology:
        server = topology.nodes[0].add_pod(PodSpec("server"))
        serve(server)
        # The bridge's address: what a kubelet's probe comes from.
        assert get(topology.nodes[0], server.address()) == "10.77.1.1"
        topology.control.run(["/usr/bin/python3", "-c", "import socket; socket.create_server(('172.30.0.254', 0))"])
        topology.nodes[1].spawn(["/usr/bin/python3", "-m", "http.server", "8080"], "host-server").wait_ready(
            lambda: topology.nodes[1].http_status("http://127.0.0.1:8080/") == 200, "the host's server answers")
        assert topology.control.run(["curl", "-sS", "-m", "5", "http://172.30.0.12:8080/"]).returncode == 0


def test_processes_run_in_the_cgroup_and_namespace_of_their_pod():
    with Topology(nodes=1) as topology:
        node = topology.nodes[0]
        pod = node.add_pod(PodSpec("app"))
        process = serve(pod)
        assert f"0::{pod.cgroup.relative()}\n" in pathlib.Path(f"/proc/{process.pid}/cgroup").read_text()
        assert pod.cgroup.relative().startswith(f"{node.cgroup_root.relative()}/kubepods/")
        assert pathlib.Path(f"/proc/{process.pid}/ns/net").stat().st_ino == pod.netns_path.stat().st_ino
        # A command and its children, too; and the file systems of the machine are visible.
        assert pod.cgroup.relative() in pod.run(["sh", "-c", "cat /proc/self/cgroup"]).stdout
        assert pod.run(["ls", str(node.cgroup_root.path)]).stdout
        assert node.cgroup.relative() in node.run(["cat", "/proc/self/cgroup"]).stdout


def test_clients_tell_when_a_server_goes_and_returns():
    with Topology(nodes=1) as topology:
        node = topology.nodes[0]
        server, client = node.add_pod(PodSpec("server")), node.add_pod(PodSpec("client"))
        process = serve(server)
        holder = Holder(client, server.address(), 8080)
        prober = Prober(client, server.address(), 8080)
        prober.wait_for(lambda outcome: outcome == "ok", 0, "an answer")
        process.kill()
        gone, reason = holder.wait_end()
        assert reason in ("EOF", "ECONNRESET")
        refused, _ = prober.wait_for(lambda outcome: outcome == "ECONNREFUSED", gone, "a refusal")
        serve(server)
        assert prober.wait_for(lambda outcome: outcome == "ok", refused, "an answer again")


def test_a_capture_of_the_link_holds_what_crossed_it():
    with Topology(nodes=2) as topology:
        client, server = topology.nodes[0].add_pod(PodSpec("client")), topology.nodes[1].add_pod(PodSpec("server"))
        serve(server)
        marker = os.urandom(32).hex()
        capture = Capture(topology.control, "node1", topology.dir / "link.pcap")
        client.run(["curl", "-sS", "-d", marker, f"http://{server.address()}:8080/"])
        capture.stop(lambda data: marker.encode() in data)
        assert capture.packets(f"host {client.address()} and tcp port 8080")
        assert not capture.packets(f"host {client.address()} and tcp port 15008")


def test_a_sweep_takes_away_what_a_killed_maker_left():
    tests = str(pathlib.Path(__file__).resolve().parents[1])
    script = ("import os, signal, sys; sys.path.insert(0, sys.argv[1])\n"
              "from topology import PodSpec, Topology\n"
              "with Topology(nodes=1) as t:\n"
              "    t.nodes[0].add_pod(PodSpec('app')).spawn(['sleep', '1000'])\n"
              "    os.kill(os.getpid(), signal.SIGKILL)\n")
    maker = subprocess.Popen([sys.executable, "-c", script, tests])
    maker.wait(30)
    assert belongings(maker.pid)
    with Topology(nodes=1) as living:
        subprocess.run([sys.executable, "-m", "topology.sweep"], env=dict(os.environ, PYTHONPATH=tests), check=True,
                       stdout=subprocess.DEVNULL)
        assert belongings(maker.pid) == []
        assert living.nodes[0].netns.path.exists()


def test_two_instances_run_at_once_with_the_same_addresses():
    with Topology(nodes=1) as first, Topology(nodes=1) as second:
        pods = [topology.nodes[0].add_pod(PodSpec("app")) for topology in (first, second)]
        assert pods[0].address() == pods[1].address()
        serve(pods[0])
        assert get(first.nodes[0], pods[0].address())
        with pytest.raises(CommandFailed):
            get(second.nodes[0], pods[1].address())


def test_del_gives_the_address_back():
    with Topology(nodes=1) as topology:
        node = topology.nodes[0]
        leases = node.dir / "cni-ipam" / "pods"
        pod = node.add_pod(PodSpec("app"))
        assert (leases / str(pod.address())).exists()
        netns = pod.netns_path
        pod.remove()
        assert not list(leases.glob("10.*"))
        assert not netns.exists()
        assert not pod.cgroup.path.exists()


def test_a_failed_add_is_reported_and_undone():
    with Topology(nodes=1) as topology:
        node = topology.nodes[0]
        node.chain.conflist["plugins"].append({"type": "heddle-cni", "runDir": "relative"})
        (topology.dir / "bin").mkdir()
        refuser = topology.dir / "bin" / "heddle-cni"
        refuser.write_text('#!/bin/sh\necho \'{"cniVersion":"1.0.0","code":11,"msg":"not today"}\'\nexit 1\n')
        refuser.chmod(0o755)
        node.chain._plugin_dirs.append(topology.dir / "bin")
        node.chain._plugin_dirs.reverse()
        with pytest.raises(CniError, match="not today") as refusal:
            node.add_pod(PodSpec("app"))
        assert refusal.value.code == 11
        assert not list((node.dir / "cni-ipam" / "pods").glob("10.*"))
        assert not node.pods


def test_nothing_stays_after_a_failure():
    with pytest.raises(ZeroDivisionError):
        with Topology(nodes=2) as topology:
            serve(topology.nodes[0].add_pod(PodSpec("app")))
            topology.nodes[0].spawn(["sh", "-c", "trap '' TERM; sleep 1000 & wait"], "stubborn")
            assert belongings(os.getpid())
            1 / 0
    assert belongings(os.getpid()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_stays_after_an_interrupt(number):
    script = ("import sys, time; sys.path.insert(0, sys.argv[1])\n"
              "from topology import PodSpec, Topology\n"
              "with Topology(nodes=1) as t:\n"
              "    t.nodes[0].add_pod(PodSpec('app')).spawn(['sleep', '1000'])\n"
              "    print('up', flush=True)\n"
              "    time.sleep(1000)\n")
    tests = str(pathlib.Path(__file__).resolve().parents[1])
    with subprocess.Popen([sys.executable, "-c", script, tests], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as maker:
        assert maker.stdout.readline() == b"up\n"
        assert belongings(maker.pid)
        maker.send_signal(number)
        maker.wait(30)
    assert belongings(maker.pid) == []


def test_waiting_names_what_did_not_come():
    with pytest.raises(Timeout, match="the moon rises"):
        wait_until(lambda: False, "the moon rises", seconds=0.05)
