/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* A kernel socket as a record. */
#ifndef DRYPORT_SOCKET_H
#define DRYPORT_SOCKET_H

#include "kernel.h"
#include "record.h"

struct record_v4 {
	struct socket_head head;
	__be32 local;
	__be32 remote;
};

struct record_v6 {
	struct socket_head head;
	struct in6_addr local;
	struct in6_addr remote;
};

static __always_inline void fill_common(struct socket_head *head, struct sock_common *skc)
{
	head->family = skc->skc_family;
	head->local_port = skc->skc_num;
	head->remote_port = __builtin_bswap16(skc->skc_dport);
	head->device = skc->skc_bound_dev_if;
	if (get_bits(skc, skc_ipv6only))
		head->flags |= SOCKET_V6ONLY;
}

static __always_inline void fill_bucket(struct socket_head *head, struct inet_bind_bucket *bucket)
{
	/* A TIME_WAIT that ends meanwhile leaves its bucket, which then serves another port. */
	if (!bucket || bucket->port != head->local_port)
		return;
	head->flags |= SOCKET_BUCKET;
	head->fastreuse = bucket->fastreuse;
	head->fastreuseport = bucket->fastreuseport;
}

/* Set by user space before each reading. */
volatile struct filter filter = { .high = 65535, .inodes = 1 };

/*
 * A socket lies in one allocation with its inode, so one cache line is touched instead of
 * the three from sk_socket over the file. An orphan has no inode, and neither has a
 * connection that waits for accept().
 */
static __always_inline void fill_sock(struct socket_head *head, struct sock *sk)
{
	const struct socket_alloc *alloc = 0;
	const struct inode *inode = 0;
	unsigned long number = 0;

	if (!filter.inodes || !sk->sk_socket)
		return;
	bpf_probe_read_kernel(&number, sizeof(number),
			      (const void *)sk->sk_socket +
			      __builtin_preserve_field_info(alloc->vfs_inode, FIELD_OFFSET) +
			      __builtin_preserve_field_info(inode->i_ino, FIELD_OFFSET));
	head->inode = number;
}

static __always_inline void fill_range(struct socket_head *head, struct inet_sock *inet)
{
	/* Since 6.8 in one word; before, in a struct, which is not read. */
	if (has_field(inet, local_port_range)) {
		__u32 range = inet->local_port_range;

		head->range_low = range & 0xffff;
		head->range_high = range >> 16;
	}
}

static __always_inline void fill_tcp(struct socket_head *head, struct tcp_sock *tcp)
{
	/* SOCK_CONNECT_BIND came together with tw_connect_bind, which BTF shows. */
	const struct inet_timewait_sock *stub = 0;
	struct sock *sk = &tcp->inet_conn.icsk_inet.sk;

	fill_sock(head, sk);
	fill_range(head, &tcp->inet_conn.icsk_inet);
	fill_bucket(head, tcp->inet_conn.icsk_bind_hash);
	if (has_field(stub, tw_connect_bind)) {
		head->flags |= SOCKET_ORIGIN_TOLD;
		if (get_bits(sk, sk_userlocks) & SOCK_CONNECT_BIND)
			head->flags |= SOCKET_CONNECT_BIND;
	}
}

static __always_inline void peek_bucket(struct socket_head *head,
					const struct inet_bind_bucket *bucket)
{
	if (!bucket || peek_bits(bucket, port) != head->local_port)
		return;
	head->flags |= SOCKET_BUCKET;
	head->fastreuse = peek_bits(bucket, fastreuse);
	head->fastreuseport = peek_bits(bucket, fastreuseport);
}

/*
 * is_known: the verifier takes it for a stub. It does not where another protocol's listener
 * accepted the connection: bpf_skc_to_tcp_timewait_sock() compares tw_prot, which comes from
 * the listener's sk_prot (MPTCP, also where the client speaks plain TCP; sockmap).
 */
static __always_inline void fill_time_wait(struct socket_head *head, struct tcp_timewait_sock *tcp,
					   bool is_known)
{
	struct inet_timewait_sock *stub = &tcp->tw_sk;

#define member(pointer, field) \
	(is_known ? get_bits(pointer, field) : peek_bits(pointer, field))
	head->flags |= SOCKET_TIME_WAIT;
	head->state = member(stub, tw_substate);
	head->remaining_jiffies = member(stub, tw_timer.expires) - bpf_jiffies64();
	if (member(tcp, tw_ts_recent_stamp)) /* int or long */
		head->flags |= SOCKET_TIMESTAMPS;
	if (has_field(stub, tw_entry_stamp)) {
		head->flags |= SOCKET_AGE;
		head->age_ms = (__u32)(bpf_ktime_get_ns() / 1000000) -
			       (__u32)member(stub, tw_entry_stamp);
	}
	if (has_field(stub, tw_connect_bind)) {
		head->flags |= SOCKET_ORIGIN_TOLD;
		if (member(stub, tw_connect_bind))
			head->flags |= SOCKET_CONNECT_BIND;
	}
#undef member
	if (is_known)
		fill_bucket(head, stub->tw_tb);
	else
		peek_bucket(head, (const struct inet_bind_bucket *)peek_bits(stub, tw_tb));
}

#endif
