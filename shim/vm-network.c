/* The machine's network interfaces end in taps. One that is plugged in is a port of a bridge; a free one lies in the
 * network namespace of QEMU, where it meets nothing. They vanish with QEMU's descriptors. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "network.h"
#include "vm.h"

static struct netlink host = {.fd = -1};
static struct {
    int used;
    struct endpoint endpoint;
} slots[MOST_NICS];

#define NO_TUN "this machine has no network interfaces, as the host had no /dev/net/tun when it was started: load the "\
               "module tun (modprobe tun) and start it again"

static int count(const struct fields *machine)
{
    int nics = (int)fields_number(machine, "nics", 0);
    return nics < MOST_NICS ? nics : MOST_NICS;
}

static int open_tap(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) == 0) return fd;
    int saved = errno;
    close(fd);
    return errno = saved, -1;
}

static void free_name(char name[16], int slot) { snprintf(name, 16, "nic%d", slot); }

int taps_make_free(const struct fields *machine)
{
    char name[16];
    for (int i = 0; i < count(machine); i++) {
        if (fcntl(FD_NIC + i, F_GETFD) >= 0) continue;
        free_name(name, i);
        int fd = open_tap(name);
        if (fd < 0) return -1;
        if (fd == FD_NIC + i) fcntl(fd, F_SETFD, 0);
        else if (dup2(fd, FD_NIC + i) < 0 || close(fd) < 0) return -1;
    }
    return 0;
}

static int remove_tap(const char *name)
{
    struct ifinfomsg head = {0};
    netlink_request(&host, "remove its port", RTM_DELLINK, 0, &head, sizeof head);
    netlink_text(&host, IFLA_IFNAME, name);
    return netlink_send(&host);
}

static const char *open_host(void)
{
    if (host.fd >= 0 || netlink_open(&host) == 0) return NULL;
    return "the host's kernel cannot be asked for networks";
}

static const char *open_port(const struct endpoint *endpoint, int *fd)
{
    *fd = open_tap(endpoint->port);
    /* Left by a run that was killed and whose QEMU is still ending. */
    if (*fd < 0 && errno == EBUSY && remove_tap(endpoint->port) == 0) *fd = open_tap(endpoint->port);
    if (*fd < 0) host.failed = "open a tap (/dev/net/tun)";
    return *fd < 0 || port_attach(&host, endpoint) < 0 ? port_failure(&host, endpoint) : NULL;
}

/* The endpoints of a start, each with its slot. */
static const char *take_slots(const struct fields *machine, const struct fields *request)
{
    static char text[128];
    size_t cursor = 0;
    int slot = 0;
    memset(slots, 0, sizeof slots);
    for (const char *value; (value = fields_next(request, "endpoint", &cursor)); slot++) {
        if (!count(machine)) return NO_TUN;
        if (slot == count(machine)) {
            snprintf(text, sizeof text, "a VM can be plugged into at most %d networks", count(machine));
            return text;
        }
        if (endpoint_parse(value, &slots[slot].endpoint) < 0) return "malformed endpoint";
        slots[slot].used = 1;
    }
    return NULL;
}

const char *taps_open(const struct fields *machine, const struct fields *request, int fds[FD_COUNT])
{
    const char *problem = take_slots(machine, request);
    if (!problem && slots[0].used) problem = open_host();
    for (int i = 0; !problem && i < MOST_NICS && slots[i].used; i++)
        problem = open_port(&slots[i].endpoint, &fds[FD_NIC - FD_LINK + i]);
    return problem;
}

/* A socket and a descriptor for the network namespace that QEMU is in. */
static int enter_machine(struct netlink *theirs)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/net", machine_pid());
    int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), space = open(path, O_RDONLY | O_CLOEXEC);
    int state = ours < 0 || space < 0 || setns(space, CLONE_NEWNET) < 0 ? -1 : 0;
    if (state == 0) {
        state = netlink_open(theirs);
        /* Without a way back everything that follows would be done in the wrong network. */
        if (setns(ours, CLONE_NEWNET) < 0) _exit(70);
    }
    if (ours >= 0) close(ours);
    if (state == 0) return space;
    if (space >= 0) close(space);
    return -1;
}

