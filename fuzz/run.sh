#!/usr/bin/env bash
# Runs one fuzz target: run.sh PROGRAM SECONDS. A line of figures if nothing is found; else all that
# was said, the target, the input that did it, and status 1.
set -euo pipefail
program=$(realpath "$1")
target=$(basename "$program")
cd "$(dirname "$0")"
mkdir -p "corpus/$target" "artifacts/$target"
log=artifacts/$target/log

# 10 s for an input that takes microseconds, 1 GB where 40 MB are used: whatever needs more is a
# finding. 8192 bytes are more than any datagram, record or seed has.
status=0
"$program" "corpus/$target" "seeds/$target" -artifact_prefix="artifacts/$target/" \
	-max_total_time="$2" -timeout=10 -rss_limit_mb=1024 -max_len=8192 >"$log" 2>&1 || status=$?
if [ "$status" = 0 ]; then
	# "#1234	DONE   cov: 56 ft: 78 corp: ..."
	read -r runs _ _ edges _ < <(grep -a $'\tDONE ' "$log")
	echo "fuzz: $target: ${runs#\#} executions, $edges edges, nothing found"
	exit
fi
tail -n 80 "$log" >&2
input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
echo "fuzz: $target failed with status $status, by fuzz/${input:-$log}" >&2
[ -n "$input" ] || echo "fuzz: no input was written, as when the stack is full: 'make fuzz-asan TARGETS=$target' writes it" >&2
exit 1
