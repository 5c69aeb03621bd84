#!/usr/bin/env bash
# Runs the event daemon's benches: `quick` (some minutes) or `full` (an hour). Reports stand in
# target/tmp/benchmark_results. Further words go to cargo, as in `quick --profile quick`.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-quick}" in
  quick) export QUICK=1 ;;
  full) unset QUICK ;;
  *) echo "usage: $0 quick|full [CARGO OPTIONS]" >&2; exit 2 ;;
esac
for bench in daemon_performance load_testing memory_profiling comparison_analysis scalability_testing; do
  echo "== $bench"
  cargo bench "${@:2}" --bench "$bench"
  echo
done
