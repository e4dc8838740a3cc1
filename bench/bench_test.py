"""The parts of the benchmark suite that need no network: statistics, tables, configurations, handshakes."""

import collections
import json
import pathlib
import struct
import sys

import pytest

_HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "tests")]

from topology.process import CommandFailed  # noqa: E402

from heddle_bench import calibration, cli, comparison, micro, quiet, report, rounds, statistics  # noqa: E402
from heddle_bench import subjects, tls, workloads  # noqa: E402
from heddle_bench.load import Noisy, Void  # noqa: E402
from heddle_bench.subjects import envoy, haproxy, nghttpx, nginx  # noqa: E402
from heddle_bench.large_mesh import LargeMesh  # noqa: E402
from heddle_bench.workloads.bulk import parse_iperf3  # noqa: E402
from heddle_bench.workloads.handshakes import rate  # noqa: E402
from heddle_bench.workloads.http import parse_h2load, parse_wrk  # noqa: E402
from heddle_bench.workloads.workload import Metric, Settings, Workload, shortened  # noqa: E402

IDENTITY = tls.Identity("a.bench", "/c/chain", "/c/key", "/c/both", "/c/root")


# Statistics.
def test_the_interval_of_the_median_covers_it_and_is_the_same_each_time():
    values = [1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 3.0]
    low, high = statistics.bootstrap(values)
    assert 0.9 <= low <= 1.05 <= high <= 3.0 and (low, high) == statistics.bootstrap(values)
    assert statistics.bootstrap([2.0]) == (2.0, 2.0)


def test_one_outlier_moves_neither_median_nor_mad():
    assert statistics.median([1, 2, 3, 4, 1000]) == 3
    assert statistics.mad([1, 2, 3, 4, 1000]) == 1


def test_ratios_are_taken_within_a_round_only():
    assert statistics.ratios({"0": 1.0, "1": 4.0, "2": 9.0}, {"0": 2.0, "2": 3.0, "3": 1.0}) == [0.5, 3.0]
    assert statistics.ratios({"0": 1.0}, {"0": 0.0}) == []
    assert statistics.differences({"0": 3.0}, {"0": 0.0}) == [3.0]


@pytest.mark.parametrize("shares, index", [([1, 1, 1, 1], 1.0), ([1, 0, 0, 0], 0.25), ([0, 0], 0.0)])
def test_jain(shares, index):
    assert statistics.jain(shares) == pytest.approx(index)


# Handshakes.
def server_hello(suite=0x1301, group=0x1D, version=b"\x03\x04", session_id=b"s" * 32):
    share = struct.pack(">HH", group, 4) + b"keys"
    extensions = struct.pack(">HH", 51, len(share)) + share + struct.pack(">HH", 43, 2) + version
    body = b"\x03\x03" + b"r" * 32 + bytes([len(session_id)]) + session_id + struct.pack(">HBH", suite, 0,
                                                                                         len(extensions)) + extensions
    message = b"\x02" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x03" + struct.pack(">H", len(message)) + message


def test_cipher_and_group_are_read_from_server_hellos():
    other = server_hello(0x1302, 0x11EC, session_id=b"")
    recording = b"noise\x16\x03\x03" + server_hello() + b"\x17\x03\x03more" + other
    assert tls.server_hellos(recording) == [(0x1301, 0x1D), (0x1302, 0x11EC)]
    assert tls.describe((0x1302, 0x11EC)) == "TLS_AES_256_GCM_SHA384 X25519MLKEM768"


def test_what_is_older_than_tls_1_3_or_cut_off_does_not_count():
    assert tls.server_hellos(server_hello(version=b"\x03\x03")) == []
    whole = server_hello()
    for length in range(len(whole)):
        assert tls.server_hellos(whole[:length]) == []


def test_only_the_pinned_suite_is_pinned():
    assert tls.is_pinned([(0x1301, 0x1D)] * 2)
    assert not tls.is_pinned([])
    assert not tls.is_pinned([(0x1301, 0x1D), (0x1301, 0x11EC)])


