/** Nodes whose kernel drops connections within about a second of their end, long before the next read. */
export const SHORT_TIMEOUTS = {
  sysctls: {
    'netfilter/nf_conntrack_tcp_timeout_time_wait': 1,
    'netfilter/nf_conntrack_tcp_timeout_close': 1,
    'netfilter/nf_conntrack_udp_timeout': 1,
    'netfilter/nf_conntrack_udp_timeout_stream': 1,
    'netfilter/nf_conntrack_icmp_timeout': 1,
    'netfilter/nf_conntrack_icmpv6_timeout': 1,
  },
} as const;
