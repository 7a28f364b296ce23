#!/bin/bash
# One of GENERATORS that make one run against the stack, through HAProxy. Their numbers follow from their addresses: the
# name of the service has all of them. The first one leads, and brings the parts together.
set -euo pipefail
# Its address, once: hundreds of devices that reconnect at once are more than the DNS of a network of containers takes.
target="$(getent ahostsv4 haproxy | head -1 | cut -d' ' -f1):7800"
run=(fracas load "$SCENARIO" --seed "$SEED" --target "$target" --config /etc/fracas/cluster.toml --without-faults)
for node in gateway-1 gateway-2 store-1 store-2 notifier; do run+=(--target-metrics "$node:9100"); done

if [ "$GENERATORS" = 1 ]; then
  exec "${run[@]}" --metrics 0.0.0.0:9101 --out /var/lib/fracas/run
fi

addresses() { getent ahostsv4 load | cut -d' ' -f1 | sort -u; }
waited=0
until [ "$(addresses | wc -l)" = "$GENERATORS" ]; do
  waited=$((waited + 1))
  if [ "$waited" -gt 120 ]; then
    echo "there are not $GENERATORS generators: start them with --scale load=$GENERATORS" >&2
    exit 64
  fi
  sleep 1
done
lead="$(addresses | head -1)"
own="$(hostname --ip-address)"
number="$(addresses | grep --line-number --line-regexp --fixed-strings "$own" | cut -d: -f1)"
number=$((number - 1))
part=/var/lib/fracas/part
rm -rf "$part-$number"
status=0
"${run[@]}" --agent "$number/$GENERATORS" --lead "$lead:7900" --out "$part-$number" || status=$?
if [ "$number" != 0 ]; then exit "$status"; fi

# The others write the rest of their parts.
parts=()
for other in $(seq 0 $((GENERATORS - 1))); do parts+=("$part-$other"); done
for _ in $(seq 30); do
  there=0
  for folder in "${parts[@]}"; do if [ -e "$folder/agent.json" ]; then there=$((there + 1)); fi; done
  if [ "$there" = "$GENERATORS" ]; then break; fi
  sleep 1
done
exec fracas merge "${parts[@]}" --out /var/lib/fracas/run
