"""Writes a container image as one file, without a registry, a builder or a daemon.

The archive is an OCI image layout and, by the same blobs, what `docker save` writes, so that containerd, docker, podman
and skopeo can read it. Nothing in it depends on when, where or by whom it was made: the same files give the same bytes.
"""

import hashlib
import io
import json
import pathlib
import tarfile

_EPOCH = "1970-01-01T00:00:00Z"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


class Tree:
    """The files of an image: path -> what is there. Folders on the way come by themselves."""

    def __init__(self):
        self._entries = {}

    def folder(self, path, mode=0o755):
        self._add(path, mode, tarfile.DIRTYPE)

    def file(self, path, content, mode=0o644):
        self._add(path, mode, tarfile.REGTYPE, content)

    def link(self, path, target):
        self._add(path, 0o777, tarfile.SYMTYPE, target=target)

    def paths(self):
        return sorted(self._entries)

    def layer(self):
        """An uncompressed tar of everything, in the order of its paths, owned by root."""
        return _tar(self._entries[path] for path in self.paths())

    def write(self, folder):
        """Lays the files out below a folder that is there."""
        with tarfile.open(fileobj=io.BytesIO(self.layer())) as packed:
            packed.extractall(folder)

    def _add(self, path, mode, kind, content=b"", target=""):
        entry = tarfile.TarInfo(path.strip("/"))
        entry.mode, entry.type, entry.linkname, entry.size = mode, kind, target, len(content)
        for parent in reversed(pathlib.PurePosixPath(entry.name).parents):
            if str(parent) not in (".", *self._entries):
                self.folder(str(parent))
        self._entries[entry.name] = (entry, content)


def _tar(entries):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as out:
        for entry, content in entries:
            out.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class _Blobs:
    def __init__(self):
        self.tree = Tree()

    def add(self, media_type, content):
        """Its descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        self.tree.file(f"blobs/sha256/{digest}", content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def archive(tree, reference, architecture, config):
    """The bytes of the archive. `reference` is NAME:TAG; `architecture` is amd64 or arm64; `config` is the
    image-spec's: Entrypoint, User, Env, Labels."""
    blobs = _Blobs()
    layer = blobs.add(_LAYER, tree.layer())
    described = blobs.add(_CONFIG, _json({
        "architecture": architecture, "os": "linux", "created": _EPOCH, "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        "history": [{"created": _EPOCH, "created_by": "scripts/image.sh"}]}))
    manifest = blobs.add(_MANIFEST, _json({
        "schemaVersion": 2, "mediaType": _MANIFEST, "config": described, "layers": [layer]}))
    named = {**manifest, "platform": {"os": "linux", "architecture": architecture}, "annotations": {
        "io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference.rpartition(":")[2]}}
    files = blobs.tree
    files.file("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
    files.file("index.json", _json({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [named]}))
    blob = {name: f"blobs/sha256/{value['digest'].partition(':')[2]}" for name, value in
            (("config", described), ("layer", layer))}
    files.file("manifest.json", _json([{"Config": blob["config"], "RepoTags": [reference], "Layers": [blob["layer"]]}]))
    return files.layer()
