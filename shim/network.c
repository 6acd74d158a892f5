#define _GNU_SOURCE
#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container.h"

#define NAMESPACE "run/netns"

static struct netlink host = {.fd = -1}, inside = {.fd = -1};
static int own = -1, outside = -1;
static struct endpoint endpoints[MOST_ENDPOINTS];
static int count;

const char *port_failure(const struct netlink *link, const struct endpoint *endpoint)
{
    static char text[256];
    snprintf(text, sizeof text, "cannot plug %s into the bridge %s by the port %s: cannot %s: %s", endpoint->name,
             endpoint->bridge, endpoint->port, link->failed ? link->failed : "begin", strerror(errno));
    return text;
}

/* The port learns nothing and is sent nothing that is not for it: its one address is known. */
static void set_port(struct netlink *link, int index)
{
    struct ifinfomsg head = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    netlink_request(link, "isolate its port", RTM_NEWLINK, 0, &head, sizeof head);
    size_t info = netlink_nest(link, IFLA_LINKINFO, NULL, 0);
    netlink_text(link, IFLA_INFO_SLAVE_KIND, "bridge");
    size_t data = netlink_nest(link, IFLA_INFO_SLAVE_DATA, NULL, 0);
    netlink_byte(link, IFLA_BRPORT_ISOLATED, 1);
    netlink_byte(link, IFLA_BRPORT_LEARNING, 0);
    netlink_byte(link, IFLA_BRPORT_UNICAST_FLOOD, 0);
    netlink_byte(link, IFLA_BRPORT_MCAST_FLOOD, 0);
    netlink_byte(link, IFLA_BRPORT_BCAST_FLOOD, 0);
    netlink_end(link, data);
    netlink_end(link, info);
}

/* It has no addresses of its own, nothing to say, and nobody to say it to. */
static void set_quiet(struct netlink *link)
{
    if (access("/proc/sys/net/ipv6/conf", F_OK) < 0) return;
    size_t families = netlink_nest(link, IFLA_AF_SPEC, NULL, 0), family = netlink_nest(link, AF_INET6, NULL, 0);
    netlink_byte(link, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    netlink_end(link, family);
    netlink_end(link, families);
}

static void set_neighbour(struct netlink *link, int index, const unsigned char mac[6])
{
    struct ndmsg head = {.ndm_family = AF_BRIDGE, .ndm_ifindex = index, .ndm_state = NUD_NOARP, .ndm_flags = NTF_MASTER};
    netlink_request(link, "tell the bridge its address", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof head);
    netlink_attribute(link, NDA_LLADDR, mac, 6);
}

int port_attach(struct netlink *link, const struct endpoint *endpoint)
{
    link->failed = "find the bridge";
    int bridge = netlink_index(link, endpoint->bridge);
    if (!bridge) return -1;
    link->failed = "find its port";
    int port = netlink_index(link, endpoint->port);
    if (!port) return -1;
    struct ifinfomsg head = {.ifi_index = port};
    netlink_request(link, "attach its port", RTM_NEWLINK, 0, &head, sizeof head);
    netlink_number(link, IFLA_MASTER, (unsigned)bridge);
    netlink_number(link, IFLA_MTU, endpoint->mtu);
    set_quiet(link);
    set_port(link, port);
    set_neighbour(link, port, endpoint->mac);
    return netlink_send(link);
}

/* The other end is made inside at once, by its name. */
static int make_pair(const struct endpoint *endpoint)
{
    struct ifinfomsg head = {0};
    netlink_request(&host, "make its pair of interfaces", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
    netlink_text(&host, IFLA_IFNAME, endpoint->port);
    netlink_number(&host, IFLA_MTU, endpoint->mtu);
    size_t info = netlink_nest(&host, IFLA_LINKINFO, NULL, 0);
    netlink_text(&host, IFLA_INFO_KIND, "veth");
    size_t data = netlink_nest(&host, IFLA_INFO_DATA, NULL, 0);
    size_t peer = netlink_nest(&host, VETH_INFO_PEER, &head, sizeof head);
    netlink_text(&host, IFLA_IFNAME, endpoint->name);
    netlink_attribute(&host, IFLA_ADDRESS, endpoint->mac, 6);
    netlink_number(&host, IFLA_MTU, endpoint->mtu);
    netlink_number(&host, IFLA_NET_NS_FD, (unsigned)own);
    netlink_end(&host, peer);
    netlink_end(&host, data);
    netlink_end(&host, info);
    return netlink_send(&host);
}

static int remove_port(const char *port)
{
    struct ifinfomsg head = {0};
    netlink_request(&host, "remove its port", RTM_DELLINK, 0, &head, sizeof head);
    netlink_text(&host, IFLA_IFNAME, port);
    return netlink_send(&host);
}

static const char *configure_inside(const struct endpoint *endpoint)
{
    if (setns(own, CLONE_NEWNET) < 0) return strerror(errno);
    int done = endpoint_configure(&inside, endpoint);
    const char *failure = done < 0 ? port_failure(&inside, endpoint) : NULL;
    /* Without a way back everything that follows would be done in the wrong network. */
    if (setns(outside, CLONE_NEWNET) < 0) _exit(70);
    return failure;
}

static struct endpoint *find(const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(endpoints[i].name, name)) return &endpoints[i];
    return NULL;
}

static const char *plug(const struct endpoint *endpoint)
{
    struct endpoint *known = find(endpoint->name);
    /* Its port may have lost its bridge. */
    if (known && !strcmp(known->port, endpoint->port) && netlink_index(&host, endpoint->port))
        return port_attach(&host, endpoint) < 0 ? port_failure(&host, endpoint) : NULL;
    if (count == MOST_ENDPOINTS) return errno = ENOSPC, host.failed = "have so many", port_failure(&host, endpoint);
    int made = make_pair(endpoint);
    /* Of the run before, whose namespace the kernel is still taking down: nobody has waited for that. */
    if (made < 0 && errno == EEXIST && (remove_port(endpoint->port) == 0 || errno == ENODEV)) made = make_pair(endpoint);
    if (made < 0) return port_failure(&host, endpoint);
    const char *failure = port_attach(&host, endpoint) < 0 ? port_failure(&host, endpoint) : configure_inside(endpoint);
    if (failure) remove_port(endpoint->port);
    else if (known) *known = *endpoint;
    else endpoints[count++] = *endpoint;
    return failure;
}

static int bind_namespace(const char *source)
{
    return write_file(NAMESPACE, "", 0) < 0 ? -1 : mount(source, NAMESPACE, NULL, MS_BIND, NULL);
}

const char *network_prepare(void)
{
    static char text[128];
    outside = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (outside >= 0 && netlink_open(&host) == 0 && unshare(CLONE_NEWNET) == 0) {
        own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        endpoint_defaults();
        int made = own < 0 || netlink_open(&inside) < 0 || endpoint_loopback(&inside) < 0 ||
                   bind_namespace("/proc/self/ns/net") < 0 ? -1 : 0;
        int saved = errno;
        if (setns(outside, CLONE_NEWNET) < 0) _exit(70);
        if (made == 0) return NULL;
        errno = saved;
    }
    snprintf(text, sizeof text, "cannot make a network namespace: %s", strerror(errno));
    return text;
}

/* The process id may be another's by now; what must not happen is that the container gets into the host's network. */
static const char *join(int pid)
{
    static char text[160];
    char path[64];
    struct stat theirs, ours;
    snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &theirs) < 0 || fstat(outside, &ours) < 0) {
        snprintf(text, sizeof text, "cannot join the network of process %d: %s; start its container first", pid,
                 strerror(errno));
    } else if (theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev) {
        snprintf(text, sizeof text, "cannot join the network of process %d: it is the host's", pid);
    } else {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        umount2(NAMESPACE, MNT_DETACH);
        if (bind_namespace(path) == 0) return close(fd), close(own), own = -1, NULL;
        snprintf(text, sizeof text, "cannot join the network of process %d: %s", pid, strerror(errno));
    }
    if (fd >= 0) close(fd);
    return text;
}

