#!/usr/bin/env bash
# BPF_MAP_LOOKUP_BATCH on a hash map fails with ENOSPC where the batch is smaller than a bucket, and ends with ENOENT that carries data.
# Linux 6.18.44 (x86-64), bpf(2) called from python3. Needs root.
# guessed: a batch of n brings up to n entries, whatever n is; the last one succeeds, and ENOENT or 0 entries comes after it.
# seen 2026-11-27: 1,000 entries by 1 or 2 at a time: ENOSPC before all were read. By 1,000: one call, ENOENT, and all 1,000 entries.
set -euo pipefail
exec python3 - <<'END'
import ctypes, errno, os, struct, sys

libc = ctypes.CDLL(None, use_errno=True)

def bpf(command, attributes):
    """bpf(2): number of the system call on x86-64. Returns result, errno and the attributes afterwards."""
    memory = ctypes.create_string_buffer(attributes, 128)
    result = libc.syscall(321, command, memory, 128)
    return result, ctypes.get_errno() if result < 0 else 0, memory.raw

def create(kind, size):
    """Keys of 4 bytes, values of 8."""
    return bpf(0, struct.pack("5I", kind, 4, 8, size, 0))[0]

def put(fd, key):
    k, v = ctypes.create_string_buffer(struct.pack("I", key), 4), ctypes.create_string_buffer(8)
    if bpf(2, struct.pack("IxxxxQQQ", fd, ctypes.addressof(k), ctypes.addressof(v), 0))[0] < 0:
        sys.exit("no room")

def read(fd, size):
    """Reads all of the map by batches. Returns entries and the errno that ended it."""
    at, after = ctypes.create_string_buffer(8), ctypes.create_string_buffer(8)
    keys, values = ctypes.create_string_buffer(4 * size), ctypes.create_string_buffer(8 * size)
    total, start = 0, 0
    while True:
        result, error, attributes = bpf(24, struct.pack("QQQQIIQQ", start, ctypes.addressof(after), ctypes.addressof(keys),
                                                        ctypes.addressof(values), size, fd, 0, 0))
        total += struct.unpack_from("I", attributes, 32)[0]
        if result < 0:
            return total, errno.errorcode[error]
        at.raw = after.raw
        start = ctypes.addressof(at)

fd = create(1, 1000)  # BPF_MAP_TYPE_HASH
for key in range(1000):
    put(fd, key)
seen = {size: read(fd, size) for size in (1, 2, 64, 1000)}
for size, (total, end) in seen.items():
    print(f"batches of {size}: {total} of 1000 entries, then {end}")
if any(seen[size][1] != "ENOSPC" or seen[size][0] == 1000 for size in (1, 2)):
    sys.exit("CHANGED: small batches failed with ENOSPC before the end")
if any(seen[size] != (1000, "ENOENT") for size in (64, 1000)):
    sys.exit("CHANGED: large batches brought all, and ENOENT with the last of them")
END
