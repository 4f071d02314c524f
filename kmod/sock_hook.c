// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/skmsg.h>
#include <linux/sockios.h>
#include <net/inet_common.h>
#include <net/tcp.h>
#include <asm/ioctls.h>

#include "sock_hook.h"
#include "stats.h"

enum { IPV4, IPV6, FAMILIES };

/* Copies of what the families have, with our functions in some places. The
 * kernel writes unhash when a psock goes, so they are not const.
 */
static struct proto protos[FAMILIES];
static struct proto_ops ops[FAMILIES];
static const void *copied_proto[FAMILIES], *copied_ops[FAMILIES];
static DEFINE_SPINLOCK(copy_lock); /* while a copy is made */

/* The ULP's data of a live socket that was given back, beside no ops: a page of zeroes. They
 * say that it is not taken again, since a call that found its first context and waits for the
 * socket's lock would go on with that one. The sockmap asks the data alone whether they are
 * kTLS's and busy: these are not. And nothing takes them away before the socket goes, so they
 * cannot be the module's, which may be gone by then.
 */
#define WAS_ATTACHED page_address(ZERO_PAGE(0))

static bool is_ours(const struct proto *proto)
{
	return proto->recvmsg == pd_recvmsg;
}

struct proto *pd_bypass_begin(struct sock *sk)
{
	struct proto *proto = READ_ONCE(sk->sk_prot);

	/* There is one still: see give_back(). */
	__module_get(THIS_MODULE);
	return is_ours(proto) ? (struct proto *)copied_proto[proto - protos] : proto;
}

void pd_bypass_end(void)
{
	module_put(THIS_MODULE);
}

/* ---- the end of a socket ----------------------------------------------------- */

/* Calls go past us from here; sk_callback_lock is held for writing. */
static void unhook(struct sock *sk, struct pd_conn *conn)
{
	struct socket *sock = sk->sk_socket;
	int i;

	if (is_ours(sk->sk_prot))
		WRITE_ONCE(sk->sk_prot, conn->base);
	for (i = 0; sock && i < FAMILIES; i++)
		if (sock->ops == &ops[i])
			WRITE_ONCE(sock->ops, copied_ops[i]);
}

/* Neither bytes nor calls come to us any more; the ULP stays. Returns how many bytes
 * nobody has read. Any context.
 */
static u32 detach(struct sock *sk, struct pd_conn *conn)
{
	u32 unread = pd_conn_detach(conn);

	write_lock_bh(&sk->sk_callback_lock);
	unhook(sk, conn);
	write_unlock_bh(&sk->sk_callback_lock);
	return unread;
}

static void put_given_back(struct rcu_head *rcu)
{
	pd_conn_put(container_of(rcu, struct pd_conn, given_back));
	module_put(THIS_MODULE);
}

/* A live socket, whose context is detached, is TCP's own again: locked. The ULP goes
 * first: TCP's getsockopt(TCP_ULP) reads the ops twice and without a lock, and whoever
 * comes to it past us must find none. The references go when no task can be left that
 * has found our functions and has not come to them yet.
 */
static void give_back(struct sock *sk, struct pd_conn *conn)
{
	struct inet_connection_sock *icsk = inet_csk(sk);

	/* sk_psock_drop() looks at the ops twice, under this lock. */
	write_lock_bh(&sk->sk_callback_lock);
	WRITE_ONCE(icsk->icsk_ulp_ops, NULL);
	/* Pairs with pd_conn_of(). */
	smp_wmb();
	rcu_assign_pointer(icsk->icsk_ulp_data, WAS_ATTACHED);
	/* The slot is free before the calls go past us, and past the psock's, which may
	 * still be there while a sender has it.
	 */
	smp_wmb();
	conn->base = conn->tcp;
	unhook(sk, conn);
	write_unlock_bh(&sk->sk_callback_lock);
	call_rcu_tasks(&conn->given_back, put_given_back);
}

static void close_socket(struct sock *sk, long timeout)
{
	struct pd_conn *conn = pd_conn_get(sk);
	struct proto *tcp;

	if (conn) {
		lock_sock(sk);
		/* As TCP does when bytes are unread: a reset. */
		if (detach(sk, conn)) {
			sock_set_flag(sk, SOCK_LINGER);
			sk->sk_lingertime = 0;
			timeout = 0;
		}
		release_sock(sk);
	}
	tcp = pd_bypass_begin(sk);
	pd_conn_put(conn);
	tcp->close(sk, timeout);
	pd_bypass_end();
}

