/* JSON as QEMU's monitor speaks it, looked at in place: nothing is allocated, no depth or length is trusted. */
#ifndef BERTH_JSON_H
#define BERTH_JSON_H

#include <stddef.h>

/* A value within a text that was found to be whole. */
struct json {
    const char *at, *end;
};

/* 0 and the value when the text is one value and nothing else; -1 otherwise. Nested deeper than 32 is none. */
int json_parse(struct json *value, const char *text, size_t length);
/* The first member of this name. 0, or -1 when the value is no object or has none. */
int json_member(const struct json *object, const char *name, struct json *value);
/* The text of a string, cut off where it does not fit; -1 when the value is none. */
int json_text(const struct json *value, char *out, size_t size);
/* Whether the value is this string. */
int json_is(const struct json *value, const char *text);
/* A whole number; `fallback` when the value is none. */
long long json_number(const struct json *value, long long fallback);

#endif
