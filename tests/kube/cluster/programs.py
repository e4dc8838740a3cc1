"""Where the cluster's programs stand: built ones, and those of unpacked Debian packages."""

from .. import build

DEBIAN = ("etcd", "containerd", "containerd-shim-runc-v2", "ctr", "runc", "busybox")


class Programs:
    """Builds what is missing; a package that is missing is a FileNotFoundError with what to run."""

    def __init__(self):
        self._kubernetes = build.build("kubernetes")
        self._debian = build.cache_folder() / "debian"
        for name in DEBIAN:
            self[name]  # Said now rather than when half of the cluster runs.

    @property
    def folders(self):
        return [self._kubernetes, *(self._debian / folder for folder in ("usr/bin", "usr/sbin", "bin"))]

    def search_path(self):
        """PATH for processes of the cluster: containerd looks for its shim and for runc there."""
        return ":".join(map(str, [*self.folders, "/usr/sbin", "/usr/bin", "/sbin", "/bin"]))

    def __getitem__(self, name):
        for folder in self.folders:
            if (folder / name).exists():
                return folder / name
        raise FileNotFoundError(f"{name} is in none of {[str(f) for f in self.folders]}; run: scripts/deps.sh --kube")

    def helm(self):
        return build.build("helm") / "helm"
