"""B0: what the machine itself can do, and the limit of bulk through two proxies that follows from it.

    R* = D / (3 D + 2 C + S)        of direct's throughput, when all share the same cores

    D  CPU time per byte of a TCP connection between the pods, both ends      (measured: T1 of direct)
    2C CPU time per byte of sealing once and opening once                     (measured: BoringSSL's records)
    S  CPU time per byte of the system calls of two proxies that move 64 KiB at a time, four of them
"""

import json
import re
import subprocess

from . import machine, report, statistics
from .ground import Grounds
from .subjects.plain import Direct
from .workloads.bulk import BulkUp
from .workloads.exchange import PingPong
from .workloads.workload import Settings

BATCH = 64 * 1024
_PROGRAMS = ("machine_bench", "machine_crypto_bench", "tls_engine_bench")


def limit(d, seal_and_open, s):
    """R*; all in CPU ns per byte."""
    return d / (3 * d + seal_and_open + s)


def micro(binaries, seconds):
    """{benchmark name: CPU ns of one iteration}, medians of five repetitions."""
    found = {}
    for program in _PROGRAMS:
        done = subprocess.run([binaries / program, "--benchmark_format=json", f"--benchmark_min_time={seconds}",
                               "--benchmark_repetitions=5", "--benchmark_report_aggregates_only"],
                              capture_output=True, text=True, check=True)
        for each in json.loads(done.stdout)["benchmarks"]:
            if each.get("aggregate_name") == "median":
                found[each["run_name"]] = each["cpu_time"]
    return found


def openssl_speed(seconds):
    """MB/s of AES-128-GCM with OpenSSL, by block size: what haproxy and nginx have."""
    found = {}
    for size in (64, 1350, 16384):
        done = subprocess.run(["openssl", "speed", "-seconds", str(seconds), "-bytes", str(size), "-evp",
                               "aes-128-gcm"], capture_output=True, text=True, check=True)
        last = re.search(r"^AES-128-GCM\s+([\d.]+)k", done.stdout, re.M | re.I)
        found[size] = float(last.group(1)) / 1e3 if last else None
    return found


def direct_cost(binaries, settings, rounds):
    """CPU ns per byte of the whole machine for a bulk flow between the pods, Gbit/s, and the µs of one byte there and
    back; medians."""
    with Grounds(binaries) as grounds:
        direct = Direct(grounds)
        runs = [{**BulkUp().measure(direct, settings), **PingPong().measure(direct, settings)} for _ in range(rounds)]
    return tuple(statistics.median([run[name] for run in runs]) for name in ("machine_cpu_s_gb", "gbit_s", "p50_us"))


def calibrate(binaries, quick, foreign_max):
    times = micro(binaries, 0.05 if quick else 0.5)
    settings = Settings(1.0 if quick else 5.0, 0.3 if quick else 1.0, foreign_max)
    d, gbit_s, round_trip = direct_cost(binaries, settings, 3 if quick else 5)
    seal_and_open = times[f"BM_SealAndOpen/{BATCH}"] / BATCH
    s = 2 * times["BM_SendAndReceive/1"] / BATCH  # Two proxies, a receive and a send each.
    return {"machine": machine.describe(), "micro_cpu_ns": times, "openssl_aes_128_gcm_mb_s": openssl_speed(1),
            "direct_gbit_s": gbit_s, "direct_round_trip_us": round_trip, "d_ns_per_byte": d,
            "seal_and_open_ns_per_byte": seal_and_open, "s_ns_per_byte": s, "limit": limit(d, seal_and_open, s)}


def render(found):
    about = found["machine"]
    lines = [f"{about['date']}, commit {about['commit']}, {about['cpus']} × {about['cpu']} "
             f"({', '.join(about['flags'])})", "", "| what | CPU ns |", "|---|---|"]
    lines += [f"| {name} | {report.number(value)} |" for name, value in found["micro_cpu_ns"].items()]
    lines += ["", "| OpenSSL's AES-128-GCM, block | MB/s |", "|---|---|"]
    lines += [f"| {size} | {'–' if speed is None else report.number(speed)} |"
              for size, speed in found["openssl_aes_128_gcm_mb_s"].items()]
    lines += ["", f"direct: {found['direct_gbit_s']:.1f} Gbit/s, one byte there and back "
              f"{found['direct_round_trip_us']:.1f} µs; D = {found['d_ns_per_byte']:.3f} ns/B; "
              f"2C = {found['seal_and_open_ns_per_byte']:.3f} ns/B; S = {found['s_ns_per_byte']:.3f} ns/B",
              f"R* = {found['limit']:.3f}: of direct's throughput, for a pair of proxies that moves 64 KiB at a time"]
    return "\n".join(lines)
