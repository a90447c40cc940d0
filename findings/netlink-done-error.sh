#!/usr/bin/env bash
# npm's netlink 0.3.0: a dump that the kernel refuses resolves to an empty list, as if there was nothing.
# Linux 6.18.44, Node.js 20.20.2 (x86-64). Needs npm and its registry, python3; no root.
# guessed: the promise is rejected, as it is where the kernel answers with NLMSG_ERROR.
# seen 2026-11-27: once a dump has started the kernel has its error in NLMSG_DONE (4 bytes, -EINVAL here); the package cuts that message off
# unread, and getLinks() is []. The same request by hand shows the error.
set -euo pipefail
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"
npm install --no-audit --no-fund --silent --prefix "$T" netlink@0.3.0 >"$T/npm.log" 2>&1 || { cat "$T/npm.log"; exit 1; }

python3 - <<'END'
import socket, struct, sys

s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)  # NETLINK_ROUTE
attribute = struct.pack("=HHi", 8, 46, 999)  # IFLA_TARGET_NETNSID: no namespace has this number here
body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + attribute
s.send(struct.pack("=IHHII", 16 + len(body), 18, 0x301, 1, 0) + body)  # RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP
answer = s.recv(65536)
kind, errno = struct.unpack_from("=H", answer, 4)[0], struct.unpack_from("=i", answer, 16)[0]
print(f"by hand: message type {kind} (3: NLMSG_DONE), error {errno}")
if (kind, errno) != (3, -22):
    sys.exit("CHANGED: the kernel answered with NLMSG_DONE and -EINVAL")
END
cat >links.mjs <<'END'
import { createRtNetlink } from 'netlink/dist/rt/rt.js';
const socket = createRtNetlink();
const all = await socket.getLinks({}, {}, { timeout: 5000 });
const refused = await socket.getLinks({}, { targetNetnsid: 999 }, { timeout: 5000 }).catch((error) => error);
console.log(`netlink: ${all.length > 0 ? 'interfaces' : 'no interface'}; the refused dump gives ${JSON.stringify(refused)}`);
socket.socket.close();
if (!Array.isArray(refused) || refused.length > 0) { console.error('CHANGED: it resolved to an empty list'); process.exitCode = 1; }
END
node links.mjs
