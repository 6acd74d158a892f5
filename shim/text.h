/* Texts from outside: from a guest, QEMU or a runtime, who may have been told them by the workload. */
#ifndef BERTH_TEXT_H
#define BERTH_TEXT_H

#include <stddef.h>

/* Length of the valid UTF-8 sequence at `s`, or 0. */
size_t utf8_length(const unsigned char *s, size_t available);
/* Copies a text so that it can be shown on a terminal, cut off where it does not fit: control characters, characters that
 * turn the direction of writing, and bytes that are no UTF-8 become \n, \t, \xHH or \uHHHH. */
void text_visible(char *out, size_t size, const char *text);

#endif
