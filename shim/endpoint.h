/* An interface of an instance as the daemon describes it (src/core/network.ts), and setting it up inside. For the shim,
 * which does so in a container's network namespace, and for the agent, which does so in the guest. */
#ifndef BERTH_ENDPOINT_H
#define BERTH_ENDPOINT_H

#include "netlink.h"

struct address {
    int family;
    unsigned char bytes[16];
    unsigned char prefix;
};

struct endpoint {
    char name[16], port[16], bridge[16];
    unsigned char mac[6];
    unsigned mtu;
    int default_route;
    /* At most one of each family, and a gateway for each. */
    struct address addresses[2], gateways[2];
    int address_count, gateway_count;
};

/* NAME PORT BRIDGE MAC MTU default|- ADDRESS/PREFIX[,…]|- GATEWAY[,…]|-; 0, or -1 when it is not like that. */
int endpoint_parse(const char *text, struct endpoint *endpoint);
/* In a new network namespace, the caller's: what interfaces are to be like that come later. */
void endpoint_defaults(void);
/* Brings lo up. */
int endpoint_loopback(struct netlink *inside);
/* Gives an interface that is there its addresses and routes and brings it up. The caller is in its network namespace.
 * 0, or -1 with errno and what failed in inside->failed. */
int endpoint_configure(struct netlink *inside, const struct endpoint *endpoint);

#endif
