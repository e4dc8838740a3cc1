"""What pods leave behind on a node, were it not taken away."""

import json
import re

MAPS = "/sys/fs/bpf/heddle/v1/maps"


def of_node(release, node):
    """{what: how many}; equal before and after, when nothing leaks."""
    return {**_of_kernel(node), **_of_agent(release, node)}


def memory_of_agent(release, node):
    """In MiB; what is not to be equal, but bounded."""
    pid, = release.processes(node, "heddle-agent")
    status = node.run(["cat", f"/proc/{pid}/status"]).stdout
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def _lines(node, *argv):
    return len(node.run(argv).stdout.splitlines())


def _of_kernel(node):
    found = {
        "network namespaces": _lines(node, "ls", "/run/netns"),
        "interfaces": _lines(node, "ip", "-o", "link"),
        "pins": _lines(node, "find", "/sys/fs/bpf/heddle", "-type", "f"),
        "records": _lines(node, "find", "/run/heddle", "-type", "f"),
        "cgroups": sum(1 for each in node.cgroup_root.trees[0].path.rglob("*") if each.is_dir()),
        "addresses": _lines(node, "find", "/run/cni-ipam/pods", "-name", "10.*"),
    }
    maps = {name: _shown(node, "map", "pinned", f"{MAPS}/{name}") for name in node.run(["ls", MAPS]).stdout.split()}
    # The kernel is one for all nodes of this machine; whose a program is, is said by its maps. Pinned or not.
    ids = {shown["id"] for shown in maps.values()}
    programs = {each["id"] for each in _shown(node, "prog") if ids & set(each.get("map_ids", ()))}
    found["BPF programs"] = len(programs)
    found["BPF links"] = sum(each.get("prog_id") in programs for each in _shown(node, "link"))
    for name, shown in maps.items():
        found[f"entries of {name}"] = _entries(node, shown, f"{MAPS}/{name}")
    return found


def _shown(node, what, *which):
    return json.loads(node.run(["bpftool", "-j", what, "show", *which]).stdout)


def _entries(node, shown, pin):
    """None for what cannot be listed, such as a ring; entries of open connections come and go."""
    if shown["type"] not in ("hash", "lru_hash", "percpu_hash", "lpm_trie", "hash_of_maps"):
        return None
    done = node.run(["bpftool", "-j", "map", "dump", "pinned", pin], check=False)
    return len(json.loads(done.stdout)) if done.returncode == 0 and done.stdout.strip() else None


def _of_agent(release, node):
    """Descriptors and threads of the agent; what `heddlectl pods` lists."""
    pid, = release.processes(node, "heddle-agent")
    return {"descriptors of the agent": _lines(node, "ls", f"/proc/{pid}/fd"),
            "threads of the agent": _lines(node, "ls", f"/proc/{pid}/task"),
            "pods of the agent": len(release.heddlectl(node, "pods").splitlines())}
