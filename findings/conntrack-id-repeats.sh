#!/usr/bin/env bash
# The id of a conntrack entry (`-o id`, CTA_ID) is no number of a connection: a later one with the same addresses may have the same.
# Linux 6.18.44, conntrack 1.4.7 and nftables 1.0.6 of Debian 12 (x86-64). Needs root, iproute2, python3.
# guessed: the id is unique, at least until its 32 bits are used up, so that address and id together name one connection for ever.
# seen 2026-11-27: one tuple opened and deleted 40 times had 23 ids, and fewer in other runs; it is made from the address in memory, which is reused.
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

for _ in $(seq 40); do
  udp 4000 1
  a "$T/usr/sbin/conntrack" -L -o id 2>/dev/null | grep -o 'id=.*'
  a "$T/usr/sbin/conntrack" -F 2>/dev/null
done >"$T/ids"
echo "times, id:"
sort "$T/ids" | uniq -c | sort -rn
[ "$(wc -l <"$T/ids")" = 40 ] || { echo "CHANGED: not 40 connections"; exit 1; }
different=$(sort -u "$T/ids" | wc -l)
echo "40 connections, $different ids"
[ "$different" -lt 40 ] || { echo "CHANGED: no id came twice"; exit 1; }
