#!/usr/bin/env bash
# How many conntrack entries a node keeps for one TCP connection through a VXLAN tunnel.
# Linux 6.18.44, conntrack 1.4.7 and nftables 1.0.6 of Debian 12 (x86-64). Needs root, iproute2, python3.
# guessed: two, the TCP connection and the tunnel's own UDP flow between the two nodes, which all connections share and which is replied.
# seen 2026-11-28: three for each connection: the tunnel's UDP source port is a hash of the inner flow and differs by direction, and all
#   packets go to port 4789, so each direction of each connection is an outer entry of its own that never sees a reply.
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
b() { ip netns exec "$B" "$@"; }
expect() { # name, value, what was seen
  echo "$1: $2"
  [ "$2" = "$3" ] || { echo "CHANGED: $1 was $3"; exit 1; }
}
ip netns add "$A"
ip netns add "$B"
ip link add v0 netns "$A" type veth peer name v0 netns "$B"
end() { # namespace, own last byte, the other's
  ip -n "$1" addr add "192.0.2.$2/24" dev v0
  ip -n "$1" link set v0 up
  ip netns exec "$1" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 # no packets but the connections
  ip -n "$1" link add x0 address "02:00:00:00:00:0$2" type vxlan id 7 local "192.0.2.$2" remote "192.0.2.$3" dstport 4789 dev v0
  ip -n "$1" addr add "198.51.100.$2/24" dev x0
  ip -n "$1" link set x0 up
  ip -n "$1" neigh add "198.51.100.$3" lladdr "02:00:00:00:00:0$3" dev x0
}
end "$A" 1 2
end "$B" 2 1
b "$T/usr/sbin/nft" "table ip t {
  chain on { type filter hook prerouting priority 0; ct state new counter; }
  chain out { type filter hook output priority 0; ct state new counter; }
}"

cat >"$T/listen.py" <<'END'
import socket
listener = socket.create_server(("198.51.100.2", 7000))
print("bound", flush=True)
for _ in range(10):
    s, _ = listener.accept()
    s.sendall(s.recv(100))
END
b python3 "$T/listen.py" >"$T/server" &
server=$!
until grep -q bound "$T/server"; do sleep 0.1; done
ip netns exec "$A" python3 - <<'END'
import socket
for _ in range(10):
    s = socket.create_connection(("198.51.100.2", 7000), timeout=10)
    s.sendall(b"x")
    s.recv(100)
    s.close()
END
wait "$server"
b "$T/usr/sbin/conntrack" -L >"$T/table" 2>/dev/null
head -3 "$T/table"
expect "entries of ten TCP connections" "$(grep -c 'dport=7000' "$T/table")" 10
expect "outer entries" "$(grep -c 'dport=4789' "$T/table")" 20
expect "outer entries that have seen a reply" "$(grep 'dport=4789' "$T/table" | grep -vc UNREPLIED || :)" 0
