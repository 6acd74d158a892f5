#include "memory-limit.h"

#include <sys/resource.h>

/* More than a hundred operations of slow clients take. */
#define MOST_BYTES (256u << 20)

static struct rlimit before;

void memory_limit(void)
{
    if (getrlimit(RLIMIT_DATA, &before) < 0) return;
    struct rlimit limit = {MOST_BYTES < before.rlim_cur ? MOST_BYTES : before.rlim_cur, before.rlim_max};
    setrlimit(RLIMIT_DATA, &limit);
}

void memory_limit_lift(void) { setrlimit(RLIMIT_DATA, &before); }