# Configurations.
def test_haproxy_verifies_both_ways_and_is_pinned():
    out, into = (haproxy.config(side, "10.0.0.1:1", "10.0.0.2:2", IDENTITY) for side in "ab")
    assert "server next 10.0.0.2:2 ssl verify required ca-file /c/root verifyhost b.bench crt /c/both" in out
    assert "bind 10.0.0.1:1 ssl crt /c/both ca-file /c/root verify required" in into
    for text in (out, into):
        assert "ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256" in text and "tune.bufsize 65536" in text


def test_nginx_verifies_both_ways_and_is_pinned():
    out, into = (nginx.config(side, "10.0.0.1:1", "10.0.0.2:2", IDENTITY, "/f", "/m.so") for side in "ab")
    assert "proxy_ssl_verify on;" in out and "listen 10.0.0.1:1 backlog" in out
    assert "ssl_verify_client on;" in into and "listen 10.0.0.1:1 ssl" in into
    for text in (out, into):
        assert "Ciphersuites TLS_AES_128_GCM_SHA256;" in text and "proxy_pass 10.0.0.2:2;" in text
        assert text.count("{") == text.count("}")


@pytest.mark.parametrize("hbone", [False, True])
def test_envoy_verifies_both_ways(hbone):
    out, into = (envoy.config(side, "10.0.0.1:1", "10.0.0.2:2", IDENTITY, hbone)["static_resources"] for side in "ab")
    upstream = out["clusters"][0]["transport_socket"]["typed_config"]
    downstream = into["listeners"][0]["filter_chains"][0]["transport_socket"]["typed_config"]
    assert downstream["require_client_certificate"] is True
    for context, peer in ((upstream, "b.bench"), (downstream, "a.bench")):
        common = context["common_tls_context"]
        names = common["validation_context"]["match_typed_subject_alt_names"]
        assert common["validation_context"]["trusted_ca"]["filename"] == "/c/root"
        assert names == [{"san_type": "DNS", "matcher": {"exact": peer}}]
        assert common.get("alpn_protocols") == (["h2"] if hbone else None)
    assert ("tunneling_config" in str(out)) == hbone


def test_nghttpx_verifies_both_ways_and_is_pinned():
    out, into = (nghttpx.config(side, "10.0.0.1:1", "10.0.0.2:2", IDENTITY) for side in "ab")
    assert {"--backend=10.0.0.2,2;;proto=h2;tls;sni=b.bench", "--cacert=/c/root", "--client-cert-file=/c/chain",
            "--tls13-client-ciphers=TLS_AES_128_GCM_SHA256"} < set(out)
    assert {"--frontend=10.0.0.1,1", "--verify-client", "--verify-client-cacert=/c/root",
            "--tls13-ciphers=TLS_AES_128_GCM_SHA256"} < set(into) and into[-2:] == ["/c/key", "/c/chain"]


# Rounds.
def test_the_rate_of_a_sweep_ends_when_its_first_client_has_finished():
    second = 10**9
    assert rate(second, [[2 * second, 4 * second, 6 * second], [2 * second, 3 * second]]) == 1.5


class Planned:
    """As rounds.planned() sees a subject that runs."""

    def __init__(self, name):
        self.name, self.only = name, subjects.ALL[name].only
        self.per_connection = subjects.ALL[name].per_connection

    def proxies(self):
        return {} if self.name == "direct" else {"a": None, "b": None}


def test_the_whole_takes_at_most_a_hundred_minutes():
    running = [Planned(name) for name in subjects.ALL]
    chosen = [workloads.ALL[name]() for name in workloads.DEFAULT]
    assert 80 < cli.planned(chosen, running, 10, Settings()) <= 100
    quick = [workloads.ALL[name]() for name in workloads.QUICK]
    assert cli.planned(quick, running, 3, Settings(1.0, 0.3), best=None) < 5


