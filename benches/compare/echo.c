/* The least that a UDP server can do: what comes in a batch goes back in a batch, with the bit that makes a query a reply.
 * The loop is that of leeward and gdnsd: one recvmmsg that blocks for the first datagram, one sendmmsg, 16 at a time.
 *
 *     echo PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { WIDTH = 16, SIZE = 4096, BUFFER = 4 << 20 };

static unsigned char buffers[WIDTH][SIZE];
static struct sockaddr_in peers[WIDTH];
static struct iovec vectors[WIDTH];
static struct mmsghdr headers[WIDTH];

int main(int argc, char **argv) {
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0)};
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0), size = BUFFER;
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (bind(descriptor, (struct sockaddr *)&local, sizeof local) != 0) {
        perror("bind");
        return 1;
    }
    for (;;) {
        for (int at = 0; at < WIDTH; at++) {
            vectors[at] = (struct iovec){.iov_base = buffers[at], .iov_len = SIZE};
            headers[at].msg_hdr = (struct msghdr){
                .msg_name = &peers[at], .msg_namelen = sizeof peers[at], .msg_iov = &vectors[at], .msg_iovlen = 1};
        }
        int received = recvmmsg(descriptor, headers, WIDTH, MSG_WAITFORONE, NULL);
        for (int at = 0; at < received; at++) {
            vectors[at].iov_len = headers[at].msg_len;
            buffers[at][2] |= 0x80;
        }
        for (int sent = 0; sent < received;) {
            int accepted = sendmmsg(descriptor, headers + sent, received - sent, MSG_DONTWAIT);
            sent += accepted > 0 ? accepted : 1;
        }
    }
}
