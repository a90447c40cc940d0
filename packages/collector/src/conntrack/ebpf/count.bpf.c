// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * Counts bytes and packets of every pair of addresses, at the sockets of a node: attached to ingress and egress of a cgroup (v2), it
 * sees what these sockets send and receive, whatever carries it between them. Uses the stable context alone (struct __sk_buff), so that
 * it loads without the kernel's BTF, from Linux 5.8 on.
 *
 *   pairs   key    | low 16 | high 16 | protocol 4 | zero 4 |        addresses as they travel, IPv4 mapped, in a fixed order
 *           value  | low's end | high's end | born | last |          9 and 1 words of 64 bits
 *           end    | sent: bytes, packets | received: bytes, packets |   what that address's sockets sent and received, 0 where the
 *                                                                     address is not one of this node's sockets
 *           born   ns since boot, when the entry was made: tells it from one before or after with the same key. Its lowest bit is 1 where
 *                  the high end was the one with a socket then
 *           last   jiffies of the last packet: an entry that is idle may be removed
 *   events  per processor, by EVENT_*: what could not be counted
 *
 * One entry a pair, also where both ends are on the node: what passed from one to the other stands in it twice, as sent and as received.
 *
 * Left out: loopback; link-local IPv6; what conntrack has no entry for (ICMP errors, neighbour discovery, multicast listeners).
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define LOOPBACK_IFINDEX 1
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86DD
#define TCP 6
#define UDP 17
#define ICMP 1
#define ICMPV6 58
/* Extension headers of IPv6 that conntrack looks behind (ipv6_skip_exthdr). */
#define HOP_BY_HOP 0
#define ROUTING 43
#define FRAGMENT 44
#define AUTHENTICATION 51
#define DESTINATION 60
#define MAX_EXTENSIONS 6

struct address {
	__u64 a, b;
};

struct pair_key {
	struct address low, high;
	__u32 protocol, zero;
};

struct end {
	__u64 sent_bytes, sent_packets, received_bytes, received_packets;
};

struct pair {
	struct end low, high;
	__u64 born, last;
};

/* The number of entries is set before it is loaded. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(key_size, sizeof(struct pair_key));
	__uint(value_size, sizeof(struct pair));
} pairs SEC(".maps");

enum {
	/* No room in `pairs`: packets and their bytes. */
	EVENT_FULL_PACKETS,
	EVENT_FULL_BYTES,
	/* Headers that cannot be read. */
	EVENT_MALFORMED,
	EVENTS,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENTS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u64));
} events SEC(".maps");

static __always_inline void note(__u32 event, __u64 amount)
{
	__u64 *total = bpf_map_lookup_elem(&events, &event);

	/* Atomic all the same: a packet that comes in interrupts one that goes out. */
	if (total)
		__sync_fetch_and_add(total, amount);
}

struct packet {
	struct address source, destination;
	__u32 protocol;
	/* Where the header behind IP's begins. */
	__u32 transport;
};

/* An error, or of a protocol between neighbours: conntrack has no entry for it. */
static __always_inline int is_untracked_icmp(__u32 protocol, __u8 type)
{
	if (protocol == ICMP)
		return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	return (type >= 1 && type <= 4) || (type >= 130 && type <= 137) || type == 143;
}

static __always_inline int read_ipv4(struct __sk_buff *skb, struct packet *packet)
{
	__u32 header[5];

	if (bpf_skb_load_bytes(skb, 0, header, sizeof(header)))
		return -1;
	packet->source.a = packet->destination.a = 0;
	packet->source.b = (__u64)header[3] << 32 | bpf_htonl(0xffff);
	packet->destination.b = (__u64)header[4] << 32 | bpf_htonl(0xffff);
	packet->protocol = ((__u8 *)header)[9];
	packet->transport = (((__u8 *)header)[0] & 15) * 4;
	return 0;
}

