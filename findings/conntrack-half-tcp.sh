#!/usr/bin/env bash
# Where conntrack sees one direction of TCP only, which one decides between everything and almost nothing being counted.
# Linux 6.18.44, conntrack 1.4.7 and nftables 1.0.6 of Debian 12 (x86-64). Needs root, iproute2, python3.
# guessed: with nf_conntrack_tcp_loose=1, the default, half a connection is picked up and counted in its one direction, whichever that is.
# seen 2026-11-27: only client to server: 60 of a million bytes, the rest is INVALID; only server to client: all but the SYN-ACK.
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
transfer() { # a million bytes each way
  ip netns exec "$B" python3 - >"$T/server" <<'END' &
import socket
listener = socket.create_server(("192.0.2.2", 7000))
listener.settimeout(20)
print("bound", flush=True)
s, _ = listener.accept()
while s.recv(65536):
    pass
s.sendall(b"y" * 1000000)
END
  local server=$!
  until grep -q bound "$T/server"; do sleep 0.1; done
  a python3 - <<'END'
import socket
s = socket.create_connection(("192.0.2.2", 7000))
s.sendall(b"x" * 1000000)
s.shutdown(socket.SHUT_WR)
total = 0
while data := s.recv(65536):
    total += len(data)
print("  both directions passed, back came", total)
END
  wait "$server"
}
hide() { # hook, port: packets that conntrack is not to see
  b "$T/usr/sbin/conntrack" -F 2>/dev/null
  b "$T/usr/sbin/nft" "flush ruleset
    table ip t {
      chain hidden { type filter hook $1 priority raw; tcp $2 7000 notrack; }
      chain on { type filter hook prerouting priority 0; ct state invalid counter; }
    }"
}
counted() { b "$T/usr/sbin/conntrack" -L 2>/dev/null | tee /dev/stderr | grep -o 'bytes=[0-9]*' | head -1 | cut -d= -f2; }

hide output sport
transfer
expect "only client to server: bytes counted" "$(counted)" 60
invalid=$(b "$T/usr/sbin/nft" list ruleset | grep -o 'bytes [0-9]*' | cut -d' ' -f2)
echo "only client to server: bytes that are invalid: $invalid"
[ "$invalid" -gt 1000000 ] || { echo "CHANGED: was over 1000000"; exit 1; }
hide prerouting dport
transfer
bytes=$(counted)
echo "only server to client: bytes counted: $bytes"
[ "$bytes" -gt 1000000 ] || { echo "CHANGED: was over 1000000"; exit 1; }
