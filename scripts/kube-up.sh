#!/usr/bin/env bash
# A real Kubernetes cluster of two nodes on this machine with Heddle in it, to play with. Needs root on Debian 12; the
# first time it builds Kubernetes (about 11 minutes). scripts/kube-down.sh takes it away without a trace. With
# --state FILE, for both, it is another cluster than the one without.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(id -u)" -eq 0 ] || { echo "kube-up: must be root: nodes are made of namespaces, and run containers" >&2; exit 1; }
scripts/deps.sh --kube
mkdir -p build
echo "kube-up: building (log: build/kube-up-build.log)"
build() {
  cmake --preset release && cmake --build build/release --target heddle-agent heddle-cni heddle-cni-stub \
    heddle-controller heddlectl heddle_completions
}
log=build/kube-up-build.log
build >"$log" 2>&1 || { tail -n 30 "$log"; echo "kube-up: the build failed" >&2; exit 1; }
/usr/bin/python3 tests/kube/build.py >/dev/null
PYTHONPATH=tests exec /usr/bin/python3 -m acceptance "$@" up
