#!/usr/bin/env bash
# What takes longer than a change may wait: the netns suites again and again with a count of what they leave behind,
# a thousand pods on a real cluster, many more seeds for the simulations, and hours of fuzzing.
# Usage: scripts/soak.sh [leaks|pods|sim|fuzz]...      pods needs what tests/kube needs
# ROUNDS=20 of the netns suites, POD_CYCLES=1000, SEEDS=100000 for a simulation, FUZZ_SECONDS=3600 for a fuzz target.
set -uo pipefail
cd "$(dirname "$0")/.."

rounds=${ROUNDS:-20}
seeds=${SEEDS:-100000}
fuzz_seconds=${FUZZ_SECONDS:-3600}
if [ $# -gt 0 ]; then parts=("$@"); else parts=(leaks pods sim fuzz); fi
out=$PWD/build/soak
python=/usr/bin/python3
failed=0
mkdir -p "$out"

say() { printf '\n==== %s\n' "$*"; }
fail() { echo "soak: $*"; failed=1; }

build_release() { cmake --preset release >"$out/configure.log" && cmake --build build/release >"$out/build.log"; }

# What tests can leave behind. Objects of the kernel go some time after their last user, so the caller polls.
left_behind() {
  echo "network namespaces $(ls /run/netns 2>/dev/null | wc -l)"
  echo "BPF programs $(bpftool -j prog show | jq length)"
  echo "BPF maps $(bpftool -j map show | jq length)"
  echo "BPF links $(bpftool -j link show | jq length)"
  echo "pins $(find /sys/fs/bpf -type f 2>/dev/null | wc -l)"
  echo "cgroups $(find "$(findmnt -nt cgroup2 -o TARGET | head -n 1)" -type d | wc -l)"
  echo "processes $(pgrep -c 'heddle-')"
}

soak_leaks() {
  build_release || return 1
  left_behind >"$out/before"
  for round in $(seq "$rounds"); do
    echo "-- round $round of $rounds"
    "$python" scripts/run_phase.py build/release netns "$out/netns" || fail "round $round failed"
    for _ in $(seq 30); do
      left_behind >"$out/after"
      cmp -s "$out/before" "$out/after" && break
      sleep 1
    done
    diff "$out/before" "$out/after" || fail "round $round left something behind (< before, > after)"
  done
}

soak_pods() {
  build_release || return 1
  HEDDLE_POD_CYCLES=${POD_CYCLES:-1000} HEDDLE_FIGURES=$out/figures.json "$python" -m pytest -q -p no:cacheprovider \
    tests/acceptance/test_cycles.py
}

# Every test program with the label sim takes --fresh N and prints the seed of a run that breaks an invariant.
soak_sim() {
  build_release || return 1
  local programs
  programs=$(ctest --test-dir build/release -L '^sim$' --show-only=json-v1 |
    jq -r '.tests[].command[0]' | sort -u) || return 1
  [ -n "$programs" ] || { echo "soak: there is no test with the label sim"; return 1; }
  for program in $programs; do
    echo "-- ${program##*/}, $seeds seeds"
    "$program" --fresh "$seeds" >"$out/${program##*/}.log" 2>&1 || { tail -n 40 "$out/${program##*/}.log"; failed=1; }
  done
}

soak_fuzz() {
  cmake --preset fuzz >"$out/configure-fuzz.log" || return 1
  cmake --build build/fuzz --target $(cut -d" " -f1 build/fuzz/fuzz_corpora.txt) >"$out/build-fuzz.log" || return 1
  while read -r target corpus; do
    local work=build/fuzz/work/$target
    mkdir -p "$work"
    echo "-- $target, $fuzz_seconds s"
    build/fuzz/bin/"$target" -max_total_time="$fuzz_seconds" -jobs="$(nproc)" -workers="$(nproc)" -print_final_stats=1 \
      -artifact_prefix="$work/" "$work" "$corpus" >"$work.log" 2>&1 || fail "$target found something: see $work.log"
    rm -f fuzz-[0-9]*.log
  done <build/fuzz/fuzz_corpora.txt
}

for part in "${parts[@]}"; do
  say "$part"
  "soak_$part" || fail "$part could not run"
done
exit "$failed"
