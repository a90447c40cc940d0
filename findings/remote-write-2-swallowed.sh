#!/usr/bin/env bash
# Two servers that know remote write 1.0 only answer 204 to a 2.0 request and store nothing of it.
# Prometheus 2.42.0 and VictoriaMetrics 1.79.5 of Debian 12 (x86-64), in a network namespace of its own. Needs root, iproute2, python3.
# guessed: 415 or 400, since the content type names another message (proto=io.prometheus.write.v2.Request) and so does the version header.
# seen 2026-11-27: 204 from both, no series afterwards. What a 2.0 receiver adds, X-Prometheus-Remote-Write-Samples-Written, is missing.
# (All fields of the new message have numbers that are unknown or skipped in the old one.)
set -euo pipefail
T=$(mktemp -d) A=fa$$
PIDS=()
cleanup() {
  for pid in "${PIDS[@]}"; do kill "$pid" || :; wait "$pid" || :; done 2>/dev/null
  ip netns del "$A" 2>/dev/null || :
  rm -rf "$T"
}
trap cleanup EXIT
(
  cd "$T"
  apt-get -qq -o APT::Sandbox::User=root download \
    prometheus=2.42.0+ds-5+deb12u1 victoria-metrics=1.79.5+ds1-2+b5
  for file in ./*.deb; do dpkg -x "$file" .; done
) >"$T/apt.log" 2>&1 || { cat "$T/apt.log"; exit 1; }
ip netns add "$A"
ip -n "$A" link set lo up
echo 'global: {}' >"$T/p.yml"
ip netns exec "$A" "$T/usr/bin/prometheus" --config.file="$T/p.yml" --storage.tsdb.path="$T/p" --log.level=error \
  --web.listen-address=127.0.0.1:9090 --web.enable-remote-write-receiver 2>"$T/log" &
PIDS+=($!)
ip netns exec "$A" "$T/usr/bin/victoria-metrics" -storageDataPath="$T/v" -httpListenAddr=127.0.0.1:8428 \
  -loggerLevel=ERROR 2>"$T/log2" &
PIDS+=($!)
ip netns exec "$A" python3 - <<'END'
import json, struct, sys, time
from urllib import error, parse, request


def number(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + number(n >> 7)

def field(tag, body):
    return number(tag << 3 | 2) + number(len(body)) + body

def sample(value, ms):
    return field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + number(ms))

def series(labels, *samples):
    """A series of a remote-write 1.0 request."""
    pairs = [field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(labels.items())]
    return field(1, b"".join(pairs + [sample(*one) for one in samples]))

def write(body, kind="application/x-protobuf", version="0.1.0"):
    assert len(body) <= 65536  # one literal of snappy's block format
    packed = number(len(body)) + b"\xf4" + struct.pack("<H", len(body) - 1) + body
    headers = {"Content-Type": kind, "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": version}
    try:
        with request.urlopen(request.Request(BASE + "/api/v1/write", packed, headers)) as answer:
            return answer.status, answer.read().decode().strip(), answer.headers
    except error.HTTPError as refused:
        return refused.code, refused.read().decode().strip(), refused.headers

def get(path, **parameters):
    with request.urlopen(BASE + path + "?" + parse.urlencode(parameters)) as answer:
        return answer.read().decode()

def expect(name, value, seen):
    print(f"{name}: {value}")
    if value != seen:
        sys.exit(f"CHANGED: {name} was {seen}")

now = int(time.time()) * 1000

# Request of 2.0: symbols = 4, timeseries = 5 {labels_refs = 1, samples = 2}
symbols = ["", "__name__", "swallowed"]
second = b"".join(field(4, s.encode()) for s in symbols) + field(5, field(1, b"\x01\x02") + sample(5, now))
for name, BASE in ("Prometheus", "http://127.0.0.1:9090"), ("VictoriaMetrics", "http://127.0.0.1:8428"):
    for _ in range(150):
        try:
            get("/-/ready" if name == "Prometheus" else "/health")
            break
        except OSError:
            time.sleep(0.2)
    status, _, headers = write(second, "application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0")
    expect(f"{name}, 2.0: status", status, 204)
    expect(f"{name}, 2.0: header of written samples", headers.get("X-Prometheus-Remote-Write-Samples-Written"), None)
    expect(f"{name}, 1.0: status", write(series({"__name__": "taken"}, (5, now)))[0], 204)
    if name == "VictoriaMetrics":
        get("/internal/force_flush")
    names = json.loads(get("/api/v1/label/__name__/values"))["data"]
    expect(f"{name}: metrics stored", names, ["taken"])
END
