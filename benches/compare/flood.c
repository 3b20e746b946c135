/* Queries at a rate that does not depend on replies, which are not read.
 *
 *     flood PORT RATE SECONDS APEX NAMES
 *
 * asks for the A records of n0.APEX to n(NAMES-1).APEX in turn, and prints how many queries were sent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { WIDTH = 32, SIZE = 512 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

/* A query for nNUMBER.APEX; its length. */
static size_t query(unsigned char *out, unsigned number, const char *apex) {
    unsigned char *at = out + 12;
    char name[256];
    memset(out, 0, 12);
    out[0] = number >> 8, out[1] = number, out[5] = 1;
    snprintf(name, sizeof name, "n%u.%s", number, apex);
    for (char *label = strtok(name, "."); label; label = strtok(NULL, ".")) {
        *at++ = strlen(label);
        at = (unsigned char *)stpcpy((char *)at, label);
    }
    memcpy(at, "\0\0\1\0\1", 5);
    return at + 5 - out;
}

int main(int argc, char **argv) {
    static unsigned char messages[WIDTH][SIZE];
    static struct iovec vectors[WIDTH];
    static struct mmsghdr headers[WIDTH];
    if (argc != 6) return 1;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    double rate = atof(argv[2]), seconds = atof(argv[3]);
    unsigned names = atoi(argv[5]), next = 0, size = 4096;
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (connect(descriptor, (struct sockaddr *)&server, sizeof server) != 0) return 1;
    unsigned long sent = 0;
    double start = now();
    for (double time = start; time < start + seconds; time = now()) {
        if (sent > (time - start) * rate) continue;
        for (int at = 0; at < WIDTH; at++, next = (next + 1) % names) {
            vectors[at] = (struct iovec){messages[at], query(messages[at], next, argv[4])};
            headers[at].msg_hdr = (struct msghdr){.msg_iov = &vectors[at], .msg_iovlen = 1};
        }
        int accepted = sendmmsg(descriptor, headers, WIDTH, 0);
        sent += accepted > 0 ? accepted : 0;
    }
    printf("%lu\n", sent);
}
