/* Runs a fuzz target on inputs made from a corpus by a few changes each. The same seed makes the same inputs, everywhere;
 * an input that ends the run is kept. For machines without libFuzzer, and for the bounded run of the tests.
 *
 * Usage: TARGET [--runs=N] [--seed=N] [--most=BYTES] CORPUS-FOLDER   or   TARGET FILE...   to run inputs that were kept */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target.h"

#define MOST_SEEDS 256
/* Limit for a single input: a parser that takes longer hangs. */
#define PATIENCE_SECONDS 20

struct input {
    uint8_t *data;
    size_t size;
};

static struct input seeds[MOST_SEEDS], current;
static size_t seed_count, most = 4096;
static unsigned long long state, run;
static char keep[64];

/* xorshift64*: Marsaglia, "Xorshift RNGs", 2003; Vigna, 2014. */
static unsigned long long any(unsigned long long below)
{
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (state * 2685821657736338717ull >> 11) % below;
}

/* Called by the sanitizers as well, just before they end the process. */
void __sanitizer_set_death_callback(void (*callback)(void));

static void keep_input(void)
{
    FILE *file = fopen(keep, "w");
    if (file) fwrite(current.data, 1, current.size, file), fclose(file);
    fprintf(stderr, "\nfuzz: input %llu ended the run; it is kept as %s\n", run, keep);
}

static void on_signal(int number)
{
    fprintf(stderr, "\nfuzz: signal %d (%s)\n", number, number == SIGALRM ? "it hangs" : "a crash");
    keep_input();
    signal(number, SIG_DFL);
    _exit(70);
}

static int load(const char *path, struct input *input)
{
    FILE *file = fopen(path, "r");
    struct stat info;
    if (!file || fstat(fileno(file), &info) < 0 || !S_ISREG(info.st_mode)) return file ? fclose(file), -1 : -1;
    input->data = malloc((size_t)info.st_size + 1);
    input->size = fread(input->data, 1, (size_t)info.st_size, file);
    return fclose(file);
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void load_corpus(const char *folder)
{
    struct dirent **names;
    char path[4096];
    int count = scandir(folder, &names, NULL, by_name);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (*names[i]->d_name != '.' && seed_count < MOST_SEEDS && load(path, &seeds[seed_count]) == 0) seed_count++;
        free(names[i]);
    }
    if (count >= 0) free(names);
    if (!seed_count) fprintf(stderr, "fuzz: no inputs in %s\n", folder), exit(64);
}

/* Puts `length` bytes in place of `gone` ones, as far as there is room. */
static void splice(struct input *input, size_t at, size_t gone, const uint8_t *data, size_t length)
{
    if (at > input->size) at = input->size;
    if (gone > input->size - at) gone = input->size - at;
    if (length > most - (input->size - gone)) length = most - (input->size - gone);
    uint8_t *copy = malloc(length + 1);
    memcpy(copy, data, length);
    memmove(input->data + at + length, input->data + at + gone, input->size - at - gone);
    memcpy(input->data + at, copy, length);
    input->size += length - gone;
    free(copy);
}

static void change(struct input *input)
{
    static const char *const words[] = {"0", "-1", "1", "7", "\n1 ", "+1", " 1", "0001 ",
                                         "00000000000000000000000009 ", "999999999", "2147483648", "4294967295",
                                         "9223372036854775807", "18446744073709551615", "1e9", "../", "/", "..",
                                         "\\", "\\u0000", "=", "\n", " ", "\"", "{", "[", "}", "]", ",", ":"};
    static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff, '0', '9', '7', '/', '\n', ' ', '='};
    size_t at = any(input->size + 1), length = 1 + any(16);
    const struct input *other = &seeds[any(seed_count)];
    size_t from = any(other->size + 1), rest = other->size - from, wide = rest ? 1 + any(rest) : 0;
    const char *word = words[any(sizeof words / sizeof *words)];
    switch (any(9)) {
    case 0: if (at < input->size) input->data[at] ^= (uint8_t)(1u << any(8)); break;
    case 1: if (at < input->size) input->data[at] = bytes[any(sizeof bytes)]; break;
    case 2: if (at < input->size) input->data[at] = (uint8_t)any(256); break;
    case 3: splice(input, at, length, input->data, 0); break;
    case 4: splice(input, at, 0, input->data + at, input->size - at < length ? input->size - at : length); break;
    case 5: splice(input, at, any(2) ? strlen(word) : 0, (const uint8_t *)word, strlen(word)); break;
    case 6: splice(input, at, any(2) ? wide : 0, other->data + from, wide); break;
    case 7: input->size = at; break;
    default: for (size_t i = at; i < input->size && i < at + length; i++) input->data[i] = (uint8_t)any(256);
    }
}

static void make_input(void)
{
    const struct input *seed = &seeds[any(seed_count)];
    current.size = seed->size < most ? seed->size : most;
    memcpy(current.data, seed->data, current.size);
    for (unsigned long long changes = 1 + any(8); changes; changes--) change(&current);
}

/* Runs an input in memory of its exact size, so that the sanitizer sees the first byte that is read beyond it. */
static void try_input(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static int run_files(char **paths)
{
    for (; *paths; paths++) {
        if (load(*paths, &current) < 0) return fprintf(stderr, "fuzz: cannot read %s\n", *paths), 66;
        try_input(current.data, current.size);
        printf("fuzz: %s: %zu bytes, no fault\n", *paths, current.size);
    }
    return 0;
}

int main(int count, char **arguments)
{
    unsigned long long runs = 1000000, seed = 1;
    struct stat info;
    int at = 1;
    for (; at < count && *arguments[at] == '-'; at++)
        if (sscanf(arguments[at], "--runs=%llu", &runs) != 1 && sscanf(arguments[at], "--seed=%llu", &seed) != 1
            && sscanf(arguments[at], "--most=%zu", &most) != 1)
            return fprintf(stderr, "fuzz: unknown option %s\n", arguments[at]), 64;
    if (at >= count) return fprintf(stderr, "fuzz: name a corpus folder, or inputs\n"), 64;
    snprintf(keep, sizeof keep, "crash-%d", (int)getpid());
    __sanitizer_set_death_callback(keep_input);
    for (int number = SIGILL; number; number = number == SIGILL ? SIGALRM : 0) signal(number, on_signal);
    if (stat(arguments[at], &info) < 0 || !S_ISDIR(info.st_mode)) return run_files(arguments + at);
    load_corpus(arguments[at]);
    current.data = malloc(most + 1);
    state = seed * 0x9e3779b97f4a7c15ull | 1;
    for (size_t i = 0; i < seed_count; i++) try_input(seeds[i].data, seeds[i].size);
    for (run = 0; run < runs; run++) {
        if (run % 64 == 0) alarm(PATIENCE_SECONDS);
        make_input();
        try_input(current.data, current.size);
    }
    alarm(0);
    __sanitizer_set_death_callback(NULL);
    printf("fuzz: %s: %llu inputs from %zu seeds (seed %llu), no fault\n", arguments[0], runs, seed_count, seed);
    return 0;
}
