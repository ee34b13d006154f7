#!/bin/sh
# First process of the virtual machine: mounts, the modules named on the kernel's command line, then
# /bin/program with the words named there.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /run/udev
listed() { sed -n "s/.*$1=\\([^ ]*\\).*/\\1/p" /proc/cmdline | tr ',' ' '; }
for module in $(listed modules); do
    modprobe "$module" || echo "init: no module $module"
done
words=$(listed rig)
export LD_LIBRARY_PATH=/lib64 RUST_BACKTRACE=1
# shellcheck disable=SC2086 # words
/bin/program $words
echo "GUEST-RESULT $?"
poweroff -f
