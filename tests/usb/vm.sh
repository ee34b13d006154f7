#!/usr/bin/env bash
# A virtual machine with Debian's own kernel and nothing else, for tests of the driver on a real USB stack and of palmd
# when the power goes.
#
#   vm.sh setup                      downloads and unpacks QEMU, the kernel, busybox, kmod and udev into
#                                    target/usb-vm (about 110 MB down, 350 MB unpacked). Nothing is installed.
#   vm.sh run PROGRAM ARGS...        boots it, runs PROGRAM ARGS... in it as root, and exits as PROGRAM did
#   vm.sh xhci PROGRAM ARGS...       the same with a real xHCI controller; the device behind it is served on this side
#                                    by `PROGRAM peer`
#   vm.sh image INITRD TREE PROGRAM...
#                                    packs the base, the files of TREE, and each program into /bin with its libraries
#   vm.sh disk FILE SIZE             makes a file of so many bytes (512M) with an empty ext4 file system
#   vm.sh boot INITRD WORDS OPTIONS...
#                                    becomes the QEMU that boots it (kernel command line WORDS, QEMU's OPTIONS), and
#                                    ends with whoever started it
#
# Software emulation always: a machine inside a machine may offer a /dev/kvm that does not work. USB_VM_SECONDS bounds a
# run (default 240).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
vm=${CARGO_TARGET_DIR:-$root/target}/usb-vm
busybox=$vm/tree/bin/busybox
PATH=$PATH:/usr/sbin:/sbin # where mke2fs and e2fsck are
libraries=$vm/tree/usr/lib/x86_64-linux-gnu:$vm/tree/lib/x86_64-linux-gnu

# kmod and udevd are told by their names what to be.
kmod() { (exec -a "$1" "$vm/tree/bin/kmod" "${@:2}"); }

say() { echo "vm.sh: $*" >&2; }

