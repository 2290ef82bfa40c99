// SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0
/* Sockets of the namespace in which the iterator was opened. */
#include "socket.h"

static __always_inline bool is_asked_for(struct sock_common *skc)
{
	__u16 port = skc->skc_num;

	return port >= filter.low && port <= filter.high;
}

static __always_inline void write(struct seq_file *seq, struct record_v6 *record,
				  struct sock_common *skc)
{
	if (record->head.family == AF_INET6) {
		record->local = skc->skc_v6_rcv_saddr;
		record->remote = skc->skc_v6_daddr;
		bpf_seq_write(seq, record, sizeof(struct record_v6));
	} else {
		struct record_v4 *v4 = (struct record_v4 *)record;

		v4->local = skc->skc_rcv_saddr;
		v4->remote = skc->skc_daddr;
		bpf_seq_write(seq, record, sizeof(struct record_v4));
	}
}

SEC("iter/tcp")
int tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct record_v6 record = {};
	struct tcp_timewait_sock *stub;
	struct tcp_sock *tcp;

	if (!skc || !is_asked_for(skc))
		return 0;
	record.head.protocol = IPPROTO_TCP;
	record.head.state = skc->skc_state;
	record.head.uid = ctx->uid;
	fill_common(&record.head, skc);
	tcp = bpf_skc_to_tcp_sock(skc);
	stub = tcp ? 0 : bpf_skc_to_tcp_timewait_sock(skc);
	if (tcp)
		fill_tcp(&record.head, tcp);
	else if (stub)
		fill_time_wait(&record.head, stub, true);
	else if (skc->skc_state == TCP_TIME_WAIT)
		fill_time_wait(&record.head, (struct tcp_timewait_sock *)skc, false);
	else
		record.head.flags |= SOCKET_REQUEST;
	write(ctx->meta->seq, &record, skc);
	return 0;
}

SEC("iter/udp")
int udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *udp = ctx->udp_sk;
	struct record_v6 record = {};
	struct sock_common *skc;

	if (!udp)
		return 0;
	skc = &udp->inet.sk.__sk_common;
	if (!is_asked_for(skc))
		return 0;
	record.head.protocol = IPPROTO_UDP;
	record.head.state = skc->skc_state;
	record.head.uid = ctx->uid;
	fill_common(&record.head, skc);
	fill_sock(&record.head, &udp->inet.sk);
	fill_range(&record.head, &udp->inet);
	write(ctx->meta->seq, &record, skc);
	return 0;
}

char _license[] SEC("license") = "GPL";
