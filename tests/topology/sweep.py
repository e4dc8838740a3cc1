"""Takes away what instances left whose maker was killed: PYTHONPATH=tests python3 -m topology.sweep"""

import os
import pathlib
import re
import shutil
import tempfile

from .cgroup import Cgroup, cgroup_roots
from .netns import NETNS_DIR
from .process import run
from .volatile import tmpfs_folder

_NAME = re.compile(r"hd(\d+)-\d+(-|$)")


def leftovers():
    """Paths of namespaces, cgroups, pins and folders whose maker does not live any more."""
    for folder in (*cgroup_roots(), NETNS_DIR, pathlib.Path("/sys/fs/bpf"), pathlib.Path(tempfile.gettempdir()),
                   tmpfs_folder()):  # Cgroups first: their processes hold the rest.
        for path in folder.iterdir() if folder.is_dir() else ():
            match = _NAME.match(path.name)
            if match and not os.path.exists(f"/proc/{match.group(1)}"):
                yield path


def main():
    for path in leftovers():
        print(path)
        if path.parent == NETNS_DIR:
            run(["ip", "netns", "del", path.name])
        elif path.parent in cgroup_roots():
            Cgroup(path).remove()
        else:
            shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main()
