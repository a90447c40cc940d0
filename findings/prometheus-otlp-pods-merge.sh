#!/usr/bin/env bash
# Two pods that send the same metric by OTLP, each as its own resource, are one series, and every answer is 200.
# Prometheus 3.16 (Go module v0.316.0) with --web.enable-otlp-receiver, in a network namespace of its own. Needs root, iproute2, python3, and Go 1.26,
# which builds it in some minutes.
# guessed: what tells pods apart by the conventions (k8s.pod.name of the resource) tells series apart, or the second is refused as a duplicate.
# seen 2026-11-28: one series of job="s" with 100, 150, 260: the counters of both by turns, one point dropped; and no zero from the start time.
set -euo pipefail
T=$(mktemp -d) A=fa$$
PID=
cleanup() {
  if [ -n "$PID" ]; then kill "$PID" || :; wait "$PID" || :; fi 2>/dev/null
  ip netns del "$A" 2>/dev/null || :
  rm -rf "$T"
}
trap cleanup EXIT
(
  mkdir "$T/go"
  cd "$T/go"
  go mod init finding
  go get -tool github.com/prometheus/prometheus/cmd/prometheus@v0.316.0
  go build -o "$T/prometheus" github.com/prometheus/prometheus/cmd/prometheus
) >"$T/go.log" 2>&1 || { cat "$T/go.log"; exit 1; }
ip netns add "$A"
ip -n "$A" link set lo up
: >"$T/config.yml"
ip netns exec "$A" "$T/prometheus" --config.file="$T/config.yml" --storage.tsdb.path="$T/data" --web.listen-address=127.0.0.1:9090 \
  --web.enable-otlp-receiver --log.level=error 2>"$T/log" &
PID=$!
ip netns exec "$A" python3 - <<'END'
import json, sys, time
from urllib import parse, request

BASE = "http://127.0.0.1:9090"

def get(path, **parameters):
    with request.urlopen(BASE + path + "?" + parse.urlencode(parameters)) as answer:
        return answer.read().decode()

def expect(name, value, seen):
    print(f"{name}: {value}")
    if value != seen:
        sys.exit(f"CHANGED: {name} was {seen}")

for _ in range(150):
    try:
        get("/-/ready")
        break
    except OSError:
        time.sleep(0.2)
now = int(time.time()) - 60

def attribute(key, value):
    return {"key": key, "value": {"stringValue": value}}

def pod(name, second, value):
    """The counter of a pod, which started ten minutes ago."""
    point = {"startTimeUnixNano": str((now - 600) * 10**9), "timeUnixNano": str((now + second) * 10**9), "asInt": str(value)}
    points = {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [point]}
    metric = {"name": "x_bytes_total", "unit": "By", "sum": points}
    attributes = [attribute("service.name", "s"), attribute("k8s.pod.name", name)]
    return {"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": [metric]}]}

def write(*pods):
    body = json.dumps({"resourceMetrics": pods}).encode()
    with request.urlopen(request.Request(BASE + "/api/v1/otlp/v1/metrics", body, {"Content-Type": "application/json"})) as answer:
        return answer.status, answer.read()

expect("both pods", write(pod("a", 0, 100), pod("b", 0, 200)), (200, b""))
expect("again", write(pod("a", 15, 150), pod("b", 16, 260)), (200, b""))
found = json.loads(get("/api/v1/query", query="x_bytes_total[1h]", time=now + 30))["data"]["result"]
expect("series", [one["metric"] for one in found], [{"__name__": "x_bytes_total", "job": "s"}])
expect("values", [value for _, value in found[0]["values"]], ["100", "150", "260"])
END
