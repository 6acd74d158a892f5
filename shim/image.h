/* File systems in image files, and folders inside a volume: both are mounted where only we see them, in a mount
 * namespace of the caller's own, so that neither a mount nor a loop device outlives its last user. */
#ifndef BERTH_IMAGE_H
#define BERTH_IMAGE_H

/* Mounts the ext4 file system in the file `image` at the folder `target`. All who mount one image share one loop
 * device, which goes with the last mount. 0, or -1 with errno. */
int image_mount(const char *image, const char *target);

/* Binds a part of a volume onto `target`, which is made. The volume is the folder `root`, or the folder "data" in
 * `image` unless that is empty; its part is `subpath`, in which no link leads out of the volume. `scratch` is a path
 * where nothing is, used in passing. 0, or -1 with errno. */
int source_bind(const char *scratch, const char *image, const char *root, const char *subpath, const char *target);

/* berth-shim inside IMAGE FOLDER COMMAND [ARG…]: runs a command that sees the image mounted at the folder. */
int inside_main(int argc, char **argv);

#endif
