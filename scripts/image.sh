#!/usr/bin/env bash
# Container images from the build, as archives: scripts/image.sh --help.
exec /usr/bin/python3 "$(dirname "$0")/image.py" "$@"