# Packages are unpacked, not installed: installing QEMU can remove another version's tools from the machine.
download() {
    command -v apt-get >/dev/null || {
        say "this is no Debian: the kernel, QEMU, busybox-static, kmod and udev are Debian's packages"
        exit 1
    }
    local kernel packages fresh=()
    if [ -n "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit 2>/dev/null)" ]; then :; else
        [ "$(id -u)" = 0 ] || fresh=(sudo)
        "${fresh[@]}" apt-get update -qq
    fi
    # The kernel's name moves with security updates.
    kernel=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
    packages="$kernel busybox-static kmod udev qemu-system-x86 qemu-system-common qemu-system-data seabios"
    packages="$packages $(apt-get -s install --no-install-recommends qemu-system-x86 | awk '/^Inst/ { print $2 }')"
    mkdir -p "$vm/debs"
    say "downloading $kernel, QEMU and what they need"
    # shellcheck disable=SC2086 # a list
    (cd "$vm/debs" && apt-get download -qq -o APT::Sandbox::User=root $(printf '%s\n' $packages | sort -u))
    local deb
    for deb in "$vm"/debs/*.deb; do
        dpkg-deb -x "$deb" "$vm/tree"
    done
    rm -rf "$vm/debs"
}

# The kernel as the plain ELF file inside its bzImage: it boots in half the time, because nothing unpacks it.
unpack_kernel() {
    local image=$1 setup offset length
    setup=$(od -An -tu1 -j497 -N1 "$image" | tr -d ' ')
    offset=$(od -An -tu4 -j584 -N4 "$image" | tr -d ' ')
    length=$(od -An -tu4 -j588 -N4 "$image" | tr -d ' ')
    offset=$(((setup + 1) * 512 + offset))
    # After the xz stream comes its length, which xz does not know.
    tail -c +$((offset + 1)) "$image" | head -c "$length" | xz -dc --single-stream >"$vm/vmlinux" || true
    [ "$(head -c 4 "$vm/vmlinux" | tail -c 3)" = ELF ]
}

# Copies a program and the libraries it needs into an image.
with_libraries() {
    local image=$1 program=$2 place=$3 library
    install -D "$program" "$image$place"
    LD_LIBRARY_PATH=$libraries:$vm/tree/lib/systemd ldd "$program" |
        grep -o '/[^ ]*' | while read -r library; do
        [ -e "$image/lib64/$(basename "$library")" ] || install -D "$library" "$image/lib64/$(basename "$library")"
    done
}

pack() {
    (cd "$1" && find . | "$busybox" cpio -o -H newc 2>/dev/null) >"$2"
}

base_image() {
    local image=$vm/base version kernel name
    rm -rf "$image"
    mkdir -p "$image"/{bin,dev,etc,lib64,proc,run,sys,tmp,usr}
    cp "$busybox" "$image/bin/busybox"
    ln -s busybox "$image/bin/sh"
    install -m 755 "$here/init.sh" "$image/init"
    version=$(basename "$vm"/tree/lib/modules/*)
    kernel=lib/modules/$version
    mkdir -p "$image/$kernel"
    # Modules and whatever they need, in a tree with an index of its own.
    kmod depmod -b "$vm/tree" "$version"
    for name in vhci-hcd xhci-pci uvcvideo vivid virtio_pci virtio_blk virtio_net ext4 crc32c_generic; do
        kmod modprobe -d "$vm/tree" -S "$version" --show-depends "$name"
    done | awk '/^insmod/ { print $2 }' | sort -u | while read -r module; do
        install -D -m 644 "$module" "$image/${module#"$vm/tree/"}"
    done
    cp "$vm/tree/$kernel"/modules.{order,builtin,builtin.modinfo} "$image/$kernel/"
    kmod depmod -b "$image" "$version"
    with_libraries "$image" "$vm/tree/bin/udevadm" /bin/udevadm
    mkdir -p "$image/lib/udev/rules.d" "$image/etc/udev/rules.d"
    cp "$vm"/tree/lib/udev/rules.d/50-udev-default.rules "$image/lib/udev/rules.d/"
    printf 'root:x:0:0::/:/bin/sh\nclerk:x:1000:1000::/:/bin/sh\nguest:x:1001:1001::/:/bin/sh\n' >"$image/etc/passwd"
    printf 'root:x:0:\nplugdev:x:46:\nclerk:x:1000:\nguest:x:1001:\nvideo:x:44:\n' >"$image/etc/group"
    printf 'disk:x:6:\ntty:x:5:\ndialout:x:20:\ncdrom:x:24:\ntape:x:26:\naudio:x:29:\ninput:x:101:\nkvm:x:102:\n' \
        >>"$image/etc/group"
    printf 'render:x:103:\nsgx:x:104:\nkmem:x:15:\nlp:x:7:\nsystemd-journal:x:105:\n' >>"$image/etc/group"
    pack "$image" "$vm/base.cpio"
}

setup() {
    if [ ! -e "$vm/ready" ]; then
        rm -rf "$vm/tree"
        download
        unpack_kernel "$vm"/tree/boot/vmlinuz-*
        touch "$vm/ready"
    fi
    # Also where it is missing: then any file is newer.
    if [ "$here/vm.sh" -nt "$vm/base.cpio" ] || [ "$here/init.sh" -nt "$vm/base.cpio" ]; then
        base_image
    fi
}

# The image of one run, after the base: the files of a tree, and programs with their libraries.
image() {
    local initrd=$1 tree=$2 program stripped
    shift 2
    stripped=$(mktemp)
    for program in "$@"; do
        strip -o "$stripped" "$(command -v "$program")"
        chmod 755 "$stripped"
        with_libraries "$tree" "$stripped" "/bin/$(basename "$program")"
    done
    rm -f "$stripped"
    pack "$tree" "$initrd.own"
    cat "$vm/base.cpio" "$initrd.own" >"$initrd"
    rm -f "$initrd.own"
}

# Becomes QEMU, or what `limit` says before it. Where the host is busy the kernel's check of the timer fails.
limit=()
qemu() {
    local initrd=$1 append=$2
    shift 2
    exec env LD_LIBRARY_PATH="$libraries" QEMU_MODULE_DIR="$vm/tree/usr/lib/x86_64-linux-gnu/qemu" "${limit[@]}" \
        "$vm/tree/usr/bin/qemu-system-x86_64" -L "$vm/tree/usr/share/qemu" -L "$vm/tree/usr/share/seabios" \
        -M q35 -accel tcg,thread=multi -cpu max -m 768 -smp 1 -nodefaults -display none -no-reboot \
        -kernel "$vm/vmlinux" -initrd "$initrd" \
        -append "console=ttyS0 loglevel=2 panic=-1 mitigations=off no_timer_check $append" "$@" </dev/null
}

# Boots for a bounded time and ends as the program in it did.
result() {
    local scratch=$1 status
    shift
    limit=(timeout --kill-after=5 "${USB_VM_SECONDS:-240}")
    qemu "$scratch/initrd" "$1" -serial stdio "${@:2}" |
        sed -u 's/\r//g' | tee "$scratch/log" | grep --line-buffered -av '^GUEST-RESULT' || true
    status=$(sed -n 's/^GUEST-RESULT //p' "$scratch/log" | tail -1)
    [ -n "$status" ] || {
        say "the machine ended without a result, or ran out of its ${USB_VM_SECONDS:-240} s"
        return 1
    }
    return "$status"
}

case ${1:-} in
    setup) setup ;;
    run | xhci)
        kind=$1
        program=$2
        shift 2
        setup
        scratch=$(mktemp -d)
        peer=
        trap '[ -z "$peer" ] || kill "$peer" 2>/dev/null || true; rm -rf "$scratch"' EXIT
        mkdir -p "$scratch/tree/etc/udev/rules.d"
        cp "$root/driver/99-openpalm.rules" "$scratch/tree/etc/udev/rules.d/"
        cp "$program" "$scratch/program"
        image "$scratch/initrd" "$scratch/tree" "$scratch/program"
        devices=()
        if [ "$kind" = xhci ]; then
            "$program" peer "$scratch/redir" "$scratch/line" &
            peer=$!
            until [ -S "$scratch/line" ]; do
                kill -0 "$peer" || exit 1
                read -r -t 0.05 _ < <(:) || true
            done
            devices=(-device qemu-xhci,id=hc
                -chardev "socket,id=redir,path=$scratch/redir" -device usb-redir,chardev=redir,bus=hc.0
                -chardev "socket,id=line,path=$scratch/line" -serial chardev:line)
        fi
        words=$(printf '%s,' "$@")
        result "$scratch" "modules=vhci-hcd,xhci-pci,uvcvideo rig=${words%,}" "${devices[@]}"
        ;;
    image)
        setup
        image "${@:2}"
        ;;
    disk) mke2fs -q -t ext4 -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 "${@:2}" >/dev/null ;;
    boot)
        # Nobody else knows of it.
        limit=(setpriv --pdeathsig KILL)
        qemu "${@:2}"
        ;;
    *)
        sed -n '2,18p' "$0" >&2
        exit 2
        ;;
esac
