#include "text.h"

#include <stdio.h>
#include <string.h>

size_t utf8_length(const unsigned char *s, size_t available)
{
    size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3
                    : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
    if (!length || length > available) return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
    if (s[0] == 0xed && s[1] > 0x9f) return 0;
    if (s[0] == 0xf0 && s[1] < 0x90) return 0;
    if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
    return length;
}

static unsigned code_point(const unsigned char *s, size_t length)
{
    if (length == 2) return (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
    return length == 3 ? (s[0] & 0xfu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu) : 0x10000;
}

/* The second set of control characters, line and paragraph separators, and marks, embeddings, overrides and isolates of
 * direction. */
static int is_hidden(unsigned point)
{
    return (point >= 0x80 && point < 0xa0) || point == 0x61c || point == 0xfeff || (point >= 0x200b && point <= 0x200f) ||
           (point >= 0x2028 && point <= 0x202e) || (point >= 0x2060 && point <= 0x206f);
}

/* Writes the visible form of the character at `s` to `out`. Returns the number of bytes of `s` that it stands for. */
static size_t shown(const unsigned char *s, size_t available, char out[8])
{
    size_t length = utf8_length(s, available);
    unsigned point = length > 1 ? code_point(s, length) : s[0];
    if (s[0] == '\n') strcpy(out, "\\n");
    else if (s[0] == '\t') strcpy(out, "\\t");
    else if (!length || s[0] < 0x20 || s[0] == 0x7f) snprintf(out, 8, "\\x%02x", s[0]);
    else if (length > 1 && is_hidden(point)) snprintf(out, 8, "\\u%04x", point);
    else memcpy(out, s, length), out[length] = 0;
    return length ? length : 1;
}

void text_visible(char *out, size_t size, const char *text)
{
    char piece[8];
    size_t left = strlen(text), used = 0;
    for (const unsigned char *s = (const unsigned char *)text; left;) {
        size_t taken = shown(s, left, piece), length = strlen(piece);
        if (used + length >= size) break;
        memcpy(out + used, piece, length);
        used += length;
        s += taken, left -= taken;
    }
    out[used] = 0;
}
