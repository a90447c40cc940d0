#!/usr/bin/env bash
# With nf_conntrack_events=2, the default, a connection tells its end only if somebody listened when it began: in any namespace at all.
# Linux 6.18.44, conntrack 1.4.7 and nftables 1.0.6 of Debian 12 (x86-64). Needs root, iproute2, python3.
# guessed: 2 ("auto") asks at the end of a connection, and in its own namespace, whether anybody listens.
# seen 2026-11-27: of 20 connections that are older than the only listener none tells its end, of 30 newer ones all do; but all 20 do
# where a listener in another network namespace was there before them. With 1 all 50 always tell.
# (Where others on the machine listen the first part is tried again for some minutes.)
set -euo pipefail
T=$(mktemp -d) A=fa$$ B=fb$$
stop() { kill "$1"; wait "$1" 2>/dev/null || :; }
cleanup() { [ -z "${other:-}" ] || kill "$other" 2>/dev/null || :; ip netns del "$A" 2>/dev/null || :; ip netns del "$B" 2>/dev/null || :; rm -rf "$T"; }
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
ip netns add "$B"
ip -n "$A" link set lo up
a "$T/usr/sbin/nft" 'table ip t { chain on { ct mark 1; }; }' # a namespace tracks once a rule asks

listen() { # namespace, file
  ip netns exec "$1" "$T/usr/sbin/conntrack" -E -e DESTROY >"$2" 2>/dev/null &
  until ip netns exec "$1" grep -Eq ' 12 +[0-9]+ +00000004 ' /proc/net/netlink; do sleep 0.1; done
}
older=0 newer=0
run() { # 20 connections, a listener, 30 connections, the end of all
  udp 20000 20
  listen "$A" "$T/events"
  local listener=$!
  udp 30000 30
  a "$T/usr/sbin/conntrack" -F 2>/dev/null
  sleep 1
  stop "$listener"
  older=$(grep -c 'sport=200' "$T/events" || :)
  newer=$(grep -c 'sport=300' "$T/events" || :)
}

a sysctl -qw net.netfilter.nf_conntrack_events=2
for _ in $(seq 40); do
  run
  [ "$older" != 0 ] || break
  echo "somebody else on this machine listens: again"
  sleep 5
done
expect "2, nobody listened before: ends told of 20 older connections" "$older" 0
expect "2, nobody listened before: ends told of 30 newer connections" "$newer" 30
listen "$B" "$T/elsewhere"
other=$!
run
expect "2, a listener elsewhere: ends told of 20 older connections" "$older" 20
stop "$other"
other=
a sysctl -qw net.netfilter.nf_conntrack_events=1
run
expect "1: ends told of 20 older connections" "$older" 20
expect "1: ends told of 30 newer connections" "$newer" 30
