#!/usr/bin/env bash
# What describes the sender of OTLP metrics is a label of every series: an upgrade that changes service.version begins another series.
# VictoriaMetrics 1.151 (Go module), in a network namespace of its own. Needs root, iproute2, python3, and Go 1.26, which builds it.
# guessed: as in Prometheus, attributes of the resource and of the scope describe the sender, beside the series (target_info).
# seen 2026-11-28: service.version is a label, so is scope.name, and scope.version="unknown" where there is none; a counter that goes on from 100
# to 150 over an upgrade is two series of one sample each.
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
  go get -tool github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics@v1.151.0
  go build -o "$T/victoria-metrics" github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics
) >"$T/go.log" 2>&1 || { cat "$T/go.log"; exit 1; }
ip netns add "$A"
ip -n "$A" link set lo up
ip netns exec "$A" "$T/victoria-metrics" -storageDataPath="$T/data" -httpListenAddr=127.0.0.1:8428 -loggerLevel=ERROR 2>"$T/log" &
PID=$!
ip netns exec "$A" python3 - <<'END'
import json, struct, sys, time
from urllib import parse, request

BASE = "http://127.0.0.1:8428"

def number(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + number(n >> 7)

def field(tag, body):
    return number(tag << 3 | 2) + number(len(body)) + body

def attribute(tag, key, value):
    return field(tag, field(1, key.encode()) + field(2, field(1, value.encode())))

def request_of(version, ms, value):
    """An ExportMetricsServiceRequest with one cumulative sum."""
    times = b"\x11" + struct.pack("<Q", (now - 600000) * 10**6) + b"\x19" + struct.pack("<Q", ms * 10**6)
    point = times + b"\x31" + struct.pack("<q", value)
    total = field(1, point) + b"\x10\x02\x18\x01"
    metric = field(1, b"x_bytes_total") + field(3, b"By") + field(7, total)
    resource = attribute(1, "service.name", "s") + attribute(1, "service.version", version)
    return field(1, field(1, resource) + field(2, field(1, field(1, b"lib")) + field(2, metric)))

def get(path, **parameters):
    with request.urlopen(BASE + path + "?" + parse.urlencode(parameters)) as answer:
        return answer.read().decode()

def write(body):
    asked = request.Request(BASE + "/opentelemetry/v1/metrics", body, {"Content-Type": "application/x-protobuf"})
    with request.urlopen(asked) as answer:
        return answer.status

def expect(name, value, seen):
    print(f"{name}: {value}")
    if value != seen:
        sys.exit(f"CHANGED: {name} was {seen}")

for _ in range(150):
    try:
        get("/health")
        break
    except OSError:
        time.sleep(0.2)
now = int(time.time()) * 1000
expect("before the upgrade", write(request_of("1.0", now - 30000, 100)), 200)
expect("after it", write(request_of("1.1", now - 15000, 150)), 200)
get("/internal/force_flush")
lines = [json.loads(line) for line in get("/api/v1/export", **{"match[]": "x_bytes_total"}).split("\n") if line]
lines.sort(key=lambda one: one["timestamps"])
expect("values", [one["values"] for one in lines], [[100], [150]])
expect("labels", lines[1]["metric"], {
    "__name__": "x_bytes_total", "service.name": "s", "service.version": "1.1", "scope.name": "lib", "scope.version": "unknown",
})
END
