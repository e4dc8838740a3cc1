"""Certificates made with openssl's command line, as somebody would who has an authority's key, or another authority."""

import os
import pathlib

from topology.process import run


class Authority:
    """A root in a directory, like the controller's: root-cert.pem and root-key.pem."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    @classmethod
    def make(cls, folder):
        """Another authority, of the same name as nobody else."""
        folder = pathlib.Path(folder)
        folder.mkdir(mode=0o700)
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", folder / "root-key.pem", "-out", folder / "root-cert.pem", "-days", "30",
             "-subj", "/O=cluster.local", "-addext", "basicConstraints=critical,CA:TRUE",
             "-addext", "keyUsage=critical,keyCertSign"])
        return cls(folder)

    def issue(self, folder, name, san, days=1):
        """A leaf with this subjectAltName ("URI:spiffe://..."); returns the files of chain and key."""
        base = pathlib.Path(folder) / name
        key, request, chain = (base.with_suffix(suffix) for suffix in (".key", ".csr", ".pem"))
        extensions = base.with_suffix(".ext")
        extensions.write_text(f"subjectAltName=critical,{san}\nkeyUsage=critical,digitalSignature\n"
                              "extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=critical,CA:FALSE\n")
        run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", key, "-out", request, "-subj", "/"])
        run(["openssl", "x509", "-req", "-in", request, "-CA", self.folder / "root-cert.pem",
             "-CAkey", self.folder / "root-key.pem", "-set_serial", str(int.from_bytes(os.urandom(8), "big")),
             "-days", str(days), "-extfile", extensions, "-out", chain])
        return chain, key


def spiffe(service_account, namespace="shop", trust_domain="cluster.local"):
    return f"URI:spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"