/* Takes the interface `name` of one namespace into another, where it has another name. */
static int move(struct netlink *from, const char *name, int to, const char *new_name)
{
    struct ifinfomsg head = {.ifi_index = netlink_index(from, name), .ifi_change = IFF_UP};
    from->failed = "find its tap";
    if (!head.ifi_index) return -1;
    netlink_request(from, "move its tap", RTM_NEWLINK, 0, &head, sizeof head);
    netlink_number(from, IFLA_NET_NS_FD, (unsigned)to);
    netlink_text(from, IFLA_IFNAME, new_name);
    return netlink_send(from);
}

static const char *plug_slot(int slot)
{
    char name[16];
    const struct endpoint *endpoint = &slots[slot].endpoint;
    struct netlink theirs = {.fd = -1};
    int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), space = enter_machine(&theirs);
    const char *problem = open_host();
    free_name(name, slot);
    theirs.failed = "find the machine's network";
    if (!problem && (space < 0 || move(&theirs, name, ours, endpoint->port) < 0)) problem = port_failure(&theirs, endpoint);
    if (!problem && port_attach(&host, endpoint) < 0) problem = port_failure(&host, endpoint);
    netlink_close(&theirs);
    if (space >= 0) close(space);
    if (ours >= 0) close(ours);
    return problem;
}

const char *taps_plug_all(const struct fields *machine, const struct fields *request)
{
    const char *problem = take_slots(machine, request);
    for (int i = 0; !problem && i < MOST_NICS && slots[i].used; i++) problem = plug_slot(i);
    return problem;
}

void taps_tell(const struct fields *request, struct buffer *fields)
{
    size_t cursor = 0;
    char text[512];
    int slot = 0;
    for (const char *value; (value = fields_next(request, "endpoint", &cursor));) {
        snprintf(text, sizeof text, "%d %s", slot++, value);
        field_add(fields, "nic", text);
    }
}

static int find(const char *name)
{
    for (int i = 0; i < MOST_NICS; i++)
        if (slots[i].used && !strcmp(slots[i].endpoint.name, name)) return i;
    return -1;
}

static void relay(struct conn *conn, const char *op, const char *key, const char *value)
{
    struct buffer data = {0};
    field_add(&data, "op", op);
    field_add(&data, key, value);
    struct fields fields = {buffer_head(&data), data.length};
    link_relay(conn, &fields, ANSWERS_ONCE);
    buffer_free(&data);
}

static void plug(struct conn *conn, const struct fields *machine, const char *text)
{
    struct endpoint endpoint;
    char field[512];
    int slot = 0;
    if (!text || endpoint_parse(text, &endpoint) < 0)
        return conn_fail(conn, "invalid-argument", 0, "malformed endpoint");
    int known = find(endpoint.name);
    if (known >= 0) {
        /* Its port may have lost its bridge. */
        if (port_attach(&host, &endpoint) == 0) return conn_opened(conn);
        return conn_fail(conn, "internal", 0, "%s", port_failure(&host, &endpoint));
    }
    if (!count(machine)) return conn_fail(conn, "unavailable", 0, NO_TUN);
    while (slot < count(machine) && slots[slot].used) slot++;
    if (slot == count(machine))
        return conn_fail(conn, "unsupported", 0, "the VM has %d network interfaces, and all are in use: disconnect it "
                         "from another network first", count(machine));
    slots[slot].endpoint = endpoint;
    const char *problem = plug_slot(slot);
    if (problem) return conn_fail(conn, "internal", 0, "%s", problem);
    slots[slot].used = 1;
    snprintf(field, sizeof field, "%d %s", slot, text);
    relay(conn, "plug", "nic", field);
}

static void unplug(struct conn *conn, const char *name)
{
    char spare[16];
    int slot = name ? find(name) : -1;
    if (slot < 0) return conn_opened(conn);
    struct netlink theirs = {.fd = -1};
    int space = enter_machine(&theirs);
    free_name(spare, slot);
    int moved = space < 0 ? -1 : move(&host, slots[slot].endpoint.port, space, spare);
    const char *problem = moved < 0 ? port_failure(&host, &slots[slot].endpoint) : NULL;
    netlink_close(&theirs);
    if (space >= 0) close(space);
    if (problem) return conn_fail(conn, "internal", 0, "%s", problem);
    slots[slot].used = 0;
    relay(conn, "unplug", "name", name);
}

int taps_operation(struct conn *conn, const char *op, const struct fields *machine, const struct fields *fields)
{
    if (!strcmp(op, "plug")) return plug(conn, machine, fields_get(fields, "endpoint")), 0;
    if (!strcmp(op, "unplug")) return unplug(conn, fields_get(fields, "name")), 0;
    return -1;
}
