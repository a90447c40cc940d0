#!/usr/bin/env bash
# nf_conntrack_acct is read when a connection begins, not when a packet passes: old connections never count, and counting ones go on.
# Linux 6.18.44, conntrack 1.4.7 and nftables 1.0.6 of Debian 12 (x86-64). Needs root, iproute2, python3.
# guessed: switched on, every packet from now on is counted; switched off, none is.
# seen 2026-11-27: switched on, a connection from before has no counters however much it sends; switched off, one from between counts on.
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
udp() { # first source port, how many: a datagram from each
  a python3 - "$@" <<'END'
import socket, sys
for port in range(int(sys.argv[1]), int(sys.argv[1]) + int(sys.argv[2])):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", port))
    s.sendto(b"x" * 100, ("127.0.0.1", 9))
END
}
ip netns add "$A"
ip -n "$A" link set lo up
a "$T/usr/sbin/nft" 'table ip t { chain on { ct mark 1; }; }' # a namespace tracks once a rule asks

counters() { a "$T/usr/sbin/conntrack" -L 2>/dev/null | grep "sport=$1 " | grep -o 'packets=[0-9]*' | head -1 || :; }

a sysctl -qw net.netfilter.nf_conntrack_acct=0
udp 4001 1
a sysctl -qw net.netfilter.nf_conntrack_acct=1
udp 4001 1
udp 4001 1
udp 4002 1
expect "accounting on, the connection from before" "$(counters 4001)" ""
expect "accounting on, a new connection" "$(counters 4002)" packets=1
a sysctl -qw net.netfilter.nf_conntrack_acct=0
udp 4002 1
udp 4002 1
expect "accounting off, two packets later" "$(counters 4002)" packets=3
