#!/usr/bin/env bash
# Good UDP-Lite between two veth ends is INVALID to conntrack, because nobody has computed its checksum yet.
# Linux 6.18.44, conntrack 1.4.7 and nftables 1.0.6 of Debian 12 (x86-64). Needs root, iproute2, python3.
# guessed: a protocol that conntrack knows is tracked like UDP; a checksum that the sender left to the hardware is taken as good.
# seen 2026-11-27: with nf_conntrack_checksum=1, the default, the datagram arrives, is ct state invalid and has no entry; with 0 it has one.
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

b "$T/usr/sbin/nft" 'table ip t { chain p { type filter hook prerouting priority 0; ct state invalid counter; }; }'
invalid() { b "$T/usr/sbin/nft" list table ip t | grep -o 'packets [0-9]*'; }
entries() { b sysctl -n net.netfilter.nf_conntrack_count; }
send() { # protocol: one datagram that must arrive
  ip netns exec "$B" python3 - "$1" >"$T/received" <<'END' &
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, int(sys.argv[1]))
s.bind(("192.0.2.2", 7000))
s.settimeout(20)
print("bound", flush=True)
print("received", len(s.recv(1000)), flush=True)
END
  local receiver=$!
  until grep -q bound "$T/received"; do sleep 0.1; done
  a python3 -c 'import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM, int(sys.argv[1])).sendto(b"x" * 100, ("192.0.2.2", 7000))' "$1"
  wait "$receiver"
  expect "  protocol $1" "$(tail -1 "$T/received")" "received 100"
}

send 17
expect "UDP, checksum=1: entries" "$(entries)" 1
send 136
expect "UDP-Lite, checksum=1: entries" "$(entries)" 1
expect "UDP-Lite, checksum=1: invalid" "$(invalid)" "packets 1"
b sysctl -qw net.netfilter.nf_conntrack_checksum=0
send 136
expect "UDP-Lite, checksum=0: entries" "$(entries)" 2
expect "UDP-Lite, checksum=0: invalid" "$(invalid)" "packets 1"
