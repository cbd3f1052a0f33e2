#!/bin/bash
# build.sh [--if-there]: make, once, the Debian guest that ./run boots; print its folder.
# --if-there: make none; fail when it is not there.
# Needs root, debootstrap, e2fsprogs (mke2fs), gcc. Environment, all optional:
#   VM_CACHE   where guests are kept     (${XDG_CACHE_HOME:-~/.cache}/pypod-vm)
#   VM_SUITE   trixie or bookworm        (trixie)
#   VM_MIRROR  Debian mirror             (that of apt)
#   VM_EXTRA   more packages             ()
# The folder has disk.img (ext4, sparse), vmlinuz and initrd.img for qemu; linux.uml, modules/,
# slirp-fullbolt and shim.so for User-Mode Linux (the host's own Debian packages, unpacked, not
# installed); packages.txt. Its name holds a hash of this script and its settings: change either
# and a new guest is built beside the old.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
suite=${VM_SUITE:-trixie}
mirror=${VM_MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | sed -n 1p)}
cache=${VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pypod-vm}
packages="linux-image-amd64 initramfs-tools zstd systemd systemd-sysv
  dbus dbus-user-session libpam-systemd udev kmod sudo procps psmisc strace iproute2 iputils-ping
  apparmor nftables uidmap fuse3 fuse-overlayfs slirp4netns passt ca-certificates curl git jq
  python3 python3-venv python3-pip python3-pytest python3-hypothesis python3-urllib3 gcc libc6-dev busybox-static
  python3-attr python3-jeepney python3-psutil python3-pyroute2
  podman crun runc conmon catatonit netavark aardvark-dns iptables
  e2fsprogs make bzip2 xz-utils bind9-dnsutils umoci skopeo docker-registry ${VM_EXTRA:-}"
wheels="isal backports.zstd"                         # what pypod installs, and Debian has not
id=$suite-$( (cat "$here/build.sh" "$here/uml-shim.c"; echo "$mirror $packages $wheels") | sha256sum | cut -c1-12)
out=$cache/$id

if [ "${1:-}" = --if-there ] && [ ! -e "$out/packages.txt" ]; then exit 1; fi
mkdir -p "$cache"
exec 9>"$cache/$id.lock"; flock 9                    # two callers: one builds, one waits
if [ -e "$out/packages.txt" ]; then echo "$out"; exit; fi
[ "${VM_BUILD_INNER:-}" ] || exec env VM_BUILD_INNER=1 unshare --mount --propagation private "$0"