static const char *plug_all(const struct fields *fields)
{
    size_t cursor = 0;
    struct endpoint endpoint;
    for (const char *text; (text = fields_next(fields, "endpoint", &cursor));) {
        const char *failure = endpoint_parse(text, &endpoint) < 0 ? "malformed endpoint" : plug(&endpoint);
        if (failure) return failure;
    }
    return NULL;
}

const char *network_start(const struct fields *request)
{
    int pid = (int)fields_number(request, "join_network", 0);
    if (own < 0) return pid || fields_get(request, "endpoint") ? "the container shares the host's network" : NULL;
    return pid ? join(pid) : plug_all(request);
}

static const char *unplug(const char *name)
{
    struct endpoint *known = find(name);
    if (!known) return NULL;
    if (remove_port(known->port) < 0 && errno != ENODEV) return port_failure(&host, known);
    *known = endpoints[--count];
    return NULL;
}

int network_operation(struct conn *conn, const char *op, const struct fields *fields)
{
    const char *name = fields_get(fields, "name"), *failure;
    int is_plug = !strcmp(op, "plug");
    if (!is_plug && strcmp(op, "unplug")) return -1;
    if (main_state() != MAIN_RUNNING || own < 0)
        return conn_fail(conn, "invalid-state", 0, "the container has no running network of its own"), 0;
    failure = is_plug ? plug_all(fields) : unplug(name ? name : "");
    if (failure) conn_fail(conn, "internal", 0, "%s", failure);
    else conn_opened(conn);
    return 0;
}

/* To remove an interface the kernel waits for all that it has under way, some 20 ms. One that is down and off its bridge
 * is nothing any more, and ends with the namespace: soon, or with the last container that joined it, which must not go on
 * sending by a port whose rules are gone. */
static int abandon_port(const char *port)
{
    struct ifinfomsg head = {.ifi_index = netlink_index(&host, port), .ifi_change = IFF_UP};
    if (!head.ifi_index) return 0;
    netlink_request(&host, "abandon its port", RTM_NEWLINK, 0, &head, sizeof head);
    netlink_number(&host, IFLA_MASTER, 0);
    return netlink_send(&host);
}

void network_end(void)
{
    while (count > 0)
        if (abandon_port(endpoints[--count].port) < 0) remove_port(endpoints[count].port);
}
