#!/usr/bin/env bash
# An expired connection is in no dump any more, but still counts, and tells its end only when the kernel comes by, or a dump does.
# Linux 6.18.44, conntrack 1.4.7 and nftables 1.0.6 of Debian 12 (x86-64). Needs root, iproute2, python3.
# guessed: a connection tells its end (DESTROY) when its timeout is over, dumps show it until then, and listing the table changes nothing.
# seen 2026-11-27: 2 s after its end no event had come and nf_conntrack_count was 1; `conntrack -L` showed nothing, and that brought the event.
# (Where the kernel happened to come by first, it is tried again.)
set -euo pipefail
T=$(mktemp -d) A=fa$$
cleanup() { [ -z "${listener:-}" ] || kill "$listener" 2>/dev/null || :; ip netns del "$A" 2>/dev/null || :; rm -rf "$T"; }
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

a sysctl -qw net.netfilter.nf_conntrack_udp_timeout=1
ip netns exec "$A" "$T/usr/sbin/conntrack" -E -e DESTROY >"$T/events" 2>/dev/null &
listener=$!
until a grep -Eq ' 12 +[0-9]+ +00000004 ' /proc/net/netlink; do sleep 0.1; done
told() { wc -l <"$T/events"; }
count() { a sysctl -n net.netfilter.nf_conntrack_count; }

hidden=no
for port in 4001 4002 4003 4004 4005 4006; do
  before=$(told)
  udp "$port" 1
  sleep 3
  if [ "$(count)" = 1 ] && [ "$(told)" = "$before" ]; then
    hidden=yes
    break
  fi
  echo "the kernel came by first: again"
done
expect "expired and not told" "$hidden" yes
expect "expired, connections counted" "$(count)" 1
expect "expired, connections listed" "$(a "$T/usr/sbin/conntrack" -L 2>/dev/null | wc -l)" 0
sleep 1
expect "listed, ends told" $(($(told) - before)) 1
expect "listed, connections counted" "$(count)" 0
