#!/bin/sh
# Puts a guest kernel into Berth's own kernel store: downloads the distribution's cloud kernel package and unpacks it
# there. Nothing is installed: /boot, the boot loader and the package database of this machine stay as they are.
# Store: $BERTH_KERNEL_DIR (default /var/lib/berth/kernel)/<version>/{vmlinuz,config,modules/}. Runs any number of
# times; needs the network only when the store is empty, or with --update. --dry-run: only says what it would do.
set -eu

store=${BERTH_KERNEL_DIR:-/var/lib/berth/kernel}
update=no
dry_run=no
for argument in "$@"; do
  case $argument in
    --update) update=yes ;;
    --dry-run) dry_run=yes ;;
    *) echo "usage: fetch-kernel.sh [--update] [--dry-run]" >&2; exit 2 ;;
  esac
done

say() { echo "kernel: $*"; }
fail() { echo "kernel: $*" >&2; exit 1; }

newest() {
  for folder in "$store"/*/; do
    [ -f "$folder/vmlinuz" ] && [ -d "$folder/modules/kernel" ] && basename "$folder"
  done | sort -V | tail -n 1
}

have=$(newest)
if [ "$dry_run" = yes ]; then
  if [ -z "$have" ] || [ "$update" = yes ]; then
    say "would download the distribution's kernel for guests (about 25 MB) and unpack it into $store"
  fi
  exit 0
fi
if [ -n "$have" ] && [ "$update" = no ]; then
  say "guest kernel $have is in $store"
  exit 0
fi

# Debian's kernel for clouds, Ubuntu's for virtual machines: whichever is known here.
case $(uname -m) in
  x86_64) metas='linux-image-cloud-amd64 linux-image-virtual' ;;
  aarch64) metas='linux-image-cloud-arm64 linux-image-virtual' ;;
  *) fail "no kernel for guests is known for $(uname -m)" ;;
esac
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
  fail "only Debian-like machines are handled; unpack a kernel package yourself into $store/<version>/{vmlinuz,modules/}"

candidate() {
  apt-cache depends --no-recommends --no-suggests $metas 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1
}

package=$(candidate)
if [ -z "$package" ] || [ "$update" = yes ]; then
  say "reading the package lists"
  apt-get update -qq || fail "apt-get update failed; the package lists are needed to find a kernel"
  package=$(candidate)
fi
[ -n "$package" ] || fail "the package sources of this machine do not know any of: $metas"
version=${package#linux-image-}
if [ "$version" = "$have" ]; then
  say "guest kernel $have is in $store and current"
  exit 0
fi

mkdir -p "$store"
work=$(mktemp -d "$store/.fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$work"

say "downloading $package (25 to 100 MB; it is unpacked into $store, not installed)"
# apt verifies the package against the signed lists of the distribution.
download() { (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download $packages >download.log 2>&1); }
# Ubuntu has the modules in packages of their own.
packages=$package
for modules in "linux-modules-$version" "linux-modules-extra-$version"; do
  if apt-cache show "$modules" >/dev/null 2>&1; then packages="$packages $modules"; fi
done
if ! download; then
  # The lists may be older than the archive.
  apt-get update -qq || true
  download || { cat "$work/download.log" >&2; fail "could not download $package"; }
fi

say "unpacking $package"
mkdir "$work/package" "$work/kernel"
for file in "$work"/*.deb; do dpkg-deb -x "$file" "$work/package"; done
mv "$work/package/boot/vmlinuz-$version" "$work/kernel/vmlinuz"
mv "$work/package/boot/config-$version" "$work/kernel/config"
modules=$work/package/lib/modules/$version
[ -d "$modules" ] || modules=$work/package/usr/lib/modules/$version
mv "$modules" "$work/kernel/modules"
basename "$work/$package"_*.deb > "$work/kernel/package"
sync -f "$work/kernel" 2>/dev/null || sync
# Another fetch may have finished meanwhile: theirs is the same.
[ -e "$store/$version" ] || mv -T "$work/kernel" "$store/$version"
say "guest kernel $version is in $store"
