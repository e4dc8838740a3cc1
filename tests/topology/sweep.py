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


def _named():
    """(pid of the maker, path) of namespaces, cgroups, pins and folders of any instance. Cgroups come first: their
    processes hold the rest."""
    for folder in (*cgroup_roots(), NETNS_DIR, pathlib.Path("/sys/fs/bpf"), pathlib.Path(tempfile.gettempdir()),
                   tmpfs_folder()):
        for path in folder.iterdir() if folder.is_dir() else ():
            if match := _NAME.match(path.name):
                yield int(match.group(1)), path


def belongings(pid):
    """What there is of the instances that the process made."""
    return [path for maker, path in _named() if maker == pid]


def leftovers():
    """What there is of instances whose maker does not live any more."""
    return (path for maker, path in _named() if not os.path.exists(f"/proc/{maker}"))


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
