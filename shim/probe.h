/* What the container driver runs inside a container to learn what is in effect there. */
#ifndef BERTH_PROBE_H
#define BERTH_PROBE_H

/* Prints "ok"; with the argument "filter", instead, the seccomp mode and the errno of a few system calls. */
int probe_main(int argc, char **argv);

#endif
