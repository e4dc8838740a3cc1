"""The layouts of the BPF maps are those that were recorded for their version."""

import pathlib
import subprocess
import sys

import bpf_schema

ROOT = pathlib.Path(__file__).parent.parent
PLAIN = "struct hd_ip {\n    __u8 addr[16]; /* bytes */\n};\n__uint(max_entries, 4);\n#define HD_SCHEMA_VERSION 1u\n"


def test_the_layouts_of_the_tree_are_those_of_its_version():
    done = subprocess.run([sys.executable, ROOT / "scripts/bpf_schema.py", ROOT], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr


def test_comments_spaces_sizes_and_the_version_do_not_count():
    same = PLAIN.replace("bytes", "other").replace("    ", " ").replace("4)", "8)").replace("1u", "2u")
    assert bpf_schema.digest([same]) == bpf_schema.digest([PLAIN])


def test_another_field_needs_another_version():
    changed = bpf_schema.digest([PLAIN.replace("16", "20")])
    recorded = f"1 {bpf_schema.digest([PLAIN])}\n"
    assert "Raise it" in bpf_schema.complaint(1, changed, recorded)
    assert "--record" in bpf_schema.complaint(2, changed, recorded)
    assert bpf_schema.complaint(2, changed, f"2 {changed}\n") == ""


def test_the_directory_of_the_pins_carries_the_version():
    files = {"good": "pins in /sys/fs/bpf/heddle/v2 and /sys/fs/bpf/heddle/v2/maps", "old": "/sys/fs/bpf/heddle/v1",
             "half": "/sys/fs/bpf/heddle/v1 /sys/fs/bpf/heddle/v2", "none": ""}
    assert bpf_schema.stale(2, files) == ["old", "half", "none"]
