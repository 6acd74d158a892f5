// Two processes that talk: by pipes, and by TCP over loopback. Messages of one byte there and back, then a stream.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define PINGS 2000
#define STREAM_BYTES (16u << 20)
#define CHUNK 65536

static char chunk[CHUNK];

// The far side: answers every ping, then reads the stream to its end and answers once more.
static void answer(int in, int out) {
  for (int i = 0; i < PINGS; i++)
    if (read(in, chunk, 1) != 1 || write(out, chunk, 1) != 1) _exit(1);
  for (size_t left = STREAM_BYTES; left > 0;) {
    ssize_t got = read(in, chunk, left < CHUNK ? left : CHUNK);
    if (got <= 0) _exit(1);
    left -= (size_t)got;
  }
  _exit(write(out, chunk, 1) == 1 ? 0 : 1);
}

static void ask(int in, int out) {
  for (int i = 0; i < PINGS; i++)
    if (write(out, chunk, 1) != 1 || read(in, chunk, 1) != 1) fail("the far side went away");
  for (size_t left = STREAM_BYTES; left > 0;) {
    ssize_t put = write(out, chunk, left < CHUNK ? left : CHUNK);
    if (put <= 0) fail("cannot write the stream");
    left -= (size_t)put;
  }
  if (read(in, chunk, 1) != 1) fail("the far side went away");
}

void job_pipe(void) {
  int there[2], back[2];
  if (pipe(there) < 0 || pipe(back) < 0) fail("cannot make a pipe");
  signal(SIGPIPE, SIG_IGN);
  pid_t child = fork();
  if (child < 0) fail("cannot fork");
  if (child == 0) {
    close(there[1]);
    answer(there[0], back[1]);
  }
  close(there[0]);
  close(back[1]);
  ask(back[0], there[1]);
  waitpid(child, NULL, 0);
}

static void no_delay(int socket) {
  int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void job_loopback(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 1) < 0 ||
      getsockname(listener, (struct sockaddr *)&address, &length) < 0)
    fail("cannot listen on 127.0.0.1");
  signal(SIGPIPE, SIG_IGN);
  pid_t child = fork();
  if (child < 0) fail("cannot fork");
  if (child == 0) {
    int peer = accept(listener, NULL, NULL);
    if (peer < 0) _exit(1);
    no_delay(peer);
    answer(peer, peer);
  }
  int client = socket(AF_INET, SOCK_STREAM, 0);
  if (client < 0 || connect(client, (struct sockaddr *)&address, length) < 0) {
    kill(child, SIGKILL);
    fail("cannot connect to 127.0.0.1");
  }
  no_delay(client);
  ask(client, client);
  waitpid(child, NULL, 0);
}
