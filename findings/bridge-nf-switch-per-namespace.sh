#!/usr/bin/env bash
# Whether a node that is itself a container (kind, k3d) has its machine's setting of bridge-nf-call-iptables.
# Linux 6.18.44, iproute2 6.1 and conntrack 1.4.7 and nftables 1.0.6 of Debian 12 (x86-64). Needs root, br_netfilter (modprobe it first).
# guessed: one switch of the machine, or at least what a new network namespace starts from: 0 there is 0 in the nodes' namespaces.
# seen 2026-11-28: the switch is the namespace's own, a new one starts with 1 whatever its parent has: bridged packets are in the node's
#   conntrack table with the machine's switch at 0, and switching it off in the node's namespace changes the node alone.
set -euo pipefail
T=$(mktemp -d) O=fo$$ N=fn$$ A=fa$$ B=fb$$
cleanup() {
  for name in "$O" "$N" "$A" "$B"; do ip netns del "$name" 2>/dev/null || :; done
  rm -rf "$T"
}
trap cleanup EXIT
(
  cd "$T"
  apt-get -qq -o APT::Sandbox::User=root download \
    conntrack=1:1.4.7-1+b2 libnetfilter-conntrack3=1.0.9-3 libnfnetlink0=1.0.2-2 \
    nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 libjansson4=2.14-2 libedit2=3.1-20221030-2 libmnl0=1.0.4-3
  for file in ./*.deb; do dpkg -x "$file" .; done
) >"$T/apt.log" 2>&1 || { cat "$T/apt.log"; exit 1; }
export LD_LIBRARY_PATH="$T/usr/lib/x86_64-linux-gnu"
expect() { # name, value, what was seen
  echo "$1: $2"
  [ "$2" = "$3" ] || { echo "CHANGED: $1 was $3"; exit 1; }
}
switch() { ip netns exec "$1" sysctl -n net.bridge.bridge-nf-call-iptables; }

# The machine is a namespace here too, so that its own switch stays as it is.
ip netns add "$O"
ip netns exec "$O" sysctl -qw net.bridge.bridge-nf-call-iptables=0
expect "the machine's switch" "$(switch "$O")" 0
ip netns exec "$O" unshare --net sh -c 'echo made; exec sleep 60' >"$T/made" & child=$!
until grep -q made "$T/made"; do sleep 0.1; done
ip netns attach "$N" "$child"
kill "$child"
expect "a namespace's that was made in it" "$(switch "$N")" 1

ip -n "$N" link add br0 type bridge
ip -n "$N" link set br0 up
ip netns exec "$N" "$T/usr/sbin/nft" 'table ip t { chain on { type filter hook forward priority 0; ct state new counter; }; }'
pod() { # namespace, last byte
  ip netns add "$1"
  ip link add v0 netns "$1" type veth peer name "p$2" netns "$N"
  ip -n "$N" link set "p$2" master br0 up
  ip -n "$1" addr add "192.0.2.$2/24" dev v0
  ip -n "$1" link set v0 up
}
pod "$A" 1
pod "$B" 2
entries_of_a_ping() {
  ip netns exec "$N" "$T/usr/sbin/conntrack" -F 2>/dev/null
  ip netns exec "$A" ping -qc2 -W5 192.0.2.2 >"$T/ping" || { cat "$T/ping"; exit 1; }
  ip netns exec "$N" "$T/usr/sbin/conntrack" -L 2>/dev/null | grep -c icmp || :
}
expect "entries of a ping between two pods" "$(entries_of_a_ping)" 1
ip netns exec "$N" sysctl -qw net.bridge.bridge-nf-call-iptables=0
expect "with the node's own switch at 0" "$(entries_of_a_ping)" 0
