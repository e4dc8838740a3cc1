#!/usr/bin/env python3
"""Makes the container images from an installed tree: no registry, builder or daemon, and no base image.

An image holds its programs, the shared libraries they need, and a handful of small files. Nothing verifies peers by the
public web's authorities (the controller is known by its own root, the API server by the cluster's), so there is no CA
bundle. Architecture is that of the programs. The same tree and libraries give the same bytes.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

import oci_archive
import shared_libraries

ROOT = pathlib.Path(__file__).resolve().parents[1]
NONROOT = 65532

# Files of the prefix that go beside an image's programs.
DATA = {"cli": ("share/heddle/heddle.json",)}

# image -> (the programs of the prefix that it has, the first is what it starts; the user it starts as)
IMAGES = {
    "agent": (("bin/heddle-agent", "bin/heddlectl", "libexec/heddle/heddle-cni", "libexec/heddle/heddle-cni-stub"), 0),
    "controller": (("bin/heddle-controller",), NONROOT),
    "cli": (("bin/heddlectl",), NONROOT),
}


def version():
    found = re.search(r"project\(heddle VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())
    return found[1]


def tree(prefix, image, sysroot="/"):
    """(the image's files, its architecture)"""
    programs = [prefix / program for program in IMAGES[image][0]]
    kinds = {shared_libraries.read(program).architecture for program in programs}
    if len(kinds) != 1:
        raise ValueError(f"the programs of {prefix} are for several machines: {sorted(kinds)}")
    files = oci_archive.Tree()
    for folder in ("dev", "etc", "proc", "run", "sys", "var/lib"):
        files.folder(folder)
    files.folder("tmp", 0o1777)
    files.link("var/run", "/run")
    files.file("etc/passwd", f"root:x:0:0:root:/:\nheddle:x:{NONROOT}:{NONROOT}:heddle:/:\n".encode())
    files.file("etc/group", f"root:x:0:\nheddle:x:{NONROOT}:\n".encode())
    files.file("etc/nsswitch.conf", b"hosts: files dns\n")
    for path, program in zip(IMAGES[image][0], programs):
        files.file(f"usr/{path}", program.read_bytes(), 0o755)
    for path in DATA.get(image, ()):
        files.file(f"usr/{path}", (prefix / path).read_bytes())
    for path, library in sorted(shared_libraries.closure(programs, sysroot).items()):
        files.file(path, library.read_bytes(), 0o755)
    return files, kinds.pop()


def config(image):
    programs, user = IMAGES[image]
    labels = {"org.opencontainers.image.title": f"heddle-{image}", "org.opencontainers.image.version": version()}
    return {"Entrypoint": [f"/usr/{programs[0]}"], "Env": ["PATH=/usr/bin"], "User": f"{user}:{user}",
            "WorkingDir": "/", "Labels": labels}


def write(prefix, image, out, reference, sysroot="/"):
    """Writes the archive; its path."""
    files, architecture = tree(prefix, image, sysroot)
    path = out / f"heddle-{image}-{version()}-{architecture}.tar"
    path.write_bytes(oci_archive.archive(files, reference, architecture, config(image)))
    print(f"image: {path} is {reference}, {path.stat().st_size / 1e6:.1f} MB", flush=True)
    return path


def install(build, folder):
    if not (build / "cmake_install.cmake").exists():
        sys.exit(f"image: {build} is not configured; run: cmake --preset release && cmake --build build/release")
    subprocess.run(["cmake", "--install", build, "--prefix", folder, "--strip"], check=True, stdout=subprocess.DEVNULL)
    return pathlib.Path(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"which: {', '.join(IMAGES)} (default: all)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help="a build to install from")
    parser.add_argument("--prefix", type=pathlib.Path, help="an installed tree, instead of --build")
    parser.add_argument("--sysroot", type=pathlib.Path, default="/", help="where the libraries are (another machine's)")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/images", help="folder for the archives")
    parser.add_argument("--registry", default="localhost", help="what names begin with")
    parser.add_argument("--tag", default=version(), help="what names end in")
    parser.add_argument("--rootfs", type=pathlib.Path, help="lay one image's files out in this folder instead")
    options = parser.parse_args()
    images = options.images or list(IMAGES)
    if unknown := set(images) - set(IMAGES):
        parser.error(f"there is no image {sorted(unknown)}; there are {list(IMAGES)}")
    if options.rootfs and len(images) != 1:
        parser.error("--rootfs is for one image")
    with tempfile.TemporaryDirectory() as folder:
        prefix = options.prefix or install(options.build, folder)
        if options.rootfs:
            options.rootfs.mkdir(parents=True, exist_ok=True)
            tree(prefix, images[0], options.sysroot)[0].write(options.rootfs)
            return
        options.out.mkdir(parents=True, exist_ok=True)
        for image in images:
            write(prefix, image, options.out, f"{options.registry}/heddle-{image}:{options.tag}", options.sysroot)


if __name__ == "__main__":
    main()