/* Also the only end of a child that was never accepted. Softirq or process
 * context, the socket is locked or nobody's.
 */
static void destroy_socket(struct sock *sk)
{
	struct pd_conn *conn = pd_conn_get(sk);

	if (conn) {
		detach(sk, conn);
		pd_conn_put(conn);
	}
	READ_ONCE(sk->sk_prot)->destroy(sk);
}

/* connect(AF_UNSPEC), or the reset that ends a socket: locked. The psock goes, too:
 * its own calls do not answer as TCP's, and what a listener leaves to its children
 * must be TCP's.
 */
static int disconnect_socket(struct sock *sk, int flags)
{
	struct pd_conn *conn = pd_conn_get(sk);
	int err;

	if (!conn) {
		err = pd_bypass_begin(sk)->disconnect(sk, flags);
		pd_bypass_end();
		return err;
	}
	pd_conn_detach(conn);
	/* The program that sees the end reads the counters in the ULP's data. */
	err = conn->tcp->disconnect(sk, flags);
	sock_map_unhash(sk);
	give_back(sk, conn);
	pd_conn_put(conn);
	return err;
}

/* The psock goes: sk_callback_lock is held for writing. */
static void update_ulp(struct sock *sk, struct proto *proto, void (*write_space)(struct sock *sk))
{
	struct pd_conn *conn = pd_conn_of(sk);

	sk->sk_write_space = write_space;
	if (!conn || !is_ours(sk->sk_prot)) {
		WRITE_ONCE(sk->sk_prot, proto);
		return;
	}
	conn->base = proto;
	if (pd_conn_is_detached(conn))
		return;
	WRITE_ONCE(conn->released, true);
	refcount_inc(&conn->refs);
	if (!queue_work(pd_conn_work, &conn->release))
		pd_conn_put(conn);
}

/* The socket is dead. The caller puts the module. */
static void release_ulp(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct pd_conn *conn = pd_conn_of(sk);

	if (!conn)
		return;
	rcu_assign_pointer(icsk->icsk_ulp_data, NULL);
	pd_conn_put(conn);
}

struct tcp_ulp_ops pd_ulp_ops = {
	.name = "pipedevice",
	.owner = THIS_MODULE,
	.update = update_ulp,
	.release = release_ulp,
};

static void release_work(struct work_struct *work)
{
	struct pd_conn *conn = container_of(work, struct pd_conn, release);

	pd_sock_try_release(conn);
	pd_conn_put(conn);
}

void pd_sock_try_release(struct pd_conn *conn)
{
	struct sock *sk;

	spin_lock_bh(&conn->lock);
	sk = conn->sk;
	if (sk)
		sock_hold(sk);
	spin_unlock_bh(&conn->lock);
	if (!sk)
		return;
	lock_sock(sk);
	if (is_ours(READ_ONCE(sk->sk_prot)) && pd_conn_of(sk) == conn &&
	    pd_rbt_close_if_empty(&conn->rbt)) {
		pd_conn_detach(conn);
		give_back(sk, conn);
		pd_stat_inc(PD_STAT_RELEASED);
	}
	release_sock(sk);
	/* Those that sleep in our functions leave them. */
	pd_conn_wake_all(sk);
	sock_put(sk);
}

/* ---- what TCP asks of a proto ------------------------------------------------ */

/* May be called in any context, with or without the socket's lock. */
static bool stream_memory_free(const struct sock *sk, int wake)
{
	struct pd_conn *conn, *peer;
	bool room = true;

	if (!tcp_stream_memory_free(sk, wake))
		return false;
	rcu_read_lock();
	conn = pd_conn_of(sk);
	peer = conn && !READ_ONCE(conn->in_tcp_send) ? rcu_dereference(conn->peer) : NULL;
	if (peer && !pd_rbt_has_room(&peer->rbt)) {
		pd_rbt_wants_room(&peer->rbt);
		room = pd_rbt_has_room(&peer->rbt);
	}
	rcu_read_unlock();
	return room;
}

