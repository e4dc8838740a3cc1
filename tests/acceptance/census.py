"""What pods leave behind on a node, were it not taken away."""

import json


def of_node(release, node):
    """{what: how many}; equal before and after, when nothing leaks."""
    return {**_of_kernel(node), **_of_agent(release, node)}


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
    for map in node.run(["sh", "-c", "ls /sys/fs/bpf/heddle/v1/maps"]).stdout.split():
        found[f"entries of {map}"] = _entries(node, f"/sys/fs/bpf/heddle/v1/maps/{map}")
    return found


def _entries(node, pin):
    """None for what cannot be listed, such as a ring; entries of open connections come and go."""
    shown = json.loads(node.run(["bpftool", "-j", "map", "show", "pinned", pin]).stdout)
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
