// SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0
/* TCP and UDP sockets that processes have open, of every network namespace. */
#include "kernel.h"
#include "record.h"

SEC("iter/task_file")
int task_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct holder holder = {};
	struct task_struct *leader;
	struct socket *socket;
	struct sock *sk;
	__u16 family, protocol;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	family = sk->__sk_common.skc_family;
	if (family != AF_INET && family != AF_INET6)
		return 0;
	protocol = sk->sk_protocol;
	/* Its subflows, which have the ports, have this file's inode. */
	if (protocol == IPPROTO_MPTCP)
		protocol = IPPROTO_TCP;
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return 0;
	holder.tgid = task->tgid;
	holder.inode = file->f_inode->i_ino;
	holder.netns = sk->__sk_common.skc_net.net->ns.inum;
	leader = task->group_leader;
	if (leader)
		bpf_probe_read_kernel(holder.comm, sizeof(holder.comm), leader->comm);
	bpf_seq_write(ctx->meta->seq, &holder, sizeof(holder));
	return 0;
}

char _license[] SEC("license") = "GPL";
