#!/bin/busybox sh
# The first process of the guest: its root is the file system of the machine that started it, which it can read and not write. What it
# writes stays in its memory, except below /run/worlds and /run/compile-cache.
#
#   packages (unpacked from Debian) ─┐
#   host's / (9p, read-only) ────────┴─ overlay, written to tmpfs ──> /       results (9p) ──> /run/worlds
/bin/busybox mkdir -p /proc /sys /dev /host /packages /layer /root
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "/modules/$module"; done < /modules/order

share() { mount -t 9p -o "trans=virtio,version=9p2000.L,msize=262144,$3" "$1" "$2"; }
share host /host ro,cache=loose
share packages /packages ro,cache=loose
mount -t tmpfs tmpfs /layer
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/packages:/host,upperdir=/layer/upper,workdir=/layer/work overlay /root

# In this order: what comes later lies in what comes before.
mount -t proc proc /root/proc
mount -t sysfs sysfs /root/sys
mount -t devtmpfs devtmpfs /root/dev
mkdir -p /root/dev/shm
mount -t tmpfs tmpfs /root/dev/shm
mount -t tmpfs tmpfs /root/run
mkdir -p /root/run/worlds /root/run/compile-cache /root/run/netns "/root/usr/lib/modules/$(uname -r)"
share modules "/root/usr/lib/modules/$(uname -r)" ro,cache=loose
share results /root/run/worlds rw
share cache /root/run/compile-cache rw
ip link set lo up

# The kernel starts this one, here, when it wants a module.
mkdir -p /sbin
printf '#!/bin/sh\nexec chroot /root /sbin/modprobe "$@"\n' > /sbin/modprobe
chmod +x /sbin/modprobe

chroot /root /bin/sh /run/worlds/run.sh
sync
poweroff -f