static int socket_ioctl(struct sock *sk, int cmd, pd_ioctl_arg arg)
{
	struct pd_conn *conn = pd_conn_get(sk);
	struct proto *tcp;
	int unread, err;

	if (!conn) {
		err = pd_bypass_begin(sk)->ioctl(sk, cmd, arg);
		pd_bypass_end();
		return err;
	}
	tcp = conn->tcp;
	unread = (int)READ_ONCE(conn->rbt.unread);
	err = tcp->ioctl(sk, cmd, arg);
	if (!err && cmd == SIOCINQ)
		err = pd_ioctl_add(arg, unread);
	/* What was redirected before the urgent byte is read before it. */
	if (!err && cmd == SIOCATMARK && unread)
		err = pd_ioctl_put(arg, 0);
	pd_conn_put(conn);
	return err;
}

/* Whoever has the ULP: TCP would look for it in the slot, which give_back() clears. */
static int get_ulp(char __user *value, int __user *len_at)
{
	int len;

	if (get_user(len, len_at))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	len = min_t(int, len, TCP_ULP_NAME_MAX);
	if (put_user(len, len_at) || copy_to_user(value, pd_ulp_ops.name, len))
		return -EFAULT;
	return 0;
}

/* What a caller of TCP_ZEROCOPY_RECEIVE with a buffer beside gets where nothing can be
 * mapped: at most @size bytes are copied. Returns how many, -errno.
 */
static int recv_into(struct sock *sk, u64 address, int size)
{
	void __user *buffer = u64_to_user_ptr(address);
	struct msghdr msg = {};
	int none;

	if ((uintptr_t)buffer != address || !access_ok(buffer, size))
		return -EINVAL;
	iov_iter_ubuf(&msg.msg_iter, ITER_DEST, buffer, size);
	return pd_recvmsg(sk, &msg, size, MSG_DONTWAIT, &none);
}

/* TCP_ZEROCOPY_RECEIVE where nothing can be mapped: as TCP answers for what is less
 * than a page. What does not fit into the buffer beside, recv() has.
 */
static int receive_copied(struct sock *sk, struct pd_conn *conn, char __user *value,
			  int __user *len_at)
{
	struct tcp_zerocopy_receive zc = {};
	int unread = pd_unread(sk, conn);
	int len, copied;

	if (get_user(len, len_at))
		return -EFAULT;
	if (len < (int)offsetofend(struct tcp_zerocopy_receive, length))
		return -EINVAL;
	len = min_t(int, len, sizeof(zc));
	if (copy_from_user(&zc, value, len))
		return -EFAULT;
	copied = unread <= zc.copybuf_len ? recv_into(sk, zc.copybuf_address, unread) : 0;
	if (copied < 0)
		return copied;
	zc.length = 0;
	zc.copybuf_len = copied;
	zc.recv_skip_hint = copied ? 0 : unread;
	zc.inq = pd_unread(sk, conn);
	zc.err = 0;
	zc.msg_controllen = 0;
	zc.msg_flags = 0;
	if (put_user(len, len_at) || copy_to_user(value, &zc, len))
		return -EFAULT;
	return 0;
}

/* TCP_ZEROCOPY_RECEIVE looks at TCP's queue alone: from the first time on nothing
 * is redirected to this reader.
 */
static int zerocopy_receive(struct sock *sk, struct pd_conn *conn, char __user *value,
			    int __user *len)
{
	WRITE_ONCE(conn->tcp_only, true);
	/* From here on every sender finds it closed, whatever it has seen before. */
	if (!pd_rbt_close_if_empty(&conn->rbt))
		return receive_copied(sk, conn, value, len);
	return conn->tcp->getsockopt(sk, SOL_TCP, TCP_ZEROCOPY_RECEIVE, value, len);
}

static int socket_getsockopt(struct sock *sk, int level, int name, char __user *value,
			     int __user *len)
{
	struct pd_conn *conn = pd_conn_get(sk);
	int err;

	if (!conn) {
		err = pd_bypass_begin(sk)->getsockopt(sk, level, name, value, len);
		pd_bypass_end();
		return err;
	}
	if (level == SOL_TCP && name == TCP_ULP)
		err = get_ulp(value, len);
	else if (level == SOL_TCP && name == TCP_ZEROCOPY_RECEIVE)
		err = zerocopy_receive(sk, conn, value, len);
	else
		err = conn->tcp->getsockopt(sk, level, name, value, len);
	pd_conn_put(conn);
	return err;
}

