#!/usr/bin/env bash
# Runs the event daemon's benches: `quick` (some minutes) or `full` (an hour). Reports stand in
# target/tmp/benchmark_results.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-quick}" in
  quick) export QUICK=1 ;;
  full) ;;
  *) echo "usage: $0 quick|full" >&2; exit 2 ;;
esac
for bench in daemon_performance load_testing memory_profiling comparison_analysis scalability_testing; do
  echo "== $bench"
  cargo bench --bench "$bench"
done
