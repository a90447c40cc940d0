#!/usr/bin/env bash
# ICMP errors belong to a connection (ct state related), but no counter of any entry has their bytes.
# Linux 6.18.44, conntrack 1.4.7 and nftables 1.0.6 of Debian 12 (x86-64). Needs root, iproute2, python3.
# guessed: an error about a connection counts in that connection's reply direction, or has an entry of its own, as an echo has.
# seen 2026-11-27: five errors of 576 bytes, all "related"; the only entry has packets=0 bytes=0 as its reply and stays [UNREPLIED].
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

a sysctl -qw net.netfilter.nf_conntrack_acct=1
b sysctl -qw net.ipv4.icmp_ratelimit=0
a "$T/usr/sbin/nft" 'table ip t { chain p { type filter hook prerouting priority 0; ct state related counter; }; }'
a python3 - <<'END'
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.0.2.1", 4000))
for _ in range(5):
    s.sendto(b"x" * 1000, ("192.0.2.2", 9))  # nobody has that port
    time.sleep(0.1)
END
a "$T/usr/sbin/conntrack" -L 2>/dev/null | tee "$T/table"
expect "errors seen" "$(a "$T/usr/sbin/nft" list table ip t | grep -o 'packets [0-9]* bytes [0-9]*')" "packets 5 bytes 2880"
expect "entries" "$(wc -l <"$T/table")" 1
expect "their reply" "$(grep -o 'UNREPLIED.*' "$T/table" | grep -o 'packets=[0-9]* bytes=[0-9]*')" "packets=0 bytes=0"
