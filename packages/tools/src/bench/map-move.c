/*
 * Moves the counters of entries of Cilium's map as its programs do: in their place, by a BPF program. (An update from outside puts
 * another entry in the place of each, and so changes the order in which a reader meets them.)
 * For each number on stdin so many of the first keys move by a packet each way; then one line on stdout: that number.
 *     map-move PINNED_MAP FILE_OF_KEYS
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY = 14, RUN = 240, DATA = KEY * RUN };
enum { RX_PACKETS = 0, RX_BYTES = 8, TX_PACKETS = 16, TX_BYTES = 24 };

static struct bpf_insn code[RUN * 10 + 16];
static int length;
static char keys[1 << 23], log_text[4096];

static void put(__u8 op, __u8 dst, __u8 src, __s16 off, __s32 imm)
{
	code[length++] = (struct bpf_insn){ .code = op, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm };
}

static void add(int field, int by)
{
	put(BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_0, by, field, BPF_ADD);
}

/* The data are RUN keys: r6. Each is looked up, and where there is an entry its counters grow by r7, r8 and r9. */
static void write_program(int map)
{
	put(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_6, BPF_REG_1, 0, 0);
	put(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_3, BPF_REG_1, 4, 0);
	put(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_6, 0, 0);
	put(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, DATA);
	put(BPF_JMP | BPF_JLE | BPF_X, BPF_REG_2, BPF_REG_3, 2, 0);
	put(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, XDP_ABORTED);
	put(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	put(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_7, 0, 0, 1);
	put(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_8, 0, 0, 1500);
	put(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_9, 0, 0, 100);
	for (int i = 0; i < RUN; i++) {
		put(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map);
		put(0, 0, 0, 0, 0);
		put(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_6, 0, 0);
		put(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, i * KEY);
		put(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
		put(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 4, 0);
		add(RX_PACKETS, BPF_REG_7);
		add(RX_BYTES, BPF_REG_8);
		add(TX_PACKETS, BPF_REG_7);
		add(TX_BYTES, BPF_REG_9);
	}
	put(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, XDP_PASS);
	put(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void stop(const char *what)
{
	fprintf(stderr, "map-move: %s: %s\n%s", what, strerror(errno), log_text);
	exit(1);
}

static void move(int program, long count)
{
	for (long i = 0; i < count; i += RUN) {
		char data[DATA] = {};
		memcpy(data, keys + i * KEY, KEY * (count - i < RUN ? count - i : RUN));
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = data, .data_size_in = DATA);
		if (bpf_prog_test_run_opts(program, &run) < 0)
			stop("bpf_prog_test_run");
		if (run.retval != XDP_PASS)
			stop("the program was given too little");
	}
}

int main(int argc, char **argv)
{
	int map = argc == 3 ? bpf_obj_get(argv[1]) : -1;
	FILE *file = argc == 3 ? fopen(argv[2], "r") : NULL;
	if (map < 0 || file == NULL)
		stop("map-move PINNED_MAP FILE_OF_KEYS");
	long known = fread(keys, KEY, sizeof keys / KEY, file);
	write_program(map);
	LIBBPF_OPTS(bpf_prog_load_opts, load, .log_buf = log_text, .log_size = sizeof log_text, .log_level = 4);
	int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "move", "GPL", code, length, &load);
	if (program < 0)
		stop("bpf_prog_load");
	for (long count; scanf("%ld", &count) == 1;) {
		if (count > known)
			stop("more than there are keys");
		move(program, count);
		printf("%ld\n", count);
		fflush(stdout);
	}
	return 0;
}
