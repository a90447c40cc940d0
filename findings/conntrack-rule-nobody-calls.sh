#!/usr/bin/env bash
# A namespace tracks nothing until a rule mentions ct; one in a chain that nobody calls is enough, and only for its own address family.
# Linux 6.18.44, conntrack 1.4.7 and nftables 1.0.6 of Debian 12 (x86-64). Needs root, iproute2, python3.
# guessed: with nf_conntrack in the kernel every namespace tracks, or at least one whose table is listed; a rule works when a packet meets it.
# seen 2026-11-27: no entries without a rule; with `ct mark 1` in a chain of `table ip` without a hook IPv4 has entries and IPv6 none.
# Deleting the rule ends it again: what comes then has no entry.
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

udp() { # port
  a python3 - "$1" <<'END'
import socket, sys
for family, address in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((address, int(sys.argv[1])))
    s.sendto(b"x", (address, 9))
END
}
entries() { a "$T/usr/sbin/conntrack" -L -f "$1" 2>/dev/null | grep -c "sport=$2 " || :; }

udp 4001
expect "no rule: IPv4 entries" "$(entries ipv4 4001)" 0
expect "no rule: IPv6 entries" "$(entries ipv6 4001)" 0
udp 4002
expect "listed before, still no rule: IPv4 entries" "$(entries ipv4 4002)" 0
a "$T/usr/sbin/nft" 'table ip t { chain nobody { ct mark 1; }; }'
a "$T/usr/sbin/nft" list ruleset
udp 4003
expect "a rule in a chain that nobody calls: IPv4 entries" "$(entries ipv4 4003)" 1
expect "a rule in a chain that nobody calls: IPv6 entries" "$(entries ipv6 4003)" 0
a "$T/usr/sbin/nft" delete table ip t
udp 4004
expect "rule deleted: IPv4 entries" "$(entries ipv4 4004)" 0
