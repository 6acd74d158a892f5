/* Mount points in a root file system that somebody else has filled. */
#ifndef BERTH_PLACE_H
#define BERTH_PLACE_H

/* Opens (O_PATH) the path in `root`, a folder's descriptor, made as a folder or an empty file where it is not there. A link
 * that leads nowhere is followed, and what it names is made. Nothing outside of the root is ever reached or made.
 * -1 with errno. */
int place_make(int root, const char *path, int is_folder);
/* Whether a link on the way to the path, or the path itself, leads to what is not there. */
int place_dangles(int root, const char *path);

#endif
