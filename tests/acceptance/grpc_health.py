"""A server of grpc.health.v1 for probes: etcd, which the cluster brings, answers it on its client port."""

import pathlib
import sys

from kube.cluster.programs import Programs

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
import oci_archive  # noqa: E402
import shared_libraries  # noqa: E402

IMAGE = "localhost/grpc-health:1"
PORT = 2379


def command():
    anywhere = f"http://0.0.0.0:{PORT}"
    return ["/bin/etcd", "--data-dir=/tmp/etcd", f"--listen-client-urls={anywhere}",
            f"--advertise-client-urls={anywhere}"]


def write_archive(path):
    program = Programs()["etcd"]
    files = oci_archive.Tree()
    for folder in ("dev", "etc", "proc", "sys"):
        files.folder(folder)
    files.folder("tmp", 0o1777)
    files.file("bin/etcd", program.read_bytes(), 0o755)
    for name, library in sorted(shared_libraries.closure([program]).items()):
        files.file(name, library.read_bytes(), 0o755)
    path.write_bytes(oci_archive.archive(files, IMAGE, shared_libraries.read(program).architecture,
                                         {"Entrypoint": ["/bin/etcd"]}))
    return path
