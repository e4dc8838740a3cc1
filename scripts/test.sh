#!/usr/bin/env bash
# Runs everything that must pass before a change lands; see docs/architecture.md. Usage: test.sh [all | PHASE...]
# Prints the time of each phase and ends in one line "N passed, N failed, N skipped"; exit code 1 on a failure.
# The phase kube, not among the default ones but part of `all`, needs `scripts/deps.sh --kube` and builds Kubernetes
# once (tests/kube).
# While phases that mostly wait run (netns, e2e, kube), what the sanitizers need is built with what is left of the CPUs.
# What runs is what CTest lists: a test that is not listed under a known label is an error, not a silence.
set -uo pipefail
cd "$(dirname "$0")/.."

jobs=$(nproc)
out=$PWD/build/test-results
python=/usr/bin/python3
checks=(build layers tidy tools unit sim bpf fuzz netns e2e)
sanitizers=(asan tsan)
if [ "$*" = all ]; then phases=("${checks[@]}" kube "${sanitizers[@]}")
elif [ $# -gt 0 ]; then phases=("$@")
else phases=("${checks[@]}" "${sanitizers[@]}"); fi

rm -rf "$out"
mkdir -p "$out"
: >"$out/counts"

count() { echo "$1 $2 $3 $4" >>"$out/counts"; }  # count NAME PASSED FAILED SKIPPED

# A command that is one test by itself.
single() {
  local name=$1
  shift
  if "$@"; then count "$name" 1 0 0; else count "$name" 0 1 0; return 1; fi
}

run_label() { "$python" scripts/run_phase.py "$1" "$2" "$out/${1##*/}-$2" "${@:3}"; }

# Appends what run_phase.py counted to the total, also when it failed before it could count.
counted() {
  local folder=$out/${1##*/}-$2 status=0
  run_label "$@" || status=1
  if [ -f "$folder/counts" ]; then cat "$folder/counts" >>"$out/counts"; else count "$2" 0 1 0; status=1; fi
  return "$status"
}

configure() { cmake --preset "$1" >"$out/configure-$1.log" 2>&1 || { tail -n 30 "$out/configure-$1.log"; return 1; }; }

phase_build() { single build build_release; }
build_release() { configure release && cmake --build build/release; }
phase_layers() { single layers "$python" scripts/check_layers.py; }
phase_tidy() { single tidy "$python" scripts/tidy.py; }
phase_tools() { counted build/release tools --jobs "$jobs"; }
phase_unit() { counted build/release unit --jobs "$jobs"; }
phase_sim() { counted build/release sim --jobs "$jobs"; }
phase_bpf() { counted build/release bpf; }
phase_fuzz() { counted build/release fuzz --jobs "$jobs"; }
phase_netns() { counted build/release netns; }
phase_e2e() { counted build/release e2e; }
phase_kube() {
  single configure-release configure release && single kube-binaries "$python" tests/kube/build.py || return 1
  counted build/release kube --jobs "$jobs"
}
phase_asan() {
  await_ahead
  single configure-asan configure asan || return 1
  local status=0
  counted build/asan unit --build --jobs "$jobs" || status=1
  counted build/asan sim --build --jobs "$jobs" || status=1
  counted build/asan fuzz --build --jobs "$jobs" || status=1
  return "$status"
}
# Loops and what crosses them: the tests with the label tsan. Uninstrumented libraries would raise false alarms.
phase_tsan() {
  await_ahead
  single configure-tsan configure tsan || return 1
  counted build/tsan tsan --build --jobs "$jobs"
}

# The sanitizers' phases build what they run, and report what does not build; this leaves them little to do.
ahead=
build_ahead() {
  configure asan && for label in unit sim fuzz; do run_label build/asan "$label" --build-only; done
  configure tsan && run_label build/tsan tsan --build-only
}
start_ahead() {
  case " ${phases[*]} " in *" asan "* | *" tsan "*) ;; *) return ;; esac
  [ -z "$ahead" ] || return
  set -m  # A process group of its own, which can be ended.
  (chrt --idle --pid 0 "$BASHPID" && build_ahead) >"$out/build-ahead.log" 2>&1 &
  ahead=$!
  set +m
  trap 'kill -- -"$ahead" 2>/dev/null' EXIT
}
await_ahead() { [ -z "$ahead" ] || wait "$ahead"; }

summary=()
for phase in "${phases[@]}"; do
  printf '\n==== %s\n' "$phase"
  started=$(date +%s.%N)
  case $phase in netns | e2e | kube) start_ahead ;; esac
  if "phase_$phase"; then verdict=ok; else verdict=FAILED; fi
  seconds=$(echo "$(date +%s.%N) $started" | awk '{printf "%.1f", $1 - $2}')
  summary+=("$(printf '%-8s %7s s  %s' "$phase" "$seconds" "$verdict")")
  if [ "$phase" = build ] && [ "$verdict" = FAILED ]; then break; fi
done

printf '\n'
printf '%s\n' "${summary[@]}"
awk '{ p += $2; f += $3; s += $4 }
     END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 || p == 0 }' "$out/counts"
