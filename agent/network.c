/* The guest's network interfaces. The agent, and with it the workload, lives in a network namespace of its own; an
 * interface that is not plugged in stays outside, so that nobody sees it. Those outside are called eth0, eth1 … by their
 * slots, in the order of the machine's devices. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../shim/endpoint.h"
#include "agent.h"

#define MOST_SLOTS 4

static struct netlink outside = {.fd = -1}, inside = {.fd = -1};
static int outside_space = -1, inside_space = -1;
/* What is plugged in, by the name inside. */
static char names[MOST_SLOTS][16];

void network_begin(void)
{
    outside_space = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    netlink_open(&outside);
    if (unshare(CLONE_NEWNET) < 0) return;
    inside_space = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    netlink_open(&inside);
    endpoint_defaults();
    endpoint_loopback(&inside);
    /* As in a container: in a network of its own, low ports and ping are nobody else's business. */
    write_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    write_file("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
}

void network_load(void)
{
    static int loaded;
    if (!loaded++) boot_load_modules("/modules/network");
}

static int fail_for(const char *name, const char *step, struct failure *failure)
{
    return fail_with(failure, "internal", 0, "the guest cannot plug %s in: cannot %s: %s", name, step ? step : "begin",
                     strerror(errno));
}

static int take_in(int slot, const struct endpoint *endpoint)
{
    char name[16];
    snprintf(name, sizeof name, "eth%d", slot);
    struct ifinfomsg head = {.ifi_index = netlink_index(&outside, name)};
    outside.failed = "find it";
    if (!head.ifi_index) return -1;
    netlink_request(&outside, "take it in", RTM_NEWLINK, 0, &head, sizeof head);
    netlink_number(&outside, IFLA_NET_NS_FD, (unsigned)inside_space);
    netlink_text(&outside, IFLA_IFNAME, endpoint->name);
    netlink_attribute(&outside, IFLA_ADDRESS, endpoint->mac, sizeof endpoint->mac);
    netlink_number(&outside, IFLA_MTU, endpoint->mtu);
    return netlink_send(&outside);
}

int network_plug(const char *text, struct failure *failure)
{
    struct endpoint endpoint;
    char *rest;
    long slot = text ? strtol(text, &rest, 10) : -1;
    if (slot < 0 || slot >= MOST_SLOTS || endpoint_parse(rest, &endpoint) < 0)
        return fail_with(failure, "invalid-argument", 0, "malformed endpoint");
    network_load();
    if (inside_space < 0) return fail_for(endpoint.name, "have a network namespace", failure);
    if (take_in((int)slot, &endpoint) < 0) return fail_for(endpoint.name, outside.failed, failure);
    strcpy(names[slot], endpoint.name);
    if (endpoint_configure(&inside, &endpoint) < 0) return fail_for(endpoint.name, inside.failed, failure);
    return 0;
}

int network_unplug(const char *name, struct failure *failure)
{
    char spare[16];
    int slot = 0;
    while (slot < MOST_SLOTS && (!name || strcmp(names[slot], name))) slot++;
    if (slot == MOST_SLOTS) return 0;
    snprintf(spare, sizeof spare, "eth%d", slot);
    struct ifinfomsg head = {.ifi_index = netlink_index(&inside, name)};
    netlink_request(&inside, "put it out", RTM_NEWLINK, 0, &head, sizeof head);
    netlink_number(&inside, IFLA_NET_NS_FD, (unsigned)outside_space);
    netlink_text(&inside, IFLA_IFNAME, spare);
    if (netlink_send(&inside) < 0) return fail_for(name, inside.failed, failure);
    names[slot][0] = 0;
    return 0;
}

void network_rehearse(void)
{
    struct failure failure;
    /* An address of documents, on an interface that is connected to nothing yet. */
    if (network_plug("0 eth0 - - 02:00:00:00:00:01 1500 default 192.0.2.2/24,2001:db8::2/64 192.0.2.1,2001:db8::1",
                     &failure) == 0)
        network_unplug("eth0", &failure);
}

int network_configure(const struct fields *fields, struct failure *failure)
{
    size_t cursor = 0;
    for (int slot = 0; slot < MOST_SLOTS; slot++)
        if (names[slot][0] && network_unplug(names[slot], failure) < 0) return -1;
    for (const char *text; (text = fields_next(fields, "nic", &cursor));)
        if (network_plug(text, failure) < 0) return -1;
    return 0;
}
