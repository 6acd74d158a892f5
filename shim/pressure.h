/* Tells when the host runs short of memory, without looking for it time and again: the kernel says so. */
#ifndef BERTH_PRESSURE_H
#define BERTH_PRESSURE_H

/* Prints a line whenever processes wait for memory, until stdin ends. Exit status 69 where the kernel cannot tell. */
int pressure_main(int argc, char **argv);

#endif
