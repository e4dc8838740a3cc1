#!/usr/bin/env bash
# Installs the Debian packages that building and testing Heddle needs and that are missing; a second run does nothing.
# Usage: scripts/deps.sh [--kube]      --kube adds what the Kubernetes test cluster (tests/kube) runs.
set -euo pipefail

packages=(
  # Compiler, for user space and for BPF; libclang1 is read by the build of BoringSSL.
  clang-19 lld-19 libclang-rt-19-dev clang-tidy-19 clang-format-19 llvm-19 libclang1-19
  cmake ninja-build make pkg-config ccache
  # The kernel's client libraries.
  libbpf-dev libelf-dev zlib1g-dev linux-libc-dev liburing-dev libmnl-dev
  # Libraries.
  libnghttp2-dev libabsl-dev libprotobuf-dev protobuf-compiler libre2-dev nlohmann-json3-dev libyaml-cpp-dev
  libcli11-dev libgtest-dev libgmock-dev libbenchmark-dev
  # What tests and the demo run.
  containernetworking-plugins bpftool tcpdump iproute2 curl python3 python3-pytest python3-yaml jq procps util-linux
  strace netcat-openbsd git ca-certificates
)

say() { printf 'deps: %s\n' "$*"; }
die() { printf 'deps: %s\n' "$*" >&2; exit 1; }

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

debian_release() { (. /etc/os-release 2>/dev/null && printf '%s %s' "${ID:-unknown}" "${VERSION_ID:-}"); }

[ "$(debian_release)" = 'debian 12' ] ||
  die "this is '$(debian_release)', and the package names in $0 are Debian 12's: install their equivalents by hand"

# cargo carries BoringSSL's sources. Debian's own cargo package is too old for them; cargo-web is current.
if ! command -v cargo >/dev/null && [ ! -x "${HOME:-}/.cargo/bin/cargo" ]; then packages+=(cargo-web); fi

# What the cluster's nodes run beside programs from Go modules. Their daemons are not installed, only unpacked where
# tests/kube finds them: an installed containerd or etcd would start on this machine.
kube_packages=(nftables iptables openssl)
kube_unpacked=(etcd-server containerd runc busybox-static)
# promtool, which evaluates the alerts of the documents.
prometheus_unpacked=(prometheus)

install_missing() {
  local missing=() package
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  if [ "${#missing[@]}" -eq 0 ]; then
    say "all $# packages are installed; nothing to do"
    return
  fi
  [ "$(id -u)" -eq 0 ] || die "must be root to install: ${missing[*]} (try: sudo $0)"
  say "installing ${#missing[@]} of $# packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -q -y --no-install-recommends "${missing[@]}"
  say "done"
}

# Folders that are of no use after this script.
workplaces=()
tidy_up() {
  [ "${#workplaces[@]}" -eq 0 ] || { chmod -R u+w "${workplaces[@]}"; rm -rf "${workplaces[@]}"; }
}
trap tidy_up EXIT

download() {  # download FOLDER PACKAGE...
  local folder=$1
  shift
  try() { (cd "$folder" && apt-get download -q -o APT::Sandbox::User=root "$@"); }
  try "$@" || { apt-get update -q && try "$@"; }
}

unpack() {  # unpack NAME PACKAGE...
  local cache=${HEDDLE_KUBE_CACHE:-$HOME/.cache/heddle/kube} folder unfinished package
  folder=$cache/$1
  shift
  if [ "$(cat "$folder/packages" 2>/dev/null)" = "$*" ]; then
    say "all $# packages in $folder are unpacked; nothing to do"
    return
  fi
  say "unpacking into $folder: $*"
  mkdir -p "$cache"
  unfinished=$(mktemp -d "$cache/.debian-XXXXXX")
  workplaces+=("$unfinished")
  mkdir "$unfinished/root"
  download "$unfinished" "$@"
  for package in "$unfinished"/*.deb; do dpkg -x "$package" "$unfinished/root"; done
  echo "$*" >"$unfinished/root/packages"
  rm -rf "$folder"
  mv "$unfinished/root" "$folder"
  say "done"
}

# Go builds Kubernetes and helm. Debian 12's is too old to build them, but not to fetch a newer one, a Go module, whose
# checksum it verifies. In a module's archive no file is executable.
kube_go=1.24.11
provide_go() {
  local cache=${HEDDLE_KUBE_CACHE:-$HOME/.cache/heddle/kube} unfinished fetched
  if /usr/bin/python3 "$(dirname "$0")/../tests/kube/build.py" --go >/dev/null 2>&1; then
    say "Go is there; nothing to do"
    return
  fi
  say "fetching Go $kube_go into $cache/go"
  mkdir -p "$cache"
  unfinished=$(mktemp -d "$cache/.go-XXXXXX")
  workplaces+=("$unfinished")
  download "$unfinished" golang-1.19-go
  (
    cd "$unfinished"
    dpkg -x golang-1.19-go_*.deb .
    export GOROOT=$unfinished/usr/lib/go-1.19 GOPATH=$unfinished/path GOMODCACHE=$unfinished/modules GOFLAGS=
    "$GOROOT/bin/go" mod download "golang.org/toolchain@v0.0.1-go$kube_go.linux-$(dpkg --print-architecture)"
  )
  fetched=("$unfinished"/modules/golang.org/toolchain@*)
  chmod -R u+w "$unfinished"
  find "${fetched[0]}/bin" "${fetched[0]}/pkg/tool" -type f -exec chmod +x {} +
  rm -rf "$cache/go"
  mv "${fetched[0]}" "$cache/go"
  "$cache/go/bin/go" version
}

case ${1:-} in
  '') install_missing "${packages[@]}" ;;
  --kube)
    install_missing "${packages[@]}" "${kube_packages[@]}"
    unpack debian "${kube_unpacked[@]}"
    unpack prometheus "${prometheus_unpacked[@]}"
    provide_go
    ;;
  *) die "usage: scripts/deps.sh [--kube]" ;;
esac
