/* `berth-shim conntrack FLOW…`: ends the memory of flows of the network namespace that it is called in. */
#ifndef BERTH_CONNTRACK_H
#define BERTH_CONNTRACK_H

int conntrack_main(int argc, char **argv);

#endif
