/*
 * The floor of reading Cilium's maps: what the kernel's batches cost a reader that decodes nothing. For each line on stdin one reading of
 * the map pinned at the path that is the argument, 65,536 entries at a time; for each reading one line on stdout:
 *     wall_ns cpu_ns entries batches
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { ENTRIES = 65536, KEY = 14, VALUE = 56 };

static char keys[ENTRIES * KEY], values[ENTRIES * VALUE];

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

static void read_all(int fd)
{
	long long began = wall(), cpu_began = cpu(), entries = 0, batches = 0;
	__u32 in = 0, out = 0, count;
	int result = 0;
	while (result == 0) {
		count = ENTRIES;
		result = bpf_map_lookup_batch(fd, batches ? &in : NULL, &out, keys, values, &count, NULL);
		if (result < 0 && errno != ENOENT) {
			perror("bpf_map_lookup_batch");
			exit(1);
		}
		entries += count;
		batches++;
		in = out;
	}
	printf("%lld %lld %lld %lld\n", wall() - began, cpu() - cpu_began, entries, batches);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[16];
	int fd = argc == 2 ? bpf_obj_get(argv[1]) : -1;
	if (fd < 0) {
		perror("bpf_obj_get");
		return 1;
	}
	while (fgets(line, sizeof line, stdin))
		read_all(fd);
	return 0;
}
