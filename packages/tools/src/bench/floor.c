/*
 * The floor of the bench: what the kernel's dump costs a reader that decodes nothing. One raw netlink socket, one 32 KiB
 * buffer, recv until NLMSG_DONE. For each line on stdin one dump; for each dump one line on stdout:
 *     wall_ns cpu_ns bytes datagrams
 */
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

static long long wall(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long cpu(void)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000000LL + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1000LL;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static char buffer[32 * 1024];

static void dump(int fd)
{
	struct {
		struct nlmsghdr header;
		struct nfgenmsg family;
	} request = {
		.header = {
			.nlmsg_len = sizeof request,
			.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.family = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 },
	};
	long long began = wall(), cpu_began = cpu(), bytes = 0, datagrams = 0;
	if (send(fd, &request, sizeof request, 0) < 0)
		die("send");
	for (;;) {
		ssize_t length = recv(fd, buffer, sizeof buffer, 0);
		if (length < 0)
			die("recv");
		struct nlmsghdr *first = (struct nlmsghdr *)buffer;
		if (first->nlmsg_type == NLMSG_ERROR)
			die("the kernel refused the dump");
		if (first->nlmsg_type == NLMSG_DONE)
			break;
		bytes += length;
		datagrams++;
	}
	printf("%lld %lld %lld %lld\n", wall() - began, cpu() - cpu_began, bytes, datagrams);
	fflush(stdout);
}

int main(void)
{
	char line[16];
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	if (fd < 0)
		die("socket");
	while (fgets(line, sizeof line, stdin))
		dump(fd);
	return 0;
}
