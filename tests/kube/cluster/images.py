"""Container images without a registry: one folder is one layer of a docker-archive, which `ctr images import` reads."""

import hashlib
import io
import json
import pathlib
import platform
import subprocess
import tarfile

PAUSE = "localhost/pause:1"
BUSYBOX = "localhost/busybox:1"

# Holds a pod's namespaces: reaps what is orphaned in them (sh's wait does), and leaves when it is asked to.
_PAUSE_COMMAND = ["/bin/sh", "-c", "trap 'exit 0' TERM INT; sleep 2147483647 & wait"]

_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]

# For busybox's httpd; the tests' server is `httpd -f -p PORT -h /www`.
_WHOAMI = """#!/bin/sh
address=${REMOTE_ADDR#[::ffff:}
printf 'Content-Type: text/plain\\r\\n\\r\\n%s %s\\n' "${address%]}" "$HOSTNAME"
"""


class Layer:
    """The files of an image. What it packs does not depend on when, where or by whom: same files, same digest."""

    def __init__(self):
        self._bytes = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w", format=tarfile.GNU_FORMAT)

    def folder(self, path, mode=0o755):
        self._add(path, mode, tarfile.DIRTYPE)

    def file(self, path, content, mode=0o644):
        self._add(path, mode, tarfile.REGTYPE, content)

    def link(self, path, target):
        self._add(path, 0o777, tarfile.SYMTYPE, target=target)

    def close(self):
        self._tar.close()
        return self._bytes.getvalue()

    def _add(self, path, mode, kind, content=b"", target=""):
        entry = tarfile.TarInfo(path)
        entry.mode, entry.type, entry.linkname, entry.size = mode, kind, target, len(content)
        self._tar.addfile(entry, io.BytesIO(content))


def write_archive(path, layer, commands):
    """`commands` is {reference: command}: images that share the layer and differ in what they start."""
    digest = hashlib.sha256(layer).hexdigest()
    manifest, files = [], {"layer.tar": layer}
    for number, (reference, command) in enumerate(commands.items()):
        files[f"config{number}.json"] = json.dumps({
            "architecture": _ARCHITECTURE, "os": "linux", "created": "1970-01-01T00:00:00Z",
            "config": {"Entrypoint": command, "Env": ["PATH=/bin"], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": "1970-01-01T00:00:00Z"}],
        }).encode()
        manifest.append({"Config": f"config{number}.json", "RepoTags": [reference], "Layers": ["layer.tar"]})
    archive = Layer()
    archive.file("manifest.json", json.dumps(manifest).encode())
    for name, content in files.items():
        archive.file(name, content)
    pathlib.Path(path).write_bytes(archive.close())
    return path


def write_busybox(path, busybox):
    """The archive of PAUSE and BUSYBOX, made of a static busybox: every image that the tests of the cluster itself
    need."""
    layer = Layer()
    for folder in ("bin", "dev", "etc", "proc", "run", "sys", "var", "www", "www/cgi-bin"):
        layer.folder(folder)
    layer.folder("tmp", 0o1777)
    layer.file("bin/busybox", pathlib.Path(busybox).read_bytes(), 0o755)
    applets = subprocess.run([str(busybox), "--list"], check=True, capture_output=True, text=True).stdout.split()
    for applet in sorted(set(applets) - {"busybox"}):
        layer.link(f"bin/{applet}", "busybox")
    layer.file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
    layer.file("etc/group", b"root:x:0:\n")
    layer.file("www/index.html", b"ok\n")
    layer.file("www/cgi-bin/whoami", _WHOAMI.encode(), 0o755)
    return write_archive(path, layer.close(), {PAUSE: _PAUSE_COMMAND, BUSYBOX: ["/bin/sh"]})
