/* What every shim is told on its command line, `--name=value` each; a flag is `--name`. */
#ifndef BERTH_OPTIONS_H
#define BERTH_OPTIONS_H

struct options {
    const char *dir, *id;
    /* Folders of the control group for this process and of that for its children, or NULL (own-group.h). */
    const char *group, *outside;
    int tty, has_stdin, log;
    /* 0: never rotate. log_max_files counts log.json itself. */
    long long log_max_bytes;
    int log_max_files;
};

extern struct options options;

#endif
