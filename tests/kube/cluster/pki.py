"""Keys, certificates and tokens of a cluster, made by openssl(1)."""

import pathlib
import secrets

import yaml
from topology.process import run

DAYS = 30
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Pki:
    """One CA for servers and clients, the key of service accounts, and a file of static tokens: a user of RBAC's
    built-in bindings is a token rather than a certificate."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(mode=0o700)
        self.ca = self.folder / "ca.crt"
        self.tokens = self.folder / "tokens.csv"
        self.tokens.touch(mode=0o600)
        run(["openssl", "req", "-x509", *_CURVE, "-subj", "/CN=test-cluster", "-days", DAYS,
             "-keyout", self.folder / "ca.key", "-out", self.ca])

    def issue(self, name, subject, usage, addresses=()):
        """(certificate, key) files, signed by the CA. `usage` is serverAuth or clientAuth; addresses as in SANs."""
        certificate, key, request = (self.folder / f"{name}.{suffix}" for suffix in ("crt", "key", "csr"))
        run(["openssl", "req", *_CURVE, "-subj", subject, "-keyout", key, "-out", request])
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"keyUsage=digitalSignature\nextendedKeyUsage={usage}\n" +
                              (f"subjectAltName={','.join(addresses)}\n" if addresses else ""))
        run(["openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.folder / "ca.key",
             "-CAcreateserial", "-days", DAYS, "-extfile", extensions, "-out", certificate])
        return certificate, key

    def service_account_keys(self):
        """(public, private) key files: RSA, because every verifier of tokens knows RS256."""
        public, private = self.folder / "sa.pub", self.folder / "sa.key"
        run(["openssl", "genrsa", "-out", private, "2048"])
        run(["openssl", "rsa", "-in", private, "-pubout", "-out", public])
        return public, private

    def add_token(self, user, *groups):
        """Must come before the API server, which reads the file once."""
        token = secrets.token_hex(16)
        quoted = ',"' + ",".join(groups) + '"' if groups else ""
        with open(self.tokens, "a") as file:
            file.write(f"{token},{user},{user}{quoted}\n")
        return token

    def kubeconfig(self, path, server, token):
        """Writes it; whoever can read the file is that user."""
        path = pathlib.Path(path)
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": str(self.ca)}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }))
        return path