class Scripted(Workload):
    name, title, metrics = "X", "a workload of the test", (Metric("value", "things/s"),)

    def __init__(self, results):
        self.results = list(results)

    def measure(self, subject, settings):
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return {"value": result}


class Named:
    def __init__(self, name):
        self.name, self.handshake, self.notes, self.only = name, None, [], None


def run_scripted(results, names=("direct",), count=1):
    return rounds.run(Scripted(results), [Named(name) for name in names], Settings(), count, lambda *unused: None)


def test_each_round_goes_the_other_way_round():
    outcomes = run_scripted([1, 2, 20, 10], ("direct", "heddle"), 2)
    assert outcomes["direct"].values == {"value": {0: 1, 1: 10}}
    assert outcomes["heddle"].values == {"value": {0: 2, 1: 20}}


def test_a_void_run_leaves_its_round_empty_and_says_why():
    outcome = run_scripted([Void("two flows failed"), 5], count=2)["direct"]
    assert outcome.values == {"value": {1: 5}} and outcome.voids == ["two flows failed"]


def test_a_noisy_run_is_repeated_and_then_void():
    outcome = run_scripted([Noisy("others"), Noisy("others"), 7])["direct"]
    assert outcome.values == {"value": {0: 7}} and outcome.repeats == 2
    assert run_scripted([Noisy("others")] * 3)["direct"].voids == ["others"]


def test_a_failure_of_the_surroundings_makes_one_run_void_and_no_other():
    outcome = run_scripted([CommandFailed(["wrk"], 1, "refused"), OSError("no such file"), 5], count=3)["direct"]
    assert outcome.values == {"value": {2: 5}}
    assert outcome.voids[0].startswith("CommandFailed: ") and outcome.voids[1] == "OSError: no such file"


def test_sweeps_have_the_best_peer_and_null2_where_it_is_held_against():
    running = [Named(name) for name in subjects.ALL]
    bulk, small = workloads.ALL["T8"](), workloads.ALL["L1k"]()
    assert [each.name for each in cli.of_sweep(bulk, running, "nginx-64k")] == ["direct", "nginx-64k", "heddle"]
    assert "null2" in [each.name for each in cli.of_sweep(small, running, "nginx-64k")]


def test_foreign_is_what_neither_we_nor_the_kernel_used():
    cpu = {"machine": 10.0, "topology_plain": 6.0, "topology_mesh": 1.0, "client": 5.0}
    assert quiet.foreign_share(cpu, 2.0, 5.0, cpus=2) == pytest.approx(0.1)
    assert quiet.foreign_share(cpu, 4.0, 5.0, cpus=2) == 0


def test_sweeps_are_short_and_never_longer_than_asked_for():
    assert shortened(10, Settings(10.0, 3.0)) == (5, Settings(4.0, 1.0))
    assert shortened(1, Settings(0.5, 0.1)) == (1, Settings(0.5, 0.1))


def test_the_leader_is_the_best_peer_of_the_first_workload_that_peers_took_part_in():
    first, second = Scripted([]), Scripted([])
    first.name, second.name = "first", "second"
    outcomes = {"first": {"direct": rounds.Outcome({"value": {0: 9}})},
                "second": {"haproxy-64k": rounds.Outcome({"value": {0: 3}}), "envoy-tcp": rounds.Outcome(),
                           "nginx-64k": rounds.Outcome({"value": {0: 4}}), "heddle": rounds.Outcome({"value": {0: 5}})}}
    assert report.leader(outcomes, [first, second], subjects.PEERS) == "nginx-64k"
    assert report.leader({}, [first], subjects.PEERS) is None


