"""What it ran on: named with every result."""

import os
import pathlib
import platform
import re
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
_FLAGS = ("aes", "vaes", "vpclmulqdq", "avx2", "avx512f", "sha_ni")


def commit():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True,
                          text=True)
    return done.stdout.strip() or "unknown"


def describe():
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", cpuinfo)
    flags = set(re.search(r"^flags\s*:\s*(.*)", cpuinfo, re.M).group(1).split()) if "flags" in cpuinfo else set()
    memory = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1))
    return {
        "cpu": model.group(1).strip() if model else platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "memory_gb": round(memory / 1e6, 1),
        "kernel": platform.release(),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
