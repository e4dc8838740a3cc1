#!/usr/bin/env python3
"""Fails when a layout of the BPF maps has changed under the same HD_SCHEMA_VERSION.

Maps outlive the agent that made them. What they hold is laid out by bpf/hd_abi.h and bpf/maps.h; another agent
adopts them if the version is its own. bpf/schema.digest records, for the version, a digest of all that decides about
keys and values: comments, white space and sizes of maps do not. `--record` writes it, after the version was raised.
The directory of the pins carries the same number, wherever it is named.
"""

import argparse
import hashlib
import pathlib
import re
import sys

FILES = ("bpf/hd_abi.h", "bpf/maps.h")
DIGEST = "bpf/schema.digest"
VERSION = re.compile(r"^#define HD_SCHEMA_VERSION (\d+)u$", re.M)
DIRECTORY = re.compile(r"/sys/fs/bpf/heddle/v(\d+)")
NAMES_DIRECTORY = (
    "agent/config.h", "agent/node/bpf_loader.h", "agent/node/node_purge.h", "cli/removal/node_places.h",
    "deploy/helm/heddle/templates/agent.yaml", "deploy/manifest/heddle.json", "docs/architecture.md",
    "docs/operations.md", "docs/reference/heddle-agent.md")


def layout(text):
    """The declarations alone. An existing map keeps its size, so max_entries does not count."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = VERSION.sub("", text)
    text = re.sub(r"__uint\(max_entries,[^;]*;", " ", text)
    text = re.sub(r"^\s*#\s*(include|pragma).*$", " ", text, flags=re.M)
    return " ".join(text.split())


def digest(texts):
    return hashlib.sha256("\n".join(layout(text) for text in texts).encode()).hexdigest()


def complaint(version, now, recorded):
    """Why `now` cannot be the layout of `version`; empty if it can. `recorded` is "version digest"."""
    recorded_version, recorded_digest = recorded.split()
    if (version, now) == (int(recorded_version), recorded_digest):
        return ""
    if version == int(recorded_version):
        return (f"what the BPF maps hold has changed, and HD_SCHEMA_VERSION is still {version}: an agent would read "
                "maps that an older one wrote. Raise it (docs/decisions/017), then scripts/bpf_schema.py --record")
    return f"HD_SCHEMA_VERSION is {version}, recorded is {recorded_version}: scripts/bpf_schema.py --record"


def stale(version, files):
    """Those of {name: text} that do not name the pins' directory, or one of another version."""
    return [name for name, text in files.items() if set(DIRECTORY.findall(text)) != {str(version)}]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", default=pathlib.Path(__file__).parent.parent, type=pathlib.Path)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    texts = [(options.root / name).read_text() for name in FILES]
    version = int(VERSION.search(texts[0]).group(1))
    now = digest(texts)
    if options.record:
        (options.root / DIGEST).write_text(f"{version} {now}\n")
        return 0
    wrong = complaint(version, now, (options.root / DIGEST).read_text())
    if files := stale(version, {name: (options.root / name).read_text() for name in NAMES_DIRECTORY}):
        wrong = wrong or f"pins are in /sys/fs/bpf/heddle/v{version}; these say something else: {', '.join(files)}"
    if wrong:
        print(wrong, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
