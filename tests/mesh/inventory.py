"""What the mesh holds of a node's resources, to be compared before and after."""

import json
import os
import pathlib
import re

from topology.netns import NETNS_DIR
from topology.process import run

# Entries of these come and go with connections; of the others with pods and agents.
MAPS = ("hd_pods", "hd_pod_ip", "hd_origdst", "hd_bypass", "hd_proxies", "hd_excl_port", "hd_pod_stats")


def resident(process):
    """Bytes of memory."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


def descriptors(process):
    """How many descriptors of each kind: {"socket": 31, "anon_inode:[eventpoll]": 3, ...}."""
    kinds = {}
    for fd in pathlib.Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            kind = re.sub(r":\[?\d+\]?$", "", os.readlink(fd))
        except FileNotFoundError:
            continue  # It was the one that lists.
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def entries(node, name):
    dump = run(["bpftool", "-j", "map", "dump", "pinned", node.pin_dir / "maps" / name]).stdout
    return len(json.loads(dump or "[]"))


def of_node(node):
    """Everything that must be exactly back."""
    return {"descriptors": descriptors(node.agent),
            "maps": {name: entries(node, name) for name in MAPS},
            "pins": sorted(str(path.relative_to(node.pin_dir)) for path in node.pin_dir.rglob("*")),
            "records": sorted(path.name for path in (node.run_dir / "pods").iterdir()),
            "netns": sorted(path.name for path in NETNS_DIR.glob(f"{node.topology.prefix}-*")),
            "links": sorted(line.split()[1] for line in node.netns.ip("-o", "link").stdout.splitlines()),
            "pods": len(node.pods)}


def difference(before, after):
    """Only what differs: {"maps.hd_pods": (3, 4)}; empty when all is back."""
    differing = {}
    for key in before.keys() | after.keys():
        one, two = before.get(key), after.get(key)
        if isinstance(one, dict) and isinstance(two, dict):
            differing |= {f"{key}.{name}": value for name, value in difference(one, two).items()}
        elif one != two:
            differing[key] = (one, two)
    return differing
