#define _GNU_SOURCE
#include "netlink.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int netlink_open(struct netlink *link)
{
    link->length = link->count = 0;
    link->failed = NULL;
    link->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    return link->fd < 0 ? -1 : 0;
}

void netlink_close(struct netlink *link)
{
    if (link->fd >= 0) close(link->fd);
    link->fd = -1;
}

/* Room for it, aligned and zeroed; what does not fit makes netlink_send fail. */
static void *append(struct netlink *link, const void *data, size_t length)
{
    size_t room = NLMSG_ALIGN(length);
    char *place = link->data + link->length;
    if (link->length + room > sizeof link->data) return link->count = NETLINK_MOST_REQUESTS + 1, link->data;
    memset(place, 0, room);
    if (data) memcpy(place, data, length);
    link->length += room;
    return place;
}

void netlink_request(struct netlink *link, const char *step, int type, int flags, const void *head, size_t length)
{
    if (link->count >= NETLINK_MOST_REQUESTS) return (void)(link->count = NETLINK_MOST_REQUESTS + 1);
    link->steps[link->count] = step;
    struct nlmsghdr header = {.nlmsg_len = NLMSG_LENGTH(length), .nlmsg_type = (unsigned short)type,
                              .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags),
                              .nlmsg_seq = ++link->count};
    link->last = link->length;
    append(link, &header, sizeof header);
    append(link, head, length);
}

/* The last request has become longer. */
static void extend(struct netlink *link)
{
    ((struct nlmsghdr *)(link->data + link->last))->nlmsg_len = (unsigned)(link->length - link->last);
}

void netlink_attribute(struct netlink *link, int type, const void *data, size_t length)
{
    struct rtattr attribute = {.rta_len = (unsigned short)RTA_LENGTH(length), .rta_type = (unsigned short)type};
    append(link, &attribute, sizeof attribute);
    append(link, data, length);
    extend(link);
}

void netlink_text(struct netlink *link, int type, const char *text)
{
    netlink_attribute(link, type, text, strlen(text) + 1);
}

void netlink_number(struct netlink *link, int type, unsigned value)
{
    netlink_attribute(link, type, &value, sizeof value);
}

void netlink_byte(struct netlink *link, int type, unsigned char value) { netlink_attribute(link, type, &value, 1); }

size_t netlink_nest(struct netlink *link, int type, const void *head, size_t length)
{
    size_t nest = link->length;
    netlink_attribute(link, type, head, length);
    return nest;
}

void netlink_end(struct netlink *link, size_t nest)
{
    ((struct rtattr *)(link->data + nest))->rta_len = (unsigned short)(link->length - nest);
}

void netlink_read(struct netlink *link, const char *answers, size_t length, unsigned wanted, unsigned *seen, int *error)
{
    const struct nlmsghdr *header = (const struct nlmsghdr *)answers;
    /* A last answer that is not whole would make the rest negative, in a number without sign. */
    for (; NLMSG_OK(header, length); header = (const struct nlmsghdr *)((const char *)header + NLMSG_ALIGN(header->nlmsg_len))) {
        const struct nlmsgerr *answer = (const struct nlmsgerr *)((const char *)header + NLMSG_HDRLEN);
        int is_answer = header->nlmsg_type == NLMSG_ERROR && header->nlmsg_len >= NLMSG_LENGTH(sizeof answer->error)
                        && header->nlmsg_seq && header->nlmsg_seq <= wanted && *seen < wanted;
        if (is_answer && answer->error < 0 && answer->error > -4096 && !*error) {
            *error = -answer->error;
            link->failed = link->steps[header->nlmsg_seq - 1];
        }
        *seen += (unsigned)is_answer;
        size_t whole = NLMSG_ALIGN(header->nlmsg_len);
        length -= whole < length ? whole : length;
    }
}

/* The kernel answers each request, in their order. */
static int read_answers(struct netlink *link, unsigned wanted)
{
    _Alignas(4) char answers[16384];
    int error = 0;
    for (unsigned seen = 0; seen < wanted;) {
        ssize_t length = recv(link->fd, answers, sizeof answers, 0);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0) return errno;
        netlink_read(link, answers, (size_t)length, wanted, &seen, &error);
    }
    return error;
}

int netlink_send(struct netlink *link)
{
    unsigned count = link->count;
    size_t length = link->length;
    link->count = 0;
    link->length = 0;
    link->failed = link->steps[0];
    if (!count) return 0;
    if (count > NETLINK_MOST_REQUESTS) return errno = E2BIG, -1;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    if (sendto(link->fd, link->data, length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) return -1;
    int error = read_answers(link, count);
    return error ? errno = error, -1 : 0;
}

int netlink_index(const struct netlink *link, const char *name)
{
    struct ifreq request = {0};
    strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
    return ioctl(link->fd, SIOCGIFINDEX, &request) < 0 ? 0 : request.ifr_ifindex;
}
