#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

#define ENTROPY_BYTES 64
#define RNDADDENTROPY 0x40085203
#define RNDRESEEDCRNG 0x5207

struct configuration configuration;

void configure_clock(const struct fields *fields)
{
    long long nanoseconds = fields_number(fields, "time", 0);
    struct timespec now = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    if (nanoseconds > 0) clock_settime(CLOCK_REALTIME, &now);
}

/* Randomness from the host: a guest, and even more a copy of one, has little of its own. */
static void add_entropy(const char *hex)
{
    struct {
        int bits, bytes;
        unsigned char data[ENTROPY_BYTES];
    } pool = {0};
    for (; hex && hex[0] && hex[1] && pool.bytes < ENTROPY_BYTES; hex += 2) {
        char digits[3] = {hex[0], hex[1], 0};
        pool.data[pool.bytes++] = (unsigned char)strtoul(digits, NULL, 16);
    }
    pool.bits = pool.bytes * 8;
    int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    if (pool.bytes && ioctl(fd, RNDADDENTROPY, &pool) == 0) ioctl(fd, RNDRESEEDCRNG);
    close(fd);
}

static void keep(const struct fields *fields)
{
    char *copy = xmalloc(fields->length);
    memcpy(copy, fields->data, fields->length);
    configuration.fields = (struct fields){copy, fields->length};
}

int configure_ahead(const struct fields *fields, struct failure *failure)
{
    configure_clock(fields);
    add_entropy(fields_get(fields, "entropy"));
    if (storage_open(failure) < 0) return -1;
    network_rehearse();
    return process_rehearse(failure);
}

int configure(const struct fields *fields, struct failure *failure)
{
    if (configuration.done) return fail_with(failure, "invalid-state", 0, "the guest is configured already");
    keep(fields);
    configure_clock(fields);
    add_entropy(fields_get(fields, "entropy"));
    const char *name = fields_get(fields, "host"), *domain = fields_get(fields, "domain");
    if (name && sethostname(name, strlen(name)) < 0)
        return fail_with(failure, "invalid-argument", 0, "hostname %s: %s", name, strerror(errno));
    if (domain && setdomainname(domain, strlen(domain)) < 0)
        return fail_with(failure, "invalid-argument", 0, "domain name %s: %s", domain, strerror(errno));
    if (network_configure(fields, failure) < 0 || storage_mount(fields, failure) < 0) return -1;
    configuration.done = 1;
    return 0;
}

int configure_anew(const struct fields *fields, struct failure *failure)
{
    keep(fields);
    configure_clock(fields);
    add_entropy(fields_get(fields, "entropy"));
    if (network_configure(fields, failure) < 0) return -1;
    return storage_rename(fields, failure);
}
