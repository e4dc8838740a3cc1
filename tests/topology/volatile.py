"""Folders that do not outlive a boot."""

import os
import pathlib


def tmpfs_folder(candidates=("/run", "/dev/shm"), mounts="/proc/mounts"):
    """The first of the folders that is a tmpfs we may write to."""
    tmpfs = {line.split()[1] for line in pathlib.Path(mounts).read_text().splitlines() if line.split()[2] == "tmpfs"}
    for folder in candidates:
        if folder in tmpfs and os.access(folder, os.W_OK):
            return pathlib.Path(folder)
    raise RuntimeError(f"none of {candidates} is a tmpfs; mount one: mount -t tmpfs tmpfs /dev/shm")
