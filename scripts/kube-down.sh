#!/usr/bin/env bash
# Takes away the cluster that scripts/kube-up.sh has made, with everything of it but what was built and unpacked.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHONPATH=tests exec /usr/bin/python3 -m kube "$@" down
