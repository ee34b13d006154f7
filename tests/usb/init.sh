#!/bin/sh
# First process of the virtual machine: mounts, modules, then the program named on the kernel's command line.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /run/udev
for module in vhci-hcd xhci-pci uvcvideo; do
    modprobe "$module" || echo "init: no module $module"
done
words=$(sed -n 's/.*rig=\([^ ]*\).*/\1/p' /proc/cmdline | tr ',' ' ')
export LD_LIBRARY_PATH=/lib64 RUST_BACKTRACE=1
# shellcheck disable=SC2086 # words
/bin/program $words
echo "GUEST-RESULT $?"
poweroff -f
