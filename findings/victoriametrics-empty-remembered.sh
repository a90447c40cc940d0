#!/usr/bin/env bash
# A selector that found nothing goes on finding nothing after its series has come, while another selector already finds it.
# VictoriaMetrics 1.79.5 of Debian 12 (x86-64), in a network namespace of its own. Needs root, iproute2, python3.
# guessed: what /api/v1/export or a query with nocache=1 answers is what is stored at that moment.
# seen 2026-11-27: asked before the first write, `new` stays empty; {__name__="new",no=""}, which means the same, has the sample.
# It shows about ten seconds later.
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

def values(selector):
    found = json.loads(get("/api/v1/query", query=selector, nocache=1))["data"]["result"]
    exported = get("/api/v1/export", **{"match[]": selector}).split("\n")
    return [one["value"][1] for one in found], [json.loads(line)["values"] for line in exported if line]

for attempt in range(5):
    name = f"new{attempt}"
    before = values(name)
    status = write(series({"__name__": name}, (1, now - 5000)))[0]
    for again in range(50):
        # A label that no series has, another one each time: nothing can be remembered of that.
        other = values(f'{{__name__="{name}",no{again}=""}}')
        if other == (["1"], [[1]]):
            break
        time.sleep(0.1)
    after = values(name)
    if after == ([], []):
        break
    print("what was remembered was just over: again")
expect("before the write: query, export", before, ([], []))
expect("write", status, 204)
expect("afterwards, by another selector", other, (["1"], [[1]]))
expect("afterwards, by the same selector", after, ([], []))
for _ in range(100):
    if values(name) == (["1"], [[1]]):
        break
    time.sleep(0.5)
expect("later, by the same selector", values(name), (["1"], [[1]]))
END
