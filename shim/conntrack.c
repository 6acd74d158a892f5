/* Forgets what the kernel remembers of flows, by ctnetlink: a flow goes where its first packet went for as long as it is
 * used, whoever has the port or the address by now. */
#define _GNU_SOURCE
#include "conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* `udp/ADDRESS/PORT`: flows that were sent there, ADDRESS `*` being any; `ADDRESS`: all flows from or to it. */
struct wish {
    int family;
    unsigned char address[16];
    uint16_t port;
};

struct tuple {
    const unsigned char *source, *target;
    size_t length;
    uint8_t protocol;
    uint16_t port;
};

static int parse_wish(const char *text, struct wish *wish)
{
    char address[64] = "", port[8] = "";
    memset(wish, 0, sizeof *wish);
    if (strncmp(text, "udp/", 4)) snprintf(address, sizeof address, "%s", text);
    else if (sscanf(text + 4, "%63[^/]/%7s", address, port) != 2 || atoi(port) <= 0 || atoi(port) > 65535) return -1;
    wish->port = htons((uint16_t)atoi(port));
    if (wish->port && !strcmp(address, "*")) return 0;
    wish->family = strchr(address, ':') ? AF_INET6 : AF_INET;
    return inet_pton(wish->family, address, wish->address) == 1 ? 0 : -1;
}

static const struct nlattr *next(const struct nlattr *attribute, const char *end)
{
    const char *place = (const char *)attribute;
    if (end - place < (ptrdiff_t)sizeof *attribute || attribute->nla_len < sizeof *attribute ||
        attribute->nla_len > end - place)
        return NULL;
    return attribute;
}

static const struct nlattr *find(const char *data, size_t length, int type)
{
    const char *end = data + length;
    for (const struct nlattr *attribute; (attribute = next((const void *)data, end));) {
        if ((attribute->nla_type & NLA_TYPE_MASK) == type) return attribute;
        if (NLA_ALIGN(attribute->nla_len) >= end - data) break;
        data += NLA_ALIGN(attribute->nla_len);
    }
    return NULL;
}

static const char *content(const struct nlattr *attribute) { return (const char *)attribute + NLA_HDRLEN; }
static size_t length_of(const struct nlattr *attribute) { return attribute ? (size_t)(attribute->nla_len - NLA_HDRLEN) : 0; }

static const struct nlattr *inside(const struct nlattr *nest, int type)
{
    return nest ? find(content(nest), length_of(nest), type) : NULL;
}

static int read_tuple(const struct nlattr *nest, int family, struct tuple *tuple)
{
    const struct nlattr *ip = inside(nest, CTA_TUPLE_IP), *proto = inside(nest, CTA_TUPLE_PROTO);
    int six = family == AF_INET6;
    const struct nlattr *source = inside(ip, six ? CTA_IP_V6_SRC : CTA_IP_V4_SRC);
    const struct nlattr *target = inside(ip, six ? CTA_IP_V6_DST : CTA_IP_V4_DST);
    const struct nlattr *number = inside(proto, CTA_PROTO_NUM), *port = inside(proto, CTA_PROTO_DST_PORT);
    tuple->length = six ? 16 : 4;
    if (length_of(source) < tuple->length || length_of(target) < tuple->length || length_of(number) < 1) return -1;
    tuple->source = (const unsigned char *)content(source);
    tuple->target = (const unsigned char *)content(target);
    tuple->protocol = *(const uint8_t *)content(number);
    tuple->port = 0;
    if (length_of(port) >= sizeof tuple->port) memcpy(&tuple->port, content(port), sizeof tuple->port);
    return 0;
}

static int touches(const struct tuple *tuple, const struct wish *wish)
{
    return !memcmp(tuple->source, wish->address, tuple->length) || !memcmp(tuple->target, wish->address, tuple->length);
}

static int is_wanted(const struct wish *wish, int family, const struct tuple *sent, const struct tuple *answered)
{
    if (wish->family && wish->family != family) return 0;
    if (!wish->port) return touches(sent, wish) || touches(answered, wish);
    return sent->protocol == IPPROTO_UDP && sent->port == wish->port &&
           (!wish->family || !memcmp(sent->target, wish->address, sent->length));
}