# Tables.
def results(values, voids=(), commit="abc", better="higher"):
    """Of one workload: {subject: [value of each round]}."""
    workload = Scripted([])
    workload.metrics = (Metric("value", "things/s", better),)
    outcomes = {name: rounds.Outcome({"value": dict(enumerate(numbers))} if numbers else {}, list(voids))
                for name, numbers in values.items()}
    machine = {"cpu": "C", "cpus": 2, "flags": [], "memory_gb": 1, "kernel": "6", "commit": commit, "date": "D"}
    settings = {"rounds": 3, "seconds": 1.0, "warm_up": 0.0, "foreign_max": 0.05}
    return report.document(machine, settings, [Named(name) for name in values], [workload], {"X": outcomes})


def test_the_table_shows_medians_ratios_and_the_best_peer_also_when_we_lose():
    text = report.markdown(results({"direct": [10, 20, 30], "haproxy-64k": [5, 10, 15], "nginx-64k": [4, 8, 12],
                                    "heddle": [4.5, 9, 13.5]}), subjects.PEERS)
    assert "| haproxy-64k | 10 ± 5 (0.5 [0.5, 0.5] ×) | 0 |" in text
    assert "| X | things/s | higher | 9 | haproxy-64k | 0.9 [0.9, 0.9] |" in text


def test_a_subject_without_a_result_is_a_row_that_says_why():
    text = report.markdown(results({"direct": [10], "nginx-64k": []}, voids=["it | broke"]), subjects.PEERS)
    assert "| nginx-64k | – | 1: it / broke |" in text


def test_the_same_work_by_other_clients_is_shown_beside_ours():
    document = results({"direct": [10]})
    workload = document["workloads"].pop("X")
    for name, metric, value in (("R0", "rps", 30), ("R1", "rps", 20), ("T1", "gbit_s", 5)):
        document["workloads"][name] = {**workload, "metrics": [vars(Metric(metric, "u"))], "outcomes": {
            "direct": {"values": {metric: {"0": value}}, "voids": []}}}
    text = report.markdown(document, subjects.PEERS)
    assert "| direct | R0 | 30 | R1, wrk | 20 | 1.5 |" in text and "iperf3" not in text


@pytest.mark.parametrize("better, best", [("higher", "haproxy-64k"), ("lower", "nginx-64k")])
def test_the_best_peer_is_the_best(better, best):
    workload = results({"haproxy-64k": [5], "nginx-64k": [4], "envoy-tcp": []}, better=better)["workloads"]["X"]
    assert report.best_peer(workload["metrics"][0], workload["outcomes"], subjects.PEERS) == best


@pytest.mark.parametrize("value, text", [(0, "0"), (1234.5, "1,234"), (0.01234, "0.0123"), (12.34, "12.3")])
def test_numbers(value, text):
    assert report.number(value) == text


# Comparison.
def test_a_change_beyond_noise_is_told_and_noise_is_not():
    old = results({"direct": [10, 10, 10, 10], "heddle": [5, 5.1, 4.9, 5], "null2": [3, 5, 4, 6]})
    new = results({"direct": [20, 20, 20, 20], "heddle": [8, 8.1, 7.9, 8], "null2": [7, 10, 8, 11]}, commit="def")
    text = comparison.render(old, new)
    assert "WORSE  X    heddle       things/s (ratio to direct): 0.5 -> 0.4" in text
    assert "null2" not in text and "from abc to def" in text


def test_results_of_a_shared_machine_are_marked():
    old, new = results({"direct": [1] * 4}), results({"direct": [2] * 4})
    new["settings"]["foreign_max"] = 1.0
    assert "The new results are of a machine that others used" in comparison.render(old, new)
    assert "The machine was shared" in report.markdown(new, subjects.PEERS)
    assert "The machine was shared" not in report.markdown(old, subjects.PEERS)
    new["settings"]["foreign_max"] = 0.1
    assert "Others may have had up to 10% of the machine" in report.markdown(new, subjects.PEERS)


def test_what_is_lower_may_be_better():
    old, new = (results({"direct": [value] * 4}, better="lower") for value in (10, 5))
    assert "better X    direct       things/s: 10 -> 5" in comparison.render(old, new)


