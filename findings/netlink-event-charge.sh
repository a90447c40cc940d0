#!/usr/bin/env bash
# A conntrack event takes several times its own length from the receive buffer of the socket that it waits on.
# Linux 6.18.44, nftables 1.0.6 of Debian 12 (x86-64). Needs root, iproute2, python3.
# guessed: a buffer of 32 KiB (SO_RCVBUF; the kernel makes it 64 KiB) holds some 440 events of 148 bytes.
# seen 2026-11-27: each is charged 1,280 bytes, so 51 are kept and the next recv raises ENOBUFS. /proc/net/netlink shows it as Rmem and Drops.
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
ip netns add "$A"
ip -n "$A" link set lo up
a "$T/usr/sbin/nft" 'table ip t { chain on { ct mark 1; }; }' # a namespace tracks once a rule asks

a sysctl -qw net.netfilter.nf_conntrack_events=1
a python3 - <<'END'
import errno, socket, sys

netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER
netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
netlink.bind((0, 1))  # group NFNLGRP_CONNTRACK_NEW
netlink.setblocking(False)
room = netlink.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

def column(index):
    port = str(netlink.getsockname()[0])
    return int(next(line.split()[index] for line in open("/proc/net/netlink") if line.split()[2] == port))

def connect(first, count):
    for port in range(first, first + count):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", port))
        s.sendto(b"x", ("127.0.0.1", 9))

def drain():
    lengths, lost = [], False
    while True:
        try:
            lengths.append(len(netlink.recv(65536)))
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                return lengths, lost
            lost = True

connect(4000, 10)
charged = column(4)
lengths, lost = drain()
print(f"{len(lengths)} events of {lengths[0]} bytes: {charged} bytes of the buffer, {charged / sum(lengths):.1f} times as much")
if lost or len(lengths) != 10 or charged < 3 * sum(lengths):
    sys.exit("CHANGED: an event was charged about six times its length")
connect(5000, 300)
dropped = column(8)
lengths, lost = drain()
print(f"of 300 events (all together {300 * lengths[0]} bytes) a buffer of {room} bytes kept {len(lengths)}, dropped {dropped}; ENOBUFS: {lost}")
if not lost or dropped == 0 or len(lengths) * lengths[0] * 3 > room:
    sys.exit("CHANGED: less than a third of the buffer could be used")
END
