#!/usr/bin/env bash
# increase() counts the first value of a new series in full or not at all, by how it compares with the step behind it.
# VictoriaMetrics 1.79.5 of Debian 12 (x86-64), in a network namespace of its own. Needs root, iproute2, python3.
# guessed: the increase between two samples is their difference (or an extrapolation of it, as in Prometheus), whatever the first one is.
# seen 2026-11-27: 1000 then 1500 gives 1500, the first value counted too; 10000 then 10500 gives 500.
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
  cd "$T"
  apt-get -qq -o APT::Sandbox::User=root download \
    victoria-metrics=1.79.5+ds1-2+b5
  for file in ./*.deb; do dpkg -x "$file" .; done
) >"$T/apt.log" 2>&1 || { cat "$T/apt.log"; exit 1; }
ip netns add "$A"
ip -n "$A" link set lo up
ip netns exec "$A" "$T/usr/bin/victoria-metrics" -storageDataPath="$T/data" -httpListenAddr=127.0.0.1:8428 \
  -loggerLevel=ERROR 2>"$T/log" &
PID=$!
ip netns exec "$A" python3 - <<'END'
import json, struct, sys, time
from urllib import error, parse, request

BASE = "http://127.0.0.1:8428"

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

for _ in range(150):
    try:
        get("/health")
        break
    except OSError:
        time.sleep(0.2)
now = int(time.time()) * 1000

for first, seen in (1000, "1500"), (4000, "4500"), (10000, "500"), (1000000, "500"):
    name = f"from{first}"
    write(series({"__name__": name}, (first, now - 20000), (first + 500, now - 10000)))
    get("/internal/force_flush")
    answer = json.loads(get("/api/v1/query", query=f"increase({name}[1m])", time=now // 1000, nocache=1))
    expect(f"{first}, then {first + 500}: increase", answer["data"]["result"][0]["value"][1], seen)
END
