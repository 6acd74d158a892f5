/* Commands with mounts of their own (own-mounts.h), which nothing outside sees. They end with whoever started them, and the
 * mounts with them. */
#ifndef BERTH_APART_H
#define BERTH_APART_H

/* berth-shim apart COMMAND [ARG…] */
int apart_main(int argc, char **argv);
/* berth-shim inside IMAGE FOLDER COMMAND [ARG…]: with the image mounted at the folder. */
int inside_main(int argc, char **argv);

#endif
