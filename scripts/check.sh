#!/usr/bin/env bash
# What a careful author runs before a change lands: scripts/test.sh, then clang-format and clang-tidy on the files that
# differ from main, then what share of their code the fuzz corpora run, then a minute of fuzzing per target.
# Usage: scripts/check.sh [BASE]; FUZZ_SECONDS=60 by default.
#        scripts/check.sh --bench [COMMIT]: instead of all that, the micro-benchmarks against the last commit
# (bench/micro.py). Says what changed beyond noise and fails for none of it: leave the machine alone meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = --bench ]; then
  shift
  exec /usr/bin/python3 bench/micro.py ${1:+--against "$1"}
fi

base=${1:-main}
fuzz_seconds=${FUZZ_SECONDS:-60}
failed=0
say() { printf '\n==== %s\n' "$*"; }

scripts/test.sh || failed=1

mapfile -t changed < <(git diff --name-only --diff-filter=d "$(git merge-base HEAD "$base")" -- '*.cc' '*.h' ':!bpf')
if [ "${#changed[@]}" -gt 0 ]; then
  say "clang-format, changed lines only (a report, no verdict)"
  git diff -U0 "$(git merge-base HEAD "$base")" -- "${changed[@]}" | clang-format-diff-19 -p1 || true

  say "clang-tidy on ${#changed[@]} changed files"
  cmake --preset debug >/dev/null
  mapfile -t sources < <(printf '%s\n' "${changed[@]}" | grep '\.cc$' || true)
  # Precompiled headers are clang's own format: clang-tidy of the same version reads them once they are built. What is
  # generated must be there too.
  cmake --build build/debug --target heddle_pch heddle_proto heddle_bpf_skeleton >/dev/null
  for source in "${sources[@]}"; do clang-tidy-19 --quiet -p build/debug "$source" || failed=1; done
fi

say "lines that the fuzz corpora run"
cmake --preset coverage >/dev/null
scripts/fuzz_coverage.py build/coverage || failed=1

say "fuzzing, $fuzz_seconds s per target"
cmake --preset fuzz >/dev/null
cmake --build build/fuzz --target canary_fuzz $(cut -d" " -f1 build/fuzz/fuzz_corpora.txt)
if build/fuzz/bin/canary_fuzz -runs=10000000 -max_total_time=60 >/dev/null 2>&1; then
  echo "canary_fuzz found nothing: the fuzzer is blind"
  failed=1
fi
while read -r target corpus _; do
  work=build/fuzz/work/$target
  mkdir -p "$work"
  echo "-- $target"
  build/fuzz/bin/"$target" -max_total_time="$fuzz_seconds" -print_final_stats=1 -artifact_prefix="$work/" "$work" \
    "$corpus" >"$work.log" 2>&1 || { tail -n 40 "$work.log"; failed=1; }
  grep -E 'number_of_executed_units|cov:' "$work.log" | tail -n 2 || true
done <build/fuzz/fuzz_corpora.txt

exit "$failed"
