#!/usr/bin/env bash
# A port that is used again while conntrack still holds the last connection open: the reset of that one was lost on the way.
# Linux 6.18.44, conntrack 1.4.7 and nftables 1.0.6 of Debian 12 (x86-64). Needs root, iproute2, python3.
# guessed: the new SYNs count in the entry that is there, or in a new one, or as invalid; some counter has them.
# seen 2026-11-27: the entry stays as it was, no new one comes, `invalid` stays 0: SYNs pass and no counter of conntrack has them.
set -euo pipefail
T=$(mktemp -d) A=fa$$ B=fb$$
cleanup() { ip netns del "$A" 2>/dev/null || :; ip netns del "$B" 2>/dev/null || :; rm -rf "$T"; }
trap cleanup EXIT
(
  cd "$T"
  apt-get -qq -o APT::Sandbox::User=root download \
    conntrack=1:1.4.7-1+b2 libnetfilter-conntrack3=1.0.9-3 libnfnetlink0=1.0.2-2 \
    nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 libjansson4=2.14-2 libedit2=3.1-20221030-2 libmnl0=1.0.4-3
  for file in ./*.deb; do dpkg -x "$file" .; done
) >"$T/apt.log" 2>&1 || { cat "$T/apt.log"; exit 1; }
export LD_LIBRARY_PATH="$T/usr/lib/x86_64-linux-gnu"
a() { ip netns exec "$A" "$@"; }
b() { ip netns exec "$B" "$@"; }
expect() { # name, value, what was seen
  echo "$1: $2"
  [ "$2" = "$3" ] || { echo "CHANGED: $1 was $3"; exit 1; }
}
ip netns add "$A"
ip netns add "$B"
ip link add v0 netns "$A" type veth peer name v0 netns "$B"
ip -n "$A" addr add 192.0.2.1/24 dev v0
ip -n "$B" addr add 192.0.2.2/24 dev v0
ip -n "$A" link set v0 up
ip -n "$B" link set v0 up

b sysctl -qw net.netfilter.nf_conntrack_acct=1
ip netns exec "$B" python3 - >"$T/server" <<'END' &
import socket
listener = socket.create_server(("192.0.2.2", 7000))
print("bound", flush=True)
s, _ = listener.accept()
while True:
    s.sendall(s.recv(4096))
END
server=$!
cleanup_all() { kill "$server" 2>/dev/null || :; cleanup; }
trap cleanup_all EXIT
until grep -q bound "$T/server"; do sleep 0.1; done
b "$T/usr/sbin/nft" "table ip t {
  chain before { type filter hook prerouting priority raw; tcp dport 7000 tcp flags & (fin | syn | rst | ack) == syn counter; }
  chain on { type filter hook prerouting priority 0; ct state invalid; }
}"
# The reset is lost: here the client's own host drops it.
a "$T/usr/sbin/nft" "table ip t { chain out { type filter hook output priority 0; tcp flags rst drop; }; }"
state() { b "$T/usr/sbin/conntrack" -L -p tcp 2>/dev/null | tee /dev/stderr | grep -o 'packets=[0-9]*' | head -1 | cut -d= -f2; }
connect() { # seconds to wait for an answer
  a python3 - "$1" <<'END'
import socket, struct, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.bind(("192.0.2.1", 40000))
s.settimeout(float(sys.argv[1]))
try:
    s.connect(("192.0.2.2", 7000))
    s.sendall(b"x" * 100)
    s.recv(100)
except TimeoutError:
    print("  no answer")
s.close()
END
}
syns() { b "$T/usr/sbin/nft" list ruleset | grep -o 'counter packets [0-9]*' | cut -d' ' -f3; }
connect 5
first=$(state)
expect "SYNs of the first connection" "$(syns)" 1
connect 2.5
after=$(state)
more=$(($(syns) - 1))
echo "SYNs that came since: $more"
[ "$more" -ge 1 ] || { echo "CHANGED: there were some"; exit 1; }
expect "packets of the entry that conntrack counted since" "$((after - first))" 0
expect "entries" "$(b "$T/usr/sbin/conntrack" -L -p tcp 2>/dev/null | wc -l)" 1
expect "invalid" "$(b "$T/usr/sbin/conntrack" -S | grep -o ' invalid=[0-9]*' | cut -d= -f2 | awk '{ n += $1 } END { print n }')" 0