#if PD_HAVE_SENDPAGE
static int socket_sendpage(struct sock *sk, struct page *page, int offset, size_t size, int flags)
{
	struct bio_vec bvec = { .bv_page = page, .bv_offset = offset, .bv_len = size };
	struct msghdr msg = { .msg_flags = flags & ~MSG_SENDPAGE_NOTLAST };

	if (flags & MSG_SENDPAGE_NOTLAST)
		msg.msg_flags |= MSG_MORE;
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, &bvec, 1, size);
	return pd_sendmsg(sk, &msg, size);
}
#endif

static void change_proto(struct proto *proto)
{
	proto->close = close_socket;
	proto->destroy = destroy_socket;
	proto->disconnect = disconnect_socket;
	proto->sendmsg = pd_sendmsg;
	proto->recvmsg = pd_recvmsg;
	proto->sock_is_readable = pd_sock_is_readable;
	proto->stream_memory_free = stream_memory_free;
	proto->ioctl = socket_ioctl;
	proto->getsockopt = socket_getsockopt;
#if PD_HAVE_SENDPAGE
	proto->sendpage = socket_sendpage;
#endif
}

/* ---- attach ------------------------------------------------------------------ */

/* Our proto over @tcp, or NULL if that is not TCP's own. By the proto and not by
 * the family: an IPv4 child of an IPv6 listener has TCPv6's.
 */
static struct proto *proto_over(struct proto *tcp)
{
	int i = tcp == &tcp_prot ? IPV4 : IPV6;

	if (i == IPV6 && (tcp->sendmsg != tcp_prot.sendmsg || tcp->recvmsg != tcp_prot.recvmsg ||
			  strcmp(tcp->name, "TCPv6")))
		return NULL;
	/* Pairs with smp_store_release() below. */
	if (likely(smp_load_acquire(&copied_proto[i]) == tcp))
		return &protos[i];
	spin_lock_bh(&copy_lock);
	if (!copied_proto[i]) {
		protos[i] = *tcp;
		change_proto(&protos[i]);
		/* Pairs with smp_load_acquire() above. */
		smp_store_release(&copied_proto[i], tcp);
	}
	spin_unlock_bh(&copy_lock);
	return copied_proto[i] == tcp ? &protos[i] : NULL;
}

int pd_sock_attach(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct sk_psock *psock;
	struct pd_conn *conn;
	struct proto *proto;
	int err = -EINVAL;

	if (!sk_fullsock(sk) || sk->sk_protocol != IPPROTO_TCP)
		return -EINVAL;
	if (!try_module_get(THIS_MODULE)) /* for the ULP */
		return -EINVAL;
	psock = sk_psock_get(sk);
	if (!psock)
		goto put_module;
	proto = proto_over(psock->sk_proto);
	if (!proto || !psock->progs.msg_parser || psock->progs.stream_verdict ||
	    psock->progs.skb_verdict)
		goto put_psock;
	err = -EBUSY;
	if (!list_empty(&psock->ingress_msg))
		goto put_psock;
	err = -ENOMEM;
	conn = pd_conn_alloc(sk, psock->sk_proto);
	if (!conn)
		goto put_psock;
	INIT_WORK(&conn->release, release_work);

	write_lock_bh(&sk->sk_callback_lock);
	err = -EEXIST;
	if (icsk->icsk_ulp_ops || is_ours(sk->sk_prot) ||
	    rcu_access_pointer(icsk->icsk_ulp_data) == WAS_ATTACHED)
		goto unlock;
	conn->base = sk->sk_prot;
	rcu_assign_pointer(icsk->icsk_ulp_data, conn);
	/* Pairs with pd_conn_of(). */
	smp_wmb();
	WRITE_ONCE(icsk->icsk_ulp_ops, &pd_ulp_ops);
	WRITE_ONCE(sk->sk_prot, proto);
	/* The sockmap has taken this away; TCP does what it means. */
	if (sk->sk_socket)
		set_bit(SOCK_SUPPORT_ZC, &sk->sk_socket->flags);
	write_unlock_bh(&sk->sk_callback_lock);
	sk_psock_put(sk, psock);
	pd_stat_inc(PD_STAT_ATTACHED);
	return 0;
unlock:
	write_unlock_bh(&sk->sk_callback_lock);
	pd_conn_put(conn);
put_psock:
	sk_psock_put(sk, psock);
put_module:
	module_put(THIS_MODULE);
	pd_stat_inc(PD_STAT_ATTACH_REFUSED);
	return err;
}

