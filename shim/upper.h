/* The writable half of an overlay: its root folder is the one that the workload sees as "/". */
#ifndef BERTH_UPPER_H
#define BERTH_UPPER_H

/* Makes the folder unless it is there, with the attributes of the folder `lower`, or plain ones where that is NULL.
 * 0, or -1 with errno. */
int upper_make(const char *upper, const char *lower);

#endif
