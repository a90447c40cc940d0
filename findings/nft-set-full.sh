#!/usr/bin/env bash
# In a rule that adds to a full nftables set, everything behind the add is skipped without a word, and packets go on as if all were well.
# Linux 6.18.44, nftables 1.0.6 of Debian 12 (x86-64). Needs root, iproute2, python3.
# guessed: a set that is full is an error somewhere (dmesg, a counter, nft monitor), or at least the rest of the rule is carried out.
# seen 2026-11-27: a set of size 3, ten senders: the element counters have 3 packets, a counter behind the add 3, one before it 10.
set -euo pipefail
T=$(mktemp -d) A=fa$$
cleanup() { ip netns del "$A" 2>/dev/null || :; rm -rf "$T"; }
trap cleanup EXIT
(
  cd "$T"
  apt-get -qq -o APT::Sandbox::User=root download \
    nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 libjansson4=2.14-2 libedit2=3.1-20221030-2 \
    libmnl0=1.0.4-3
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

a "$T/usr/sbin/nft" 'table ip t {
  set senders { type inet_service; size 3; flags dynamic; }
  chain o {
    type filter hook output priority 0
    udp dport 9 counter comment "before"
    udp dport 9 add @senders { udp sport counter } counter comment "behind"
    udp dport 9 counter comment "next rule"
  }
}'
udp 4000 10
a "$T/usr/sbin/nft" list ruleset
packets() { a "$T/usr/sbin/nft" list chain ip t o | grep "\"$1\"" | grep -o 'counter packets [0-9]*' | cut -d' ' -f3; }
expect "before the add" "$(packets before)" 10
expect "behind it, in the same rule" "$(packets behind)" 3
expect "in the next rule" "$(packets 'next rule')" 10
expect "in the set" "$(a "$T/usr/sbin/nft" list set ip t senders | grep -o 'counter packets' | wc -l)" 3