static __always_inline int is_link_local(struct address address)
{
	return (address.a & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* Goes behind extension headers. A fragment that is not the first has no more headers: what it is of stands in its own. */
static __always_inline int skip_extensions(struct __sk_buff *skb, struct packet *packet)
{
	__u8 next[2];

	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		__u32 kind = packet->protocol;

		if (kind != HOP_BY_HOP && kind != ROUTING && kind != FRAGMENT && kind != AUTHENTICATION &&
		    kind != DESTINATION)
			return 0;
		if (bpf_skb_load_bytes(skb, packet->transport, next, sizeof(next)))
			return 0;
		packet->protocol = next[0];
		packet->transport += kind == FRAGMENT ? 8 : kind == AUTHENTICATION ? (next[1] + 2) * 4 : (next[1] + 1) * 8;
	}
	return 0;
}

static __always_inline int read_ipv6(struct __sk_buff *skb, struct packet *packet)
{
	__u64 header[5];

	if (bpf_skb_load_bytes(skb, 0, header, sizeof(header)))
		return -1;
	packet->source.a = header[1];
	packet->source.b = header[2];
	packet->destination.a = header[3];
	packet->destination.b = header[4];
	packet->protocol = ((__u8 *)header)[6];
	packet->transport = sizeof(header);
	if (is_link_local(packet->source) || is_link_local(packet->destination))
		return 1;
	return skip_extensions(skb, packet);
}

/* @returns 0 where the packet counts, 1 where it does not, -1 where its headers cannot be read */
static __always_inline int read_packet(struct __sk_buff *skb, struct packet *packet)
{
	__u8 type;
	int got;

	if (skb->ifindex == LOOPBACK_IFINDEX)
		return 1;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		got = read_ipv4(skb, packet);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		got = read_ipv6(skb, packet);
	else
		return 1;
	if (got || (packet->protocol != ICMP && packet->protocol != ICMPV6))
		return got;
	return !bpf_skb_load_bytes(skb, packet->transport, &type, 1) && is_untracked_icmp(packet->protocol, type);
}

/* A super-packet is cut on its way: each of its segments has headers of its own. */
static __always_inline __u64 bytes_on_wire(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 headers = packet->transport;
	__u8 offset;

	if (skb->gso_segs <= 1)
		return skb->len;
	if (packet->protocol == UDP)
		headers += 8;
	else if (packet->protocol == TCP && !bpf_skb_load_bytes(skb, packet->transport + 12, &offset, 1))
		headers += (offset >> 4) * 4;
	return skb->len + (__u64)(skb->gso_segs - 1) * headers;
}

static __always_inline struct pair *pair_of(const struct pair_key *key, int local_is_high)
{
	struct pair *pair = bpf_map_lookup_elem(&pairs, key);
	struct pair fresh = {};

	if (pair)
		return pair;
	fresh.born = (bpf_ktime_get_ns() & ~1ull) | local_is_high;
	bpf_map_update_elem(&pairs, key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&pairs, key);
}

static __always_inline int is_below(struct address one, struct address other)
{
	return one.a == other.a ? one.b < other.b : one.a < other.a;
}

/*
 * Computes the address here and now: left to itself the compiler adds an offset that varies to the pointer, which the verifier takes from
 * those with CAP_PERFMON only.
 */
static __always_inline struct end *fixed(struct end *end)
{
	asm volatile("" : "+r"(end));
	return end;
}

static __always_inline int count(struct __sk_buff *skb, int sends, int wire)
{
	struct packet packet;
	struct pair_key key = {};
	struct pair *pair;
	struct end *local;
	__u64 bytes, packets = 1, now;
	int skip = read_packet(skb, &packet), source_is_low, local_is_high;

	if (skip) {
		if (skip < 0)
			note(EVENT_MALFORMED, 1);
		return 1;
	}
	source_is_low = is_below(packet.source, packet.destination);
	key.low = source_is_low ? packet.source : packet.destination;
	key.high = source_is_low ? packet.destination : packet.source;
	key.protocol = packet.protocol;
	bytes = wire ? bytes_on_wire(skb, &packet) : skb->len;
	if (wire && skb->gso_segs > 1)
		packets = skb->gso_segs;
	local_is_high = source_is_low != sends;
	pair = pair_of(&key, local_is_high);
	if (!pair) {
		note(EVENT_FULL_PACKETS, packets);
		note(EVENT_FULL_BYTES, bytes);
		return 1;
	}
	if (local_is_high)
		local = fixed(&pair->high);
	else
		local = fixed(&pair->low);
	if (sends) {
		__sync_fetch_and_add(&local->sent_bytes, bytes);
		__sync_fetch_and_add(&local->sent_packets, packets);
	} else {
		__sync_fetch_and_add(&local->received_bytes, bytes);
		__sync_fetch_and_add(&local->received_packets, packets);
	}
	now = bpf_jiffies64();
	if (pair->last != now)
		pair->last = now;
	return 1;
}

SEC("cgroup_skb/egress")
int sent(struct __sk_buff *skb)
{
	return count(skb, 1, 0);
}

SEC("cgroup_skb/ingress")
int received(struct __sk_buff *skb)
{
	return count(skb, 0, 0);
}

SEC("cgroup_skb/egress")
int sent_wire(struct __sk_buff *skb)
{
	return count(skb, 1, 1);
}

SEC("cgroup_skb/ingress")
int received_wire(struct __sk_buff *skb)
{
	return count(skb, 0, 1);
}

char LICENSE[] SEC("license") = "GPL";
