#!/usr/bin/env bash
# The columns insert= and found= of `conntrack -S` stay 0 while connections are made, and packets that are not tracked move nothing at all.
# Linux 6.18.44, conntrack 1.4.7 and nftables 1.0.6 of Debian 12 (x86-64). Needs root, iproute2, python3.
# guessed: insert= counts new connections, found= the packets of known ones, and some column counts what a notrack rule lets by.
# seen 2026-11-27: 50 connections of 2 packets each: insert=0 found=0. 50 untracked datagrams: no column of any CPU changes.
set -euo pipefail
T=$(mktemp -d) A=fa$$
cleanup() { ip netns del "$A" 2>/dev/null || :; rm -rf "$T"; }
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
expect() { # name, value, what was seen
  echo "$1: $2"
  [ "$2" = "$3" ] || { echo "CHANGED: $1 was $3"; exit 1; }
}
ip netns add "$A"
ip -n "$A" link set lo up
a "$T/usr/sbin/nft" 'table ip t { chain on { ct mark 1; }; }' # a namespace tracks once a rule asks

statistics() { a "$T/usr/sbin/conntrack" -S; }
sum() { statistics | grep -o "\b$1=[0-9]*" | awk -F= "{ total += \$2 } END { print total }"; }
udp() { # first source port: 50 connections of two datagrams each, to a port that somebody has open
  a python3 - "$1" <<'END'
import socket, sys
there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
there.bind(("127.0.0.1", 9000))
for port in range(int(sys.argv[1]), int(sys.argv[1]) + 50):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", port))
    s.sendto(b"x", ("127.0.0.1", 9000))
    s.sendto(b"x", ("127.0.0.1", 9000))
END
}

udp 20000
expect "connections in the table" "$(a sysctl -n net.netfilter.nf_conntrack_count)" 50
statistics
expect "insert" "$(sum insert)" 0
expect "found" "$(sum found)" 0

a "$T/usr/sbin/nft" 'table ip n { chain o { type filter hook output priority raw; udp sport 30000-30049 counter notrack; }; }'
statistics >"$T/before"
udp 30000
expect "packets that were not tracked" "$(a "$T/usr/sbin/nft" list table ip n | grep -o 'packets [0-9]*')" "packets 100"
expect "connections in the table" "$(a sysctl -n net.netfilter.nf_conntrack_count)" 50
statistics >"$T/after"
expect "lines of the statistics that differ" "$(diff "$T/before" "$T/after" | grep -c '^[<>]' || :)" 0
