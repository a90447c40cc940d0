/*
 * Fills the conntrack table of the namespace it runs in with real connections: `fill COUNT SOURCES DESTINATIONS` sends one packet
 * for each of COUNT tuples, four TCP ACKs (picked up as connections in mid-stream) to one UDP datagram, from 10.64.0.1 ... (SOURCES of them) to 10.128.0.1 ...
 * (DESTINATIONS of them), the rest of the tuple in the ports. The same arguments make the same tuples, so that a second call
 * moves every counter.
 */
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

struct packet {
	struct iphdr ip;
	union {
		struct tcphdr tcp;
		struct udphdr udp;
	};
};

static int make(struct packet *packet, int i, int sources, int destinations)
{
	int source = i % sources, destination = i / sources % destinations, port = 1024 + i / sources / destinations;
	int is_udp = i % 5 == 4, length = sizeof packet->ip + (is_udp ? sizeof packet->udp : sizeof packet->tcp);
	memset(packet, 0, sizeof *packet);
	packet->ip.version = 4;
	packet->ip.ihl = 5;
	packet->ip.ttl = 64;
	packet->ip.protocol = is_udp ? IPPROTO_UDP : IPPROTO_TCP;
	packet->ip.tot_len = htons(length);
	packet->ip.saddr = htonl(0x0a400001 + source);
	packet->ip.daddr = htonl(0x0a800001 + destination);
	if (is_udp) {
		packet->udp.source = htons(40000);
		packet->udp.dest = htons(port);
		packet->udp.len = htons(sizeof packet->udp);
	} else {
		packet->tcp.source = htons(40000);
		packet->tcp.dest = htons(port);
		packet->tcp.ack = 1;
		packet->tcp.doff = 5;
		packet->tcp.window = htons(65535);
	}
	return length;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct packet packet;
	if (argc != 4) {
		fprintf(stderr, "usage: fill COUNT SOURCES DESTINATIONS\n");
		return 2;
	}
	int count = atoi(argv[1]), sources = atoi(argv[2]), destinations = atoi(argv[3]);
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (fd < 0)
		die("socket");
	for (int i = 0; i < count; i++) {
		int length = make(&packet, i, sources, destinations);
		to.sin_addr.s_addr = packet.ip.daddr;
		if (sendto(fd, &packet, length, 0, (struct sockaddr *)&to, sizeof to) < 0)
			die("sendto");
	}
	return 0;
}
