#!/usr/bin/env bash
# `promtool check metrics` finds nothing in a page that has one series twice, of which Prometheus itself keeps the first and drops the other.
# Prometheus and promtool 2.42.0 of Debian 12 (x86-64), in a network namespace of its own. Needs root, iproute2, python3.
# guessed: the checker complains of what the server does not take, or the server fails the scrape (up 0).
# seen 2026-11-27: promtool says nothing and exits 0; scraped, up is 1, two samples are counted as scraped, and the second value is nowhere.
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
    prometheus=2.42.0+ds-5+deb12u1
  for file in ./*.deb; do dpkg -x "$file" .; done
) >"$T/apt.log" 2>&1 || { cat "$T/apt.log"; exit 1; }
ip netns add "$A"
ip -n "$A" link set lo up
printf '# HELP jobs_total Jobs done.\n# TYPE jobs_total counter\njobs_total{kind="a"} 1\njobs_total{kind="a"} 2\n' >"$T/metrics"
cat "$T/metrics"
export T
"$T/usr/bin/promtool" check metrics <"$T/metrics" || { echo "CHANGED: promtool found something"; exit 1; }
echo "promtool: nothing to say"
cat >"$T/p.yml" <<'END'
scrape_configs:
  - {job_name: page, scrape_interval: 1s, static_configs: [{targets: ["127.0.0.1:9100"]}]}
END
ip netns exec "$A" "$T/usr/bin/prometheus" --config.file="$T/p.yml" --storage.tsdb.path="$T/data" --log.level=error \
  --web.listen-address=127.0.0.1:9090 2>"$T/log" &
PID=$!
ip netns exec "$A" python3 - <<'END'
import json, struct, sys, time
from urllib import error, parse, request

BASE = "http://127.0.0.1:9090"

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
        get("/-/ready")
        break
    except OSError:
        time.sleep(0.2)
now = int(time.time()) * 1000

def query(text):
    return {one["metric"]["__name__"]: one["value"][1] for one in json.loads(get("/api/v1/query", query=text))["data"]["result"]}

import http.server, os, threading

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        with open(os.environ["T"] + "/metrics", "rb") as page:
            self.wfile.write(page.read())
    def log_message(self, *_):
        pass

threading.Thread(target=http.server.HTTPServer(("127.0.0.1", 9100), Page).serve_forever, daemon=True).start()
for _ in range(100):
    if query("up").get("up") == "1":
        break
    time.sleep(0.2)
expect("scraped", query('{__name__=~"up|scrape_samples_scraped|scrape_samples_post_metric_relabeling"}'),
       {"up": "1", "scrape_samples_scraped": "2", "scrape_samples_post_metric_relabeling": "2"})
expect("stored", query("jobs_total"), {"jobs_total": "1"})
END
