/* Limits of the machine's traffic with its disks. QEMU holds to them, for both disks together, so that they bind whatever
 * the guest or the host's page cache does. */
#define _GNU_SOURCE
#include <stdio.h>

#include "vm.h"

static const char *const disks[] = {"vda", "vdb"};
static const char *const limits[] = {"disk_read_bps", "disk_write_bps", "disk_read_iops", "disk_write_iops"};

#define DISKS (sizeof disks / sizeof *disks)
#define LIMITS (sizeof limits / sizeof *limits)

/* Whoever asked, if someone did and still wants to know. */
static struct conn *asker;
/* Answers of QEMU that are to come, and the first that was no. */
static int waiting;
static char refusal[256];

static void forget(struct conn *conn)
{
    (void)conn;
    asker = NULL;
}

static const struct conn_handler asking = {.closed = forget};

static void answered(const char *failure)
{
    if (failure && !*refusal) snprintf(refusal, sizeof refusal, "QEMU cannot limit the disks: %s", failure);
    if (--waiting) return;
    struct conn *conn = asker;
    asker = NULL;
    if (conn) conn_take(conn, NULL, NULL);
    if (!conn && *refusal) vm_give_up(refusal);
    else if (conn && *refusal) conn_fail(conn, "internal", 0, "%s", refusal);
    else if (conn) conn_opened(conn);
}

static void limit(const struct fields *fields)
{
    long long number[LIMITS];
    *refusal = 0;
    waiting = DISKS;
    for (size_t i = 0; i < LIMITS; i++) number[i] = fields_number(fields, limits[i], 0);
    for (size_t i = 0; i < DISKS; i++)
        qmp_run("block_set_io_throttle", -1, answered,
                "\"id\":\"/machine/peripheral/%s/virtio-backend\",\"group\":\"disks\",\"bps\":0,\"bps_rd\":%lld,\"bps_wr\":%lld,"
                "\"iops\":0,\"iops_rd\":%lld,\"iops_wr\":%lld",
                disks[i], number[0], number[1], number[2], number[3]);
}

void throttle_begin(const struct fields *machine)
{
    for (size_t i = 0; i < LIMITS; i++)
        if (fields_number(machine, limits[i], 0)) return limit(machine);
}

void throttle_change(struct conn *conn, const struct fields *fields)
{
    if (main_state() != MAIN_RUNNING && main_state() != MAIN_PAUSED)
        return conn_fail(conn, "invalid-state", 0, "the instance is not running");
    if (waiting) return conn_fail(conn, "conflict", 0, "the limits of the disks are being changed; try again");
    asker = conn;
    conn_take(conn, &asking, NULL);
    limit(fields);
}
