/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/*
 * The kernel's types, as far as they are read here. Names and types of members are
 * the kernel's; their places are found at load time (CO-RE).
 */
#ifndef DRYPORT_KERNEL_H
#define DRYPORT_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef _Bool bool;
#define true 1
#define false 0

#define AF_INET		2
#define AF_INET6	10
#define IPPROTO_TCP	6
#define IPPROTO_UDP	17
#define IPPROTO_MPTCP	262
#define TCP_TIME_WAIT	6
#define SOCK_CONNECT_BIND 16	/* of sk_userlocks */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	union {
		struct {
			__be32 skc_daddr;
			__be32 skc_rcv_saddr;
		};
	};
	union {
		struct {
			__be16 skc_dport;
			__u16 skc_num;
		};
	};
	unsigned short skc_family;
	unsigned char skc_state;
	unsigned char skc_ipv6only : 1;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct inode {
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
};

struct socket {
	struct sock *sk;
};

struct socket_alloc {
	struct inode vfs_inode;
};

typedef struct {
	unsigned int val;
} kuid_t;

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	kuid_t sk_uid;
	__u8 sk_userlocks : 4;
	__u16 sk_protocol;
};

struct inet_bind_bucket {
	unsigned short port;
	signed char fastreuse;
	signed char fastreuseport;
};

struct inet_sock {
	struct sock sk;
	__u32 local_port_range;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	struct inet_bind_bucket *icsk_bind_hash;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
};

struct udp_sock {
	struct inet_sock inet;
};

struct timer_list {
	unsigned long expires;
};

struct inet_timewait_sock {
	struct sock_common __tw_common;
	unsigned char tw_substate;
	unsigned int tw_connect_bind : 1;
	__u32 tw_entry_stamp;
	struct timer_list tw_timer;
	struct inet_bind_bucket *tw_tb;
};

struct tcp_timewait_sock {
	struct inet_timewait_sock tw_sk;
	long tw_ts_recent_stamp;
};

struct task_struct {
	int tgid;
	struct task_struct *group_leader;
	char comm[16];
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
	unsigned int uid;
};

struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct udp_sock *udp_sk;
	unsigned int uid;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	unsigned int fd;
	struct file *file;
};

#pragma clang attribute pop

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))

static __u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static long (*bpf_probe_read_kernel)(void *dst, __u32 size, const void *from) = (void *)113;
static __u64 (*bpf_jiffies64)(void) = (void *)118;
static long (*bpf_seq_write)(struct seq_file *seq, const void *data, __u32 size) = (void *)127;
static struct tcp_sock *(*bpf_skc_to_tcp_sock)(void *sk) = (void *)137;
static struct tcp_timewait_sock *(*bpf_skc_to_tcp_timewait_sock)(void *sk) = (void *)138;
static struct socket *(*bpf_sock_from_file)(struct file *file) = (void *)162;

/* enum bpf_field_info_kind */
#define FIELD_OFFSET	0
#define FIELD_SIZE	1
#define FIELD_EXISTS	2
#define FIELD_LSHIFT	4
#define FIELD_RSHIFT	5

#define has_field(pointer, field) \
	__builtin_preserve_field_info((pointer)->field, FIELD_EXISTS)

/* clang knows where a bit stands in this header only, so it is picked out by hand. */
#define get_bits(pointer, field)                                                   \
	({                                                                         \
		const void *__at = (const void *)(pointer) +                       \
			__builtin_preserve_field_info((pointer)->field, FIELD_OFFSET); \
		__u64 __bits = 0;                                                  \
		asm volatile("" : "+r"(__at));                                     \
		switch (__builtin_preserve_field_info((pointer)->field, FIELD_SIZE)) { \
		case 1: __bits = *(const __u8 *)__at; break;                       \
		case 2: __bits = *(const __u16 *)__at; break;                      \
		case 4: __bits = *(const __u32 *)__at; break;                      \
		case 8: __bits = *(const __u64 *)__at; break;                      \
		}                                                                  \
		__bits <<= __builtin_preserve_field_info((pointer)->field, FIELD_LSHIFT); \
		__bits >> __builtin_preserve_field_info((pointer)->field, FIELD_RSHIFT); \
	})

/* The same where the verifier does not know what the pointer leads to; 0 where it leads nowhere. */
#define peek_bits(pointer, field)                                                  \
	({                                                                         \
		__u64 __bits = 0;                                                  \
		bpf_probe_read_kernel(                                             \
			&__bits,                                                   \
			__builtin_preserve_field_info((pointer)->field, FIELD_SIZE), \
			(const void *)(pointer) +                                  \
				__builtin_preserve_field_info((pointer)->field, FIELD_OFFSET)); \
		__bits <<= __builtin_preserve_field_info((pointer)->field, FIELD_LSHIFT); \
		__bits >> __builtin_preserve_field_info((pointer)->field, FIELD_RSHIFT); \
	})
#endif
