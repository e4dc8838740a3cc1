#!/usr/bin/env python3
"""Builds the programs of the test cluster from Go modules, once: tests/kube/build.py [kubernetes] [helm] [coredns]

kubernetes: one binary with kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy and kubectl,
            and a symbolic link for each of them. helm: a module of its own, because it wants newer versions of the
            libraries that both use, and Kubernetes is to be built from those that its release was built from.
            coredns: the same, with the plugins that the test cluster uses.

They stand in $HEDDLE_KUBE_CACHE (~/.cache/heddle/kube), in a folder named after what they were made of: the module's
files and Go's version. A second run finds them there and does nothing. The folder of another version stays.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

MODULES = pathlib.Path(__file__).resolve().with_name("binaries")
PROGRAMS = {
    "kubernetes": ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"),
    "helm": (),
    "coredns": (),
}
PACKAGES = {"kubernetes": ".", "helm": "helm.sh/helm/v3/cmd/helm", "coredns": "."}
PROGRESS_SECONDS = 20.0
GO_FOLDERS = ("/usr/local/go/bin",)  # Beside those of PATH.


class BuildFailed(Exception):
    """With a sentence that says what to do."""


def cache_folder():
    return pathlib.Path(os.environ.get("HEDDLE_KUBE_CACHE") or pathlib.Path.home() / ".cache/heddle/kube")


def say(sentence):
    print(f"kube: {sentence}", file=sys.stderr, flush=True)


def version_of(go):
    """Such as "1.26.8"; None when there is no such program; raises BuildFailed when it does not run."""
    try:
        done = subprocess.run([go, "env", "GOVERSION"], env=_environment(), capture_output=True, text=True, check=True)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except subprocess.CalledProcessError as failed:
        raise BuildFailed(f"{go} does not run: {failed.stderr.strip()}") from None
    return done.stdout.strip().removeprefix("go")


def is_enough(found, wanted):
    return tuple(map(int, re.findall(r"\d+", found)[:2])) >= tuple(map(int, wanted.split(".")[:2]))


def find_go():
    """(path, version) of the first Go that is new enough: of PATH, its usual place, the cache; else BuildFailed."""
    wanted = re.search(r"^go (\S+)", (MODULES / "kubernetes" / "go.mod").read_text(), re.M)[1]
    too_old = []
    for folder in [*os.environ.get("PATH", "").split(":"), *GO_FOLDERS, cache_folder() / "go/bin"]:
        program = pathlib.Path(folder, "go")
        if (found := version_of(program)) is None:
            continue
        if is_enough(found, wanted):
            return program, found
        too_old.append(f"{program} is {found}")
    raise BuildFailed(f"{'; '.join(too_old) or 'there is no go program'}; building Kubernetes needs Go {wanted} or "
                      "newer: scripts/deps.sh --kube brings one")


def _environment():
    # CGO_ENABLED=0: static programs, which also run inside images. GOTOOLCHAIN=local: a toolchain that downloads
    # another one would hide what builds.
    return dict(os.environ, CGO_ENABLED="0", GOTOOLCHAIN="local", GOWORK="off")


def environment():
    """For programs that call go."""
    folder = find_go()[0].parent
    return dict(_environment(), PATH=f"{folder}:{os.environ.get('PATH', '')}")


def linker_flags(name, go_mod):
    """What makes the programs say which release they are: servers, the user agents of clients, and helm."""
    if name == "coredns":
        return "-s -w"  # Its version is in its source.
    module = {"kubernetes": r"k8s\.io/kubernetes", "helm": r"helm\.sh/helm/v3"}[name]
    version = re.search(rf"\b{module} (v\S+)", go_mod)[1]
    minor = re.search(r"\bk8s\.io/(?:kubernetes v1|client-go v0)\.(\d+)\.", go_mod)[1]
    if name == "helm":
        values = {"helm.sh/helm/v3/internal/version.version": version,
                  "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor": "1",
                  "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": minor}
    else:
        stamp = {"gitVersion": version, "gitMajor": "1", "gitMinor": minor, "gitTreeState": "clean",
                 "gitCommit": "0" * 40, "buildDate": "1970-01-01T00:00:00Z"}
        values = {f"{package}.{key}": value for key, value in stamp.items()
                  for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")}
    return " ".join(["-s", "-w", *(f"-X {key}={value}" for key, value in values.items())])


def built_folder(name):
    """Where the binary of this module and this Go stands, built or not."""
    module = MODULES / name
    key = hashlib.sha256(find_go()[1].encode())
    for path in sorted(module.iterdir()):
        key.update(path.name.encode() + b"\0" + path.read_bytes())
    return cache_folder() / f"{name}-{key.hexdigest()[:16]}"


@contextlib.contextmanager
def only_builder(name):
    """Two builds of the same thing at the same time: the second waits, and finds it built."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with open(cache_folder() / f".{name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name} is being built by another process: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def compile_module(name, output):
    """Runs `go build` and says every now and then how far it is; returns the seconds it took."""
    module = MODULES / name
    argv = ["nice", "-n", "19", "go", "build", "-v", "-trimpath", "-mod=readonly", "-buildvcs=false",
            "-ldflags", linker_flags(name, (module / "go.mod").read_text()), "-o", output, PACKAGES[name]]
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(argv, cwd=module, env=environment(), stderr=log)
        try:
            while wait(process, PROGRESS_SECONDS) is None:
                say(f"{name}: {len(written(log))} packages compiled, {time.monotonic() - started:.0f} s")
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            raise BuildFailed(f"go build of {name} failed:\n" + "".join(written(log)[-40:]))
    return time.monotonic() - started


def wait(process, seconds):
    """The exit code, or None after that time."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def written(log):
    """The lines that go has written; -v makes it name each package that it compiles."""
    return os.pread(log.fileno(), os.fstat(log.fileno()).st_size, 0).decode(errors="replace").splitlines(keepends=True)


def build(name):
    """The folder that has the programs, built if they are not there."""
    folder = built_folder(name)
    if folder.is_dir():
        return folder
    with only_builder(name):
        if folder.is_dir():
            return folder
        say(f"building {name} into {folder}, once: on two idle cores about 8 minutes for kubernetes, "
            "2 for helm and 1 for coredns")
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=cache_folder()) as unfinished:
            parts = pathlib.Path(unfinished) / "programs"
            parts.mkdir()
            seconds = compile_module(name, parts / name)
            for program in PROGRAMS[name]:
                (parts / program).symlink_to(name)
            parts.rename(folder)  # All of it or nothing.
        say(f"{name}: built in {seconds:.0f} s, {sum(f.lstat().st_size for f in folder.iterdir()) >> 20} MB")
    return folder


def main():
    parser = argparse.ArgumentParser(description="Builds the test cluster's programs from Go modules, once.")
    parser.add_argument("names", nargs="*", metavar="|".join(PROGRAMS), help="all of them when none is named")
    parser.add_argument("--go", action="store_true", help="say which Go would build them, and build nothing")
    args = parser.parse_args()
    names = args.names or list(PROGRAMS)
    if unknown := set(names) - set(PROGRAMS):
        parser.error(f"unknown: {' '.join(sorted(unknown))}")
    try:
        if args.go:
            print(*find_go())
            return 0
        for name in names:
            print(build(name))
    except BuildFailed as failed:
        say(str(failed))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
