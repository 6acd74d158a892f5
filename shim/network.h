/* Plugging into bridges of the host. Nothing here outlives the network namespace of the container or, for a tap, its
 * descriptor. */
#ifndef BERTH_NETWORK_H
#define BERTH_NETWORK_H

#include "conn.h"
#include "endpoint.h"

#define MOST_ENDPOINTS 64

/* The host's half: attaches the interface `endpoint->port` to the bridge, alone with it, and brings it up. 0, or -1 with
 * errno and host->failed. */
int port_attach(struct netlink *host, const struct endpoint *endpoint);
/* The sentence for a failure of a step. */
const char *port_failure(const struct netlink *link, const struct endpoint *endpoint);

/* A network namespace with lo, bound to run/netns, for the container to come. NULL, or what went wrong. */
const char *network_prepare(void);
/* What `start` says of the network: `endpoint` fields, or `join_network` with a process id. NULL, or what went wrong. */
const char *network_start(const struct fields *request);
/* plug and unplug. Answers on the connection. -1: not one of these. */
int network_operation(struct conn *conn, const char *op, const struct fields *fields);
/* Nothing passes its ports any more, whoever is still in the namespace. */
void network_end(void);

#endif
