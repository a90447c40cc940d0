#!/usr/bin/env bash
# What conntrack counts as one packet may be ten on the wire, and their headers are missing from the bytes; it depends on the link.
# Linux 6.18.44, conntrack 1.4.7 and nftables 1.0.6 of Debian 12 (x86-64). Needs root, iproute2, python3.
# guessed: packets and bytes of an entry are those of the wire, whatever the links on the way offload.
# seen 2026-11-27: ten datagrams of 1,000 bytes by one send (UDP_SEGMENT): packets=1 bytes=10028; packets=10 bytes=10280 where the link splits.
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
b "$T/usr/sbin/nft" 'table ip t { chain on { ct mark 1; }; }' # a namespace tracks once a rule asks
send() { # port
  ip netns exec "$B" python3 - "$1" >"$T/received" <<'END' &
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.0.2.2", int(sys.argv[1])))
s.settimeout(20)
print("bound", flush=True)
print("datagrams of", *[len(s.recv(65536)) for _ in range(10)], flush=True)
END
  local receiver=$!
  until grep -q bound "$T/received"; do sleep 0.1; done
  a python3 - "$1" <<'END'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
s.sendto(b"x" * 10000, ("192.0.2.2", int(sys.argv[1])))
END
  wait "$receiver"
  tail -1 "$T/received"
  b "$T/usr/sbin/conntrack" -L 2>/dev/null | grep "dport=$1 " | grep -o 'packets=[0-9]* bytes=[0-9]*' | head -1 >"$T/counted"
}

send 7001
expect "counted by the receiver's conntrack" "$(cat "$T/counted")" "packets=1 bytes=10028"
ip -n "$A" link set v0 gso_max_segs 1
send 7002
expect "counted where the sender's link takes no super-packets" "$(cat "$T/counted")" "packets=10 bytes=10280"
