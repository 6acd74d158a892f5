#ifndef BERTH_VM_STORE_H
#define BERTH_VM_STORE_H

#include <unistd.h>

/* Where a file has data and holes, by lseek: musl has these since 1.2.3. */
#ifndef SEEK_DATA
#define SEEK_DATA 3
#define SEEK_HOLE 4
#endif

/* Names in DIR of what a shim keeps for others to open. */
#define STORE_MEMORY "memory"
#define STORE_STATE "state"

/* Files without a name, of which the kernel can be told that they are never to change again. */
struct store {
    int memory, state;
};

/* An empty one of this size; -1 with errno. */
int store_make(const char *name, long long size);
/* Seals both for ever and gives them their names; tells their sizes and a checksum of the state. 0, or -1 with errno. */
int store_publish(const struct store *store, void (*tell)(const char *key, const char *value));
/* Checksums tell of damage: they protect from accidents, not from attackers, who cannot reach these files. */
unsigned long long store_sum(int fd, long long length);
/* Copies all that is not zero into a file of holes (-1: copies nothing) and sums it up. 0, or -1 with errno. */
int store_copy(int from, int to, long long size, unsigned long long *sum);
/* Writes both into a folder, flushed, and their sums and the disk's, which is there, into its file `parts`. An errno. */
int store_write_down(const struct store *store, int disk, const char *folder);

#endif
