#!/bin/sh
# palmd in the virtual machine, with its store on a disk that is opened as at any start. The word says who replays the
# file system's journal: `check` (e2fsck, as Debian does for its own disk) or `mount` (the kernel).
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
if [ "$1" = check ]; then
    # 1: it put something right, as after any cut. From 2 on the disk is damaged.
    e2fsck -f -p /dev/vda || [ $? -lt 2 ] || exit 1
fi
mkdir -p /disk
mount -t ext4 /dev/vda /disk || exit 1
palmd --config /shop/palmd.toml 2>/run/palmd.log
status=$?
cat /run/palmd.log
exit "$status"
