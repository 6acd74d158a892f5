#include "json.h"

#include <string.h>

#define MOST_DEPTH 32

/* Each of these returns where a value ends, or NULL when there is no such value before `end`. */
static const char *skip_value(const char *at, const char *end, int depth);

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) at++;
    return at;
}

static int is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) {
        if ((unsigned char)*at < 0x20) return NULL;
        if (*at != '\\') continue;
        if (++at >= end || !strchr("\"\\/bfnrtu", *at) || !*at) return NULL;
        if (*at != 'u') continue;
        if (end - at < 5) return NULL;
        for (int i = 1; i <= 4; i++)
            if (!is_hex(at[i])) return NULL;
        at += 4;
    }
    return at < end ? at + 1 : NULL;
}

static const char *skip_word(const char *at, const char *end)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        if ((size_t)(end - at) >= length && !memcmp(at, words[i], length)) return at + length;
    }
    return NULL;
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static const char *skip_digits(const char *at, const char *end)
{
    const char *begin = at;
    while (at < end && is_digit(*at)) at++;
    return at > begin ? at : NULL;
}

static const char *skip_number(const char *at, const char *end)
{
    if (*at == '-') at++;
    if (!(at = skip_digits(at, end))) return NULL;
    if (at < end && *at == '.' && !(at = skip_digits(at + 1, end))) return NULL;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        at = skip_digits(at, end);
    }
    return at;
}

/* The name of a member and its colon; returns where its value begins. */
static const char *skip_name(const char *at, const char *end)
{
    if (at >= end || *at != '"' || !(at = skip_string(at, end))) return NULL;
    at = skip_space(at, end);
    return at < end && *at == ':' ? skip_space(at + 1, end) : NULL;
}

static const char *skip_items(const char *at, const char *end, int depth)
{
    char closing = *at == '{' ? '}' : ']';
    at = skip_space(at + 1, end);
    if (at < end && *at == closing) return at + 1;
    for (;;) {
        if (closing == '}' && !(at = skip_name(at, end))) return NULL;
        if (!(at = skip_value(at, end, depth))) return NULL;
        at = skip_space(at, end);
        if (at < end && *at == closing) return at + 1;
        if (at >= end || *at != ',') return NULL;
        at = skip_space(at + 1, end);
    }
}

static const char *skip_value(const char *at, const char *end, int depth)
{
    if (at >= end || depth == MOST_DEPTH) return NULL;
    if (*at == '{' || *at == '[') return skip_items(at, end, depth + 1);
    if (*at == '"') return skip_string(at, end);
    return *at == '-' || is_digit(*at) ? skip_number(at, end) : skip_word(at, end);
}

int json_parse(struct json *value, const char *text, size_t length)
{
    const char *end = text + length;
    value->at = skip_space(text, end);
    value->end = skip_value(value->at, end, 0);
    return value->end && skip_space(value->end, end) == end ? 0 : -1;
}

int json_member(const struct json *object, const char *name, struct json *value)
{
    const char *at = object->at, *end = object->end;
    if (*at != '{') return -1;
    at = skip_space(at + 1, end);
    while (*at == '"') {
        struct json key = {at, skip_string(at, end)};
        value->at = skip_name(at, end);
        value->end = skip_value(value->at, end, 0);
        if (!value->end) return -1;
        if (json_is(&key, name)) return 0;
        at = skip_space(value->end, end);
        if (*at == ',') at = skip_space(at + 1, end);
    }
    return -1;
}

static unsigned hex(const char *at)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (unsigned)(is_digit(at[i]) ? at[i] - '0' : (at[i] | 0x20) - 'a' + 10);
    return value;
}

/* Decodes a character of a string. An escape outside of ASCII becomes a question mark: only people read it. */
static const char *unescape(const char *at, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (*at != '\\') return *out = *at, at + 1;
    if (at[1] != 'u') return *out = to[strchr(from, at[1]) - from], at + 2;
    unsigned point = hex(at + 2);
    *out = point && point < 0x80 ? (char)point : '?';
    return at + 6;
}

int json_text(const struct json *value, char *out, size_t size)
{
    size_t length = 0;
    if (*value->at != '"') return -1;
    for (const char *at = value->at + 1; at < value->end - 1 && length + 1 < size; length++) at = unescape(at, out + length);
    out[length] = 0;
    return 0;
}

int json_is(const struct json *value, const char *text)
{
    size_t length = strlen(text);
    return *value->at == '"' && (size_t)(value->end - value->at) == length + 2 && !memcmp(value->at + 1, text, length);
}

long long json_number(const struct json *value, long long fallback)
{
    const char *at = value->at;
    int negative = *at == '-';
    long long number = 0;
    if (negative) at++;
    if (value->end - at > 18 || value->end == at) return fallback;
    for (; at < value->end; at++) {
        if (!is_digit(*at)) return fallback;
        number = number * 10 + (*at - '0');
    }
    return negative ? -number : number;
}
