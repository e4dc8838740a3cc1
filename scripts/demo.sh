#!/usr/bin/env bash
# Shows the mesh at work on this machine: two nodes, a controller, four pods, real packets. Needs root on Debian 12.
# Usage: scripts/demo.sh [--keep]      --keep leaves everything running and prints what to try.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(id -u)" -eq 0 ] || { echo "demo: must be root: it makes network namespaces and loads BPF programs" >&2; exit 1; }
scripts/deps.sh

started=$SECONDS
mkdir -p build
echo "demo: building (log: build/demo-build.log)"
build() {
  cmake --preset release &&
    cmake --build build/release --target heddle-agent heddle-cni heddle-controller heddlectl
}
build >build/demo-build.log 2>&1 || { tail -n 30 build/demo-build.log; echo "demo: the build failed" >&2; exit 1; }
echo "demo: built in $((SECONDS - started)) s"

# exec: Ctrl-C goes to the program that cleans up.
PYTHONPATH=tests exec /usr/bin/python3 -m demo "$@"
