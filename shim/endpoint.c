#define _GNU_SOURCE
#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int parse_address(char *text, struct address *address)
{
    char *slash = strchr(text, '/');
    address->family = strchr(text, ':') ? AF_INET6 : AF_INET;
    int most = address->family == AF_INET6 ? 128 : 32, prefix = most;
    if (slash) {
        *slash = 0;
        prefix = atoi(slash + 1);
    }
    if (prefix < 0 || prefix > most) return -1;
    address->prefix = (unsigned char)prefix;
    return inet_pton(address->family, text, address->bytes) == 1 ? 0 : -1;
}

static int parse_addresses(char *list, struct address addresses[2], int *count)
{
    char *rest = NULL;
    *count = 0;
    if (!strcmp(list, "-")) return 0;
    for (char *text = strtok_r(list, ",", &rest); text; text = strtok_r(NULL, ",", &rest))
        if (*count == 2 || parse_address(text, &addresses[(*count)++]) < 0) return -1;
    return 0;
}

int endpoint_parse(const char *text, struct endpoint *endpoint)
{
    char route[16], addresses[128], gateways[128];
    unsigned char *mac = endpoint->mac;
    memset(endpoint, 0, sizeof *endpoint);
    if (sscanf(text, "%15s %15s %15s %hhx:%hhx:%hhx:%hhx:%hhx:%hhx %u %15s %127s %127s", endpoint->name, endpoint->port,
               endpoint->bridge, mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5, &endpoint->mtu, route, addresses,
               gateways) != 13)
        return -1;
    endpoint->default_route = !strcmp(route, "default");
    return parse_addresses(addresses, endpoint->addresses, &endpoint->address_count) < 0
               ? -1
               : parse_addresses(gateways, endpoint->gateways, &endpoint->gateway_count);
}

static void set(const char *family, const char *interface, const char *name, const char *value)
{
    char path[96];
    snprintf(path, sizeof path, "/proc/sys/net/%s/conf/%s/%s", family, interface, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    /* A kernel without IPv6 has none of its settings, and needs none. */
    if (fd >= 0 && write(fd, value, strlen(value)) < 0) errno = 0;
    if (fd >= 0) close(fd);
}

void endpoint_defaults(void)
{
    /* An address that was another's is announced: who knew that one learns of this one at once. */
    set("ipv4", "default", "arp_notify", "1");
    set("ipv6", "default", "ndisc_notify", "1");
    /* A host that forwards to where a packet came from says so to the sender, who shall not try the straight way: there is
     * none. For IPv4 either of the two settings would do. */
    set("ipv4", "all", "accept_redirects", "0");
    set("ipv4", "default", "accept_redirects", "0");
    set("ipv6", "default", "accept_redirects", "0");
    /* Addresses and routes are ours to give, and nobody else has these. */
    set("ipv6", "default", "accept_ra", "0");
    set("ipv6", "default", "accept_dad", "0");
    set("ipv6", "default", "disable_ipv6", "1");
}

static void set_up(struct netlink *link, int index)
{
    struct ifinfomsg head = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    netlink_request(link, "bring it up", RTM_NEWLINK, 0, &head, sizeof head);
}

int endpoint_loopback(struct netlink *inside)
{
    /* The first interface of every network namespace. */
    set_up(inside, 1);
    return netlink_send(inside);
}

static size_t size_of(const struct address *address) { return address->family == AF_INET6 ? 16 : 4; }

static void add_address(struct netlink *link, int index, const struct address *address)
{
    struct ifaddrmsg head = {.ifa_family = (unsigned char)address->family, .ifa_prefixlen = address->prefix,
                             .ifa_index = (unsigned)index};
    netlink_request(link, "give it its address", RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof head);
    netlink_attribute(link, IFA_LOCAL, address->bytes, size_of(address));
    netlink_attribute(link, IFA_ADDRESS, address->bytes, size_of(address));
    netlink_number(link, IFA_FLAGS, IFA_F_NOPREFIXROUTE | IFA_F_NODAD);
}

/* To `to`, NULL: everything, through `gateway`, NULL: directly. */
static void add_route(struct netlink *link, const char *step, int index, const struct address *to,
                      const struct address *gateway)
{
    int family = to ? to->family : gateway->family;
    struct rtmsg head = {.rtm_family = (unsigned char)family, .rtm_dst_len = to ? to->prefix : 0,
                         .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC, .rtm_type = RTN_UNICAST,
                         .rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK};
    netlink_request(link, step, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof head);
    if (to) netlink_attribute(link, RTA_DST, to->bytes, size_of(to));
    if (gateway) netlink_attribute(link, RTA_GATEWAY, gateway->bytes, size_of(gateway));
    netlink_number(link, RTA_OIF, (unsigned)index);
}

static struct address network_of(struct address address)
{
    for (unsigned bit = address.prefix; bit < size_of(&address) * 8; bit++)
        address.bytes[bit / 8] &= (unsigned char)~(0x80u >> bit % 8);
    return address;
}

/* Neighbours are reached through the gateway, too: what they say to each other passes the host's rules. */
static void add_routes(struct netlink *link, int index, const struct endpoint *endpoint, const struct address *gateway)
{
    struct address alone = *gateway;
    alone.prefix = (unsigned char)(size_of(gateway) * 8);
    add_route(link, "reach its gateway", index, &alone, NULL);
    for (int i = 0; i < endpoint->address_count; i++) {
        struct address network = network_of(endpoint->addresses[i]);
        if (network.family == gateway->family && network.prefix < alone.prefix)
            add_route(link, "reach its network", index, &network, gateway);
    }
    if (endpoint->default_route) add_route(link, "reach everything through it", index, NULL, gateway);
}

int endpoint_configure(struct netlink *inside, const struct endpoint *endpoint)
{
    inside->failed = "find it";
    int index = netlink_index(inside, endpoint->name);
    if (!index) return -1;
    /* Coming up with an address is what is announced. */
    for (int i = 0; i < endpoint->address_count; i++)
        if (endpoint->addresses[i].family == AF_INET) add_address(inside, index, &endpoint->addresses[i]);
        else set("ipv6", endpoint->name, "disable_ipv6", "0");
    set_up(inside, index);
    for (int i = 0; i < endpoint->address_count; i++)
        if (endpoint->addresses[i].family == AF_INET6) add_address(inside, index, &endpoint->addresses[i]);
    for (int i = 0; i < endpoint->gateway_count; i++) add_routes(inside, index, endpoint, &endpoint->gateways[i]);
    return netlink_send(inside);
}
