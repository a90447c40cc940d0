/*
 * Sends datagrams from one network namespace to another: `send-udp ADDRESS PORT BYTES`, of BYTES with IP's header. For each number on
 * stdin so many; then one line on stdout: the nanoseconds of processor time that they took, of the sender, in whose
 * time the kernel also receives them at the other end.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { HEADERS = 28 };

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	char payload[1500] = { 0 }, line[64];
	struct timespec from, until;
	if (argc != 4)
		return 2;
	int bytes = atoi(argv[3]) - HEADERS, fd = socket(AF_INET, SOCK_DGRAM, 0);
	to.sin_port = htons(atoi(argv[2]));
	if (fd < 0 || bytes < 0 || bytes > (int)sizeof payload || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof to)) {
		perror("send-udp");
		return 1;
	}
	while (fgets(line, sizeof line, stdin)) {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
		for (long left = atol(line); left > 0; left--)
			if (send(fd, payload, bytes, 0) < 0) {
				perror("send");
				return 1;
			}
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &until);
		printf("%lld\n", (until.tv_sec - from.tv_sec) * 1000000000ll + until.tv_nsec - from.tv_nsec);
		fflush(stdout);
	}
	return 0;
}