/* What the socket's calls were without us: by the family, as they may be so again. */
static const struct proto_ops *own_ops(const struct socket *sock)
{
	return copied_ops[READ_ONCE(sock->ops)->family == PF_INET6 ? IPV6 : IPV4];
}

/* A lower SO_RCVLOWAT may be reached by what is redirected, too. */
static int set_rcvlowat(struct sock *sk, int value)
{
	int err = own_ops(sk->sk_socket)->set_rcvlowat(sk, value);

	/* Pairs with pd_has_enough(). */
	smp_mb();
	if (!err && pd_sock_is_readable(sk))
		sk->sk_data_ready(sk);
	return err;
}

static const struct proto_ops *ops_over(const struct proto_ops *stream)
{
	int i = stream == &inet_stream_ops ? IPV4 : IPV6;

	if (i == IPV6 && stream->family != PF_INET6)
		return NULL;
	/* Pairs with smp_store_release() below. */
	if (likely(smp_load_acquire(&copied_ops[i]) == stream))
		return &ops[i];
	spin_lock_bh(&copy_lock);
	if (!copied_ops[i]) {
		memcpy(&ops[i], stream, sizeof(ops[i]));
		ops[i].splice_read = pd_splice_read;
		ops[i].set_rcvlowat = set_rcvlowat;
		/* Pairs with smp_load_acquire() above. */
		smp_store_release(&copied_ops[i], stream);
	}
	spin_unlock_bh(&copy_lock);
	return copied_ops[i] == stream ? &ops[i] : NULL;
}

/* Somebody sleeps in sk_wait_data(), perhaps inside TCP's splice_read(), which would
 * never see what is redirected.
 */
static bool has_sleepers(struct sock *sk)
{
	wait_queue_head_t *head = sk_sleep(sk);
	wait_queue_entry_t *entry;
	unsigned long flags;
	bool found = false;

	spin_lock_irqsave(&head->lock, flags);
	list_for_each_entry(entry, &head->head, entry)
		found |= entry->func == woken_wake_function;
	spin_unlock_irqrestore(&head->lock, flags);
	return found;
}

ssize_t pd_splice_past(struct socket *sock, loff_t *ppos, struct pipe_inode_info *pipe, size_t len,
		       unsigned int flags)
{
	ssize_t got;

	__module_get(THIS_MODULE);
	got = own_ops(sock)->splice_read(sock, ppos, pipe, len, flags);
	module_put(THIS_MODULE);
	return got;
}

/* Nobody is inside TCP's splice_read(): it owns the socket's lock, or sleeps. */
static void hook_ops(struct sock *sk, struct pd_conn *conn)
{
	const struct proto_ops *changed;
	struct socket *sock = sk->sk_socket;

	/* Without a file it is the kernel's own, which may read past recvmsg(). */
	if (!sock || !sock->ops || !sock->file || !is_ours(sk->sk_prot) || has_sleepers(sk))
		return;
	changed = ops_over(sock->ops);
	if (!changed)
		return;
	WRITE_ONCE(sock->ops, changed);
	WRITE_ONCE(conn->spliceable, true);
}

void pd_sock_hook_ops(struct sock *sk, struct pd_conn *conn)
{
	if (likely(READ_ONCE(conn->spliceable)))
		return;
	spin_lock_bh(&sk->sk_lock.slock);
	if (!sock_owned_by_user(sk)) {
		write_lock(&sk->sk_callback_lock);
		hook_ops(sk, conn);
		write_unlock(&sk->sk_callback_lock);
	}
	spin_unlock_bh(&sk->sk_lock.slock);
}
