"""Where the cluster's programs stand: built ones, and those of unpacked Debian packages."""

import shutil

from .. import build

UNPACKED = ("etcd", "containerd", "containerd-shim-runc-v2", "ctr", "runc", "busybox")
INSTALLED = ("nft", "iptables", "openssl")  # For kube-proxy, the portmap plugin and the PKI.


class Programs:
    """Builds what is missing; a package that is missing is a FileNotFoundError with what to run."""

    def __init__(self):
        self._kubernetes = build.build("kubernetes")
        self._debian = build.cache_folder() / "debian"
        for name in UNPACKED:
            self[name]  # Said now rather than when half of the cluster runs.
        for name in INSTALLED:
            if not shutil.which(name, path=self.search_path()):
                raise FileNotFoundError(f"{name} is not installed; run: scripts/deps.sh --kube")

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

    def coredns(self):
        return build.build("coredns") / "coredns"
