/* `--init`: process 1 of a container that reaps orphans and forwards signals to its one child. */
#ifndef BERTH_INIT_H
#define BERTH_INIT_H

/* argv: NAME -- COMMAND ARGS…; never returns but with the command's exit status. */
int init_main(int argc, char **argv);

#endif
