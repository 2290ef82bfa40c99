/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/*
 * What the programs hand to user space. `cargo xtask bpf` writes ../src/record.rs
 * from this file: fixed-width members and plain numbers only.
 */
#ifndef DRYPORT_RECORD_H
#define DRYPORT_RECORD_H

/* Flags of a socket. */
#define SOCKET_TIME_WAIT	1	/* a stub: TIME_WAIT, or an orphan's FIN_WAIT2 */
#define SOCKET_REQUEST		2	/* a request socket of a listener */
#define SOCKET_V6ONLY		4	/* IPV6_V6ONLY is set */
#define SOCKET_TIMESTAMPS	8	/* the stub's connection had TCP timestamps */
#define SOCKET_CONNECT_BIND	16	/* connect() chose the port */
#define SOCKET_ORIGIN_TOLD	32	/* this kernel tells SOCKET_CONNECT_BIND */
#define SOCKET_BUCKET		64	/* fastreuse and fastreuseport are told */
#define SOCKET_AGE		128	/* age_ms is told */

/* One socket; 4 bytes for each address follow, or 16 where family is AF_INET6. */
struct socket_head {
	__u8 protocol;		/* IPPROTO_TCP or IPPROTO_UDP */
	__u8 state;		/* TCP_ESTABLISHED and so on, also of UDP; a stub's tw_substate */
	__u8 family;		/* AF_INET or AF_INET6 */
	__u8 flags;		/* SOCKET_* */
	__s8 fastreuse;		/* of the bind bucket */
	__s8 fastreuseport;	/* of the bind bucket */
	__u16 local_port;	/* in host byte order */
	__u16 remote_port;	/* in host byte order, 0 for none */
	__u16 range_low;	/* IP_LOCAL_PORT_RANGE, 0 for none */
	__u16 range_high;	/* 0 for none */
	__u16 reserved;		/* 0 */
	__u32 device;		/* SO_BINDTODEVICE, 0 for none */
	__u32 inode;		/* of the socket's file, 0 for none */
	__u32 uid;		/* of the socket's owner */
	__u32 age_ms;		/* since the stub was made */
	__s32 remaining_jiffies; /* until its timer */
};

/* What user space asks for. */
struct filter {
	__u16 low;		/* the lowest local port */
	__u16 high;		/* the highest local port */
	__u32 inodes;		/* 0: inode stays 0, which spares a cache line of each socket */
};

/* A socket that a process has open. */
struct holder {
	__u32 tgid;		/* of the process */
	__u32 inode;		/* of the socket's file */
	__u32 netns;		/* inode of the socket's network namespace */
	__u8 comm[16];		/* of the thread group's leader, with a 0 behind it */
};

#endif
