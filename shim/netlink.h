/* rtnetlink: several requests in one call of the kernel, which does them in their order. For the shim and the agent. */
#ifndef BERTH_NETLINK_H
#define BERTH_NETLINK_H

#include <linux/rtnetlink.h>
#include <stddef.h>

#define NETLINK_MOST_REQUESTS 32

struct netlink {
    int fd;
    /* `last`: where the last request begins. */
    size_t length, last;
    unsigned count;
    /* What each request is for, and after netlink_send what failed. */
    const char *steps[NETLINK_MOST_REQUESTS], *failed;
    _Alignas(4) char data[8192];
};

/* Of the network namespace that the caller is in now, for ever; 0, or -1 with errno. */
int netlink_open(struct netlink *link);
void netlink_close(struct netlink *link);
/* One more request: its head, then its attributes. */
void netlink_request(struct netlink *link, const char *step, int type, int flags, const void *head, size_t length);
void netlink_attribute(struct netlink *link, int type, const void *data, size_t length);
void netlink_text(struct netlink *link, int type, const char *text);
void netlink_number(struct netlink *link, int type, unsigned value);
void netlink_byte(struct netlink *link, int type, unsigned char value);
/* What follows belongs to it until netlink_end with what it returned; `head` may be NULL. */
size_t netlink_nest(struct netlink *link, int type, const void *head, size_t length);
void netlink_end(struct netlink *link, size_t nest);
/* Has all that was requested done; 0, or -1 with the errno of the first that failed and its step in `failed`. What came
 * after that one was tried all the same. */
int netlink_send(struct netlink *link);
/* Takes in what the socket delivered: counts answers to the `wanted` requests in `seen`, and notes the first failure. */
void netlink_read(struct netlink *link, const char *answers, size_t length, unsigned wanted, unsigned *seen, int *error);
/* The index of an interface; 0 with errno when there is none. */
int netlink_index(const struct netlink *link, const char *name);

#endif
