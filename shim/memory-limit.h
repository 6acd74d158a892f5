/* A supervisor is root and handles what guests, workloads and clients send: it takes no more memory than this, whatever is wrong
 * with its accounts. */
#ifndef BERTH_MEMORY_LIMIT_H
#define BERTH_MEMORY_LIMIT_H

/* From here on. */
void memory_limit(void);
/* Restores the earlier limit, in a child that is to become another program. */
void memory_limit_lift(void);

#endif