# What wrk says.
WRK = """Running 1s test @ http://10.0.0.1:9000/
  2 threads and 64 connections
  52330 requests in 1.10s, 56.10MB read
Requests/sec:  47570.31
"""


def test_wrk_is_read_with_its_errors():
    assert parse_wrk(WRK) == (52330, 47570.31, 0)
    assert parse_wrk(WRK + "  Socket errors: connect 1, read 2, write 0, timeout 3\n")[2] == 6
    assert parse_wrk(WRK + "  Non-2xx or 3xx responses: 9\n")[2] == 9
    with pytest.raises(Void):
        parse_wrk("unable to connect")


H2LOAD = """\
finished in 2.00s, 101234.50 req/s, 105.20MB/s
requests: 202469 total, 202569 started, 202469 done, 202469 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 202469 2xx, 0 3xx, 0 4xx, 0 5xx
"""


def test_h2load_is_read_with_its_errors():
    assert parse_h2load(H2LOAD) == (202469, 101234.5, 0)
    assert parse_h2load(H2LOAD.replace("202469 succeeded, 0 failed", "202460 succeeded, 9 failed"))[2] == 9
    assert parse_h2load(H2LOAD.replace("202469 2xx, 0 3xx, 0 4xx", "202466 2xx, 0 3xx, 3 4xx"))[2] == 3
    with pytest.raises(Void):
        parse_h2load("unable to connect")


def test_iperf3_is_read_with_its_errors():
    assert parse_iperf3('{"end": {"sum_received": {"bits_per_second": 2.5e9}}}') == 2.5
    for text in ('{"error": "unable to connect"}', "iperf3: not JSON"):
        with pytest.raises(Void, match="iperf3"):
            parse_iperf3(text)


def test_a_large_mesh_is_whole_and_only_its_pod_changes(tmp_path):
    mesh = LargeMesh(pods=6000, nodes=200)
    mesh.write(tmp_path)
    kinds = collections.Counter()
    for path in tmp_path.iterdir():
        kinds.update(json.loads(document)["kind"] for document in path.read_text().split("---\n"))
    assert kinds == {"Namespace": 20, "Node": 200, "Pod": 6001, "Service": 600, "EndpointSlice": 600}
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    mesh.change(tmp_path, ready=False)
    changed = [path.name for path, text in before.items() if path.read_text() != text]
    assert changed == ["changing.yaml"]
    mesh.remove(tmp_path)
    assert not list(tmp_path.iterdir())


def test_micro_benchmarks_are_compared_like_workloads():
    old, new = micro.Results("a", 0.1, 5), micro.Results("b", 0.1, 5)
    for number in range(5):
        old.add(number, "p_bench", micro.read({"benchmarks": [{"name": "BM/1", "cpu_time": 1 + number / 100,
                                                               "time_unit": "us"}]}))
        new.add(number, "p_bench", {"BM/1": 2000 + number})
    text = comparison.render(old.document(), new.document())
    assert "WORSE  p_bench BM/1" in text and "1,020 -> 2,002" in text and "1 of 1 figures" in text


def test_every_micro_benchmark_is_found():
    found = micro.programs(_HERE.parent)
    assert {"authorizer_bench", "tls_engine_bench", "controlplane_publish_bench"} <= set(found)
    assert not micro.MACHINE & set(found)
    with pytest.raises(RuntimeError, match="denied"):
        micro.read({"benchmarks": [{"name": "BM", "error_occurred": True, "error_message": "denied"}]})


def test_names_are_those_of_the_command_line():
    assert set(subjects.PEERS) < set(subjects.ALL) and all(name and "," not in name for name in workloads.ALL)


# Calibration.
def test_the_limit_is_that_of_the_specification():
    assert calibration.limit(0.5, 0.34, 0.06) == pytest.approx(0.263, abs=0.001)
    assert calibration.limit(0.5, 0.34, 0.49) == pytest.approx(0.215, abs=0.001)