static int open_socket(void)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    return fd < 0 || connect(fd, (struct sockaddr *)&kernel, sizeof kernel) < 0 ? -1 : fd;
}

struct request {
    struct nlmsghdr head;
    struct nfgenmsg family;
    char data[512];
};

static int send_request(int fd, struct request *request, int type, int flags, int family, size_t length)
{
    request->head = (struct nlmsghdr){.nlmsg_len = (unsigned)(NLMSG_LENGTH(sizeof request->family) + length),
                                      .nlmsg_type = (unsigned short)(NFNL_SUBSYS_CTNETLINK << 8 | type),
                                      .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags)};
    request->family = (struct nfgenmsg){.nfgen_family = (unsigned char)family, .version = NFNETLINK_V0};
    return send(fd, request, request->head.nlmsg_len, 0) < 0 ? -1 : 0;
}

/* Named by its first tuple, its number and its zone, so that no later flow is meant. */
static void delete_flow(int fd, int family, const char *data, size_t length)
{
    static const int named_by[] = {CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE};
    struct request request;
    size_t used = 0;
    for (size_t i = 0; i < sizeof named_by / sizeof *named_by; i++) {
        const struct nlattr *part = find(data, length, named_by[i]);
        if (!part || used + NLA_ALIGN(part->nla_len) > sizeof request.data) continue;
        memset(request.data + used, 0, NLA_ALIGN(part->nla_len));
        memcpy(request.data + used, part, part->nla_len);
        used += NLA_ALIGN(part->nla_len);
    }
    /* A flow that has ended by itself meanwhile is no failure. */
    send_request(fd, &request, IPCTNL_MSG_CT_DELETE, 0, family, used);
}

static void consider(int deleter, const struct nlmsghdr *head, const struct wish *wishes, int count)
{
    const struct nfgenmsg *family = NLMSG_DATA(head);
    const char *data = (const char *)family + NLMSG_ALIGN(sizeof *family);
    if (head->nlmsg_len < NLMSG_LENGTH(sizeof *family)) return;
    size_t length = head->nlmsg_len - NLMSG_LENGTH(sizeof *family);
    struct tuple sent, answered;
    if (read_tuple(find(data, length, CTA_TUPLE_ORIG), family->nfgen_family, &sent) < 0 ||
        read_tuple(find(data, length, CTA_TUPLE_REPLY), family->nfgen_family, &answered) < 0)
        return;
    for (int i = 0; i < count; i++)
        if (is_wanted(&wishes[i], family->nfgen_family, &sent, &answered))
            return delete_flow(deleter, family->nfgen_family, data, length);
}

static int flush(int reader, int deleter, int family, const struct wish *wishes, int count)
{
    static _Alignas(8) char answers[65536];
    struct request request;
    if (send_request(reader, &request, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family, 0) < 0) return -1;
    for (;;) {
        ssize_t length = recv(reader, answers, sizeof answers, 0);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0) return -1;
        for (struct nlmsghdr *head = (void *)answers; NLMSG_OK(head, (size_t)length); head = NLMSG_NEXT(head, length)) {
            if (head->nlmsg_type == NLMSG_DONE) return 0;
            if (head->nlmsg_type == NLMSG_ERROR) return errno = -((struct nlmsgerr *)NLMSG_DATA(head))->error, -1;
            consider(deleter, head, wishes, count);
        }
    }
}

int conntrack_main(int argc, char **argv)
{
    int count = argc - 2, reader = open_socket(), deleter = open_socket();
    struct wish *wishes = calloc((size_t)count + 1, sizeof *wishes);
    for (int i = 0; wishes && i < count; i++)
        if (parse_wish(argv[i + 2], &wishes[i]) < 0) return dprintf(2, "not a flow: %s\n", argv[i + 2]), 64;
    if (!wishes || reader < 0 || deleter < 0 || flush(reader, deleter, AF_INET, wishes, count) < 0 ||
        flush(reader, deleter, AF_INET6, wishes, count) < 0)
        return dprintf(2, "the kernel's table of flows cannot be changed: %s\n", strerror(errno)), 1;
    return 0;
}
