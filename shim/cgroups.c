#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "container.h"
#include "own-group.h"

/* The first move of a process between groups after a pause waits for a grace period of the kernel (measured: 5-17 ms);
 * moves soon after it do not. A child that moves itself gets that wait over with while the runtime is being loaded; where the
 * supervisor is moved into a group of its own, that has the same effect. */
void cgroups_warm_up(void)
{
    char path[4096];
    if (!container.cgroup_count || own_group_is_entered() || fork()) return;
    snprintf(path, sizeof path, "%s", container.cgroups[0]);
    for (int parts = 0; parts < 2; parts++) *strrchr(path, '/') = 0;
    strcat(path, "/cgroup.procs");
    write_file(path, "0", 1);
    _exit(0);
}

/* Kills what is in the group; returns whether there was anything. */
static int kill_group(const char *folder)
{
    char path[4096], line[32];
    int found = 0;
    snprintf(path, sizeof path, "%s/cgroup.procs", folder);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        pid_t pid = atoi(line);
        if (pid > 0 && kill(pid, SIGKILL) == 0) found = 1;
    }
    if (file) fclose(file);
    return found;
}

void cgroups_kill(void)
{
    char path[4096];
    for (size_t i = 0; i < container.cgroup_count; i++) {
        kill_group(container.cgroups[i]);
        /* A frozen process does not die. */
        snprintf(path, sizeof path, "%s/freezer.state", container.cgroups[i]);
        if (!access(path, W_OK)) write_file(path, "THAWED", 6);
    }
}

/* Removes a group and what the workload may have made below it. */
static int remove_group(const char *folder)
{
    if (rmdir(folder) == 0 || errno == ENOENT) return 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[4096];
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        remove_group(path);
    }
    if (dir) closedir(dir);
    if (rmdir(folder) == 0 || errno == ENOENT) return 0;
    return errno == EBUSY && kill_group(folder) ? 1 : -1;
}

void cgroups_remove(void)
{
    /* What was killed needs a moment to leave; the kernel has no event for that on version 1. */
    for (int tries = 0; tries < 200; tries++) {
        int left = 0;
        for (size_t i = 0; i < container.cgroup_count; i++) left |= remove_group(container.cgroups[i]) != 0;
        if (!left) return;
        usleep(tries < 20 ? 1000 : 10000);
    }
    complain("cgroup: %s: cannot be removed: %s", container.cgroups[0], strerror(errno));
}
