#!/usr/bin/env bash
# A BPF program that adds 0 or 8 to a pointer, by a branch, loads with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and not without the last.
# Linux 6.18.44 (x86-64), bpf(2) called from python3, capabilities dropped by setpriv (util-linux 2.38.1). Needs root.
# guessed: CAP_BPF and CAP_NET_ADMIN are enough for a cgroup_skb program of plain arithmetic within a map's value, however it is written.
# seen 2026-11-28: a register that holds 0 or 8 added to the pointer: EACCES ("tried to add from different maps, paths or scalars, pointer
# arithmetic with it prohibited for !root"). The same by an addition of a constant in one branch: loads. clang writes the first for
# `condition ? &value->high : &value->low`.
set -euo pipefail
program=$(mktemp)
trap 'rm -f "$program"' EXIT
cat >"$program" <<'END'
import ctypes, errno, struct, sys

libc = ctypes.CDLL(None, use_errno=True)

def bpf(command, attributes):
    """bpf(2): number of the system call on x86-64."""
    memory = ctypes.create_string_buffer(attributes, 128)
    result = libc.syscall(321, command, memory, 128)
    return result if result >= 0 else -ctypes.get_errno()

def op(code, dst=0, src=0, offset=0, number=0):
    return struct.pack("<BBhi", code, dst | src << 4, offset, number)

fd = bpf(0, struct.pack("5I", 2, 4, 16, 1, 0))  # BPF_MAP_TYPE_ARRAY, a value of 16 bytes
begin = [
    op(0x61, 6, 1),                                      # r6 = skb->len
    op(0x62, 10, 0, -4, 0),                              # key = 0
    op(0xBF, 2, 10), op(0x07, 2, 0, 0, -4),              # r2 = &key
    op(0x18, 1, 1, 0, fd), op(0),                        # r1 = map
    op(0x85, number=1),                                  # r0 = bpf_map_lookup_elem
    op(0x55, 0, 0, 2, 0), op(0xB7, 0, number=1), op(0x95),
    op(0x57, 6, 0, 0, 1),                                # r6 &= 1
]
end = [op(0xB7, 1, number=1), op(0x7B, 0, 1), op(0xB7, 0, number=1), op(0x95)]  # *(u64 *)r0 = 1; return 1
varies = [op(0xB7, 1, number=0), op(0x15, 6, 0, 1, 0), op(0xB7, 1, number=8), op(0x0F, 0, 1)]  # r1 = 0 or 8; r0 += r1
constant = [op(0x15, 6, 0, 1, 0), op(0x07, 0, 0, 0, 8)]  # if (r6) r0 += 8
code = b"".join(begin + {"varies": varies, "constant": constant}[sys.argv[1]] + end)
instructions, license = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
# BPF_PROG_LOAD of BPF_PROG_TYPE_CGROUP_SKB
loaded = bpf(5, struct.pack("<IIQQ", 8, len(code) // 8, ctypes.addressof(instructions), ctypes.addressof(license)))
print("loads" if loaded >= 0 else errno.errorcode[-loaded])
END
with() { setpriv --bounding-set="-all,$1" python3 "$program" "$2"; }
failed=0
see() { # capabilities, kind, expected
  seen=$(with "$1" "$2")
  echo "offset $2, capabilities $1: $seen"
  [ "$seen" = "$3" ] || { echo "CHANGED: it was $3"; failed=1; }
}
see +bpf,+net_admin varies EACCES
see +bpf,+net_admin constant loads
see +bpf,+net_admin,+perfmon varies loads
exit "$failed"
