/* The folder of an instance is held by one supervisor at a time, by flock: whoever holds it may listen, write and clean up
 * there, and nobody else. The kernel lets go of it with the process, however that ends. */
#ifndef BERTH_LOCK_H
#define BERTH_LOCK_H

/* Takes a folder, in place of the one that is held already. A supervisor that is just ending is waited for. 0, or -1 with
 * errno (EWOULDBLOCK: another supervisor has it). */
int lock_take(const char *folder);
/* Lets another supervisor have the folder, before our connections close: their end is what the daemon waits for. */
void lock_release(void);

#endif