tmp=$(mktemp -d "$cache/$id.XXXXXX"); root=$tmp/root
trap 'umount "$root/proc" 2>/dev/null || true; rm -rf --one-file-system "$tmp"' EXIT
in_root() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive \
  HOME=/root chroot "$root" "$@"; }
{
  debootstrap --variant=minbase "$suite" "$root" "$mirror"
  mount -t proc proc "$root/proc"
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"; chmod +x "$root/usr/sbin/policy-rc.d"
  echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/vm"
  printf 'path-exclude=/usr/share/%s/*\n' doc man locale info >>"$root/etc/dpkg/dpkg.cfg.d/vm"
  mkdir -p "$root/etc/initramfs-tools/conf.d"        # a small initrd: only what mounts the disk
  printf 'MODULES=list\nCOMPRESS=zstd\nFSTYPE=ext4\n' >"$root/etc/initramfs-tools/conf.d/vm"
  printf '%s\n' virtio_pci virtio_blk ext4 >"$root/etc/initramfs-tools/modules"
  in_root apt-get update
  in_root apt-get install -y --no-install-recommends $packages
  in_root apt-get clean
  cp -L "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$root/tmp/ca.crt"
  in_root env PIP_CERT=/tmp/ca.crt $(env | grep -E '^PIP_(INDEX_URL|DEFAULT_TIMEOUT)=|^https?_proxy=|^no_proxy=' || true) \
    python3 -m pip install -q --break-system-packages --root-user-action=ignore --only-binary :all: $wheels
  rm "$root/tmp/ca.crt"

  echo pypod-vm >"$root/etc/hostname"
  printf '127.0.0.1 localhost pypod-vm\n::1 localhost\n' >"$root/etc/hosts"
  echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf"
  echo '/dev/vda / ext4 rw,noatime 0 0' >"$root/etc/fstab"
  printf '%s\n' '[Match]' 'Name=en* eth* vec*' '[Network]' 'Address=10.0.2.15/24' \
    'Gateway=10.0.2.2' 'LinkLocalAddressing=no' >"$root/etc/systemd/network/vm.network"
  mkdir -p "$root/etc/systemd/journald.conf.d"
  in_root systemd-machine-id-setup
  in_root passwd -d root
  in_root useradd -m -u 1000 -s /bin/bash tester
  echo tester:100000:65536 | tee "$root/etc/subuid" >"$root/etc/subgid"
  mkdir -p "$root/var/lib/systemd/linger"
  printf '%s\n' '[Unit]' 'After=systemd-user-sessions.service dbus.service systemd-logind.service network.target' \
    '[Service]' 'Type=oneshot' 'Environment=HOME=/root' 'TasksMax=infinity' 'LimitMEMLOCK=infinity' \
    'ExecStart=/bin/sh -c "exec /bin/bash /usr/local/sbin/vm-agent"' \
    '[Install]' 'WantedBy=multi-user.target' >"$root/etc/systemd/system/vm-agent.service"
  cat >"$root/usr/local/sbin/vm-agent" <<'AGENT'
share() {  # NAME FOLDER: mount what ./run shares as NAME (9p in qemu, hostfs in User-Mode Linux)
  mkdir -p "$2"; path=$(sed -n "s/.*\bvm$1=\([^ ]*\).*/\1/p" /proc/cmdline)
  if [ "$path" ]; then mount -t hostfs -o "$path" none "$2"
  else mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 "vm$1" "$2"; fi
}
share ctl /run/vm && . /run/vm/agent
AGENT
  in_root systemctl enable vm-agent systemd-networkd
  in_root systemctl disable systemd-networkd-wait-online getty@tty1 || true
  in_root systemctl mask serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer \
    dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
    podman-auto-update.timer podman-auto-update.service podman-restart.service \
    systemd-resolved systemd-hostnamed.socket netavark-dhcp-proxy.socket systemd-sysext.socket \
    systemd-random-seed systemd-journal-flush modprobe@drm modprobe@efi_pstore sys-kernel-debug.mount
  printf '[Journal]\nStorage=volatile\n' >"$root/etc/systemd/journald.conf.d/vm.conf"
  rm -f "$root/usr/sbin/policy-rc.d"
  touch "$root/etc/.updated" "$root/var/.updated"    # no ldconfig, sysusers, ... on every boot
  umount "$root/proc"
  cp -L "$root/vmlinuz" "$root/initrd.img" "$tmp/"
  truncate -s 10G "$tmp/disk.img"
  mke2fs -q -F -t ext4 -E lazy_itable_init=1 -d "$root" "$tmp/disk.img"
  if (cd "$tmp" && apt-get download user-mode-linux slirp); then
    for deb in "$tmp"/*.deb; do dpkg-deb -x "$deb" "$tmp/uml"; done
    mv "$tmp"/uml/usr/bin/{linux.uml,slirp-fullbolt} "$tmp/"; mv "$tmp/uml/usr/lib/uml/modules" "$tmp/"
    rm -rf "$tmp/uml" "$tmp"/*.deb
    gcc -O2 -shared -fPIC -o "$tmp/shim.so" "$here/uml-shim.c"
  fi
  in_root dpkg-query -W >"$tmp/packages.txt"
  rm -rf --one-file-system "$root"
} >"$cache/$id.log" 2>&1 9>&- || { echo "build.sh: failed; the end of $cache/$id.log:" >&2
  tail -n 20 "$cache/$id.log" >&2; exit 1; }
rm -rf "$out"; mv "$tmp" "$out"
echo "$out"
