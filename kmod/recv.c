// SPDX-License-Identifier: GPL-2.0-only
/* recvmsg(): what the peer has put into the receive buffer, and what came over TCP,
 * in the order in which they were sent.
 *
 * One reader at a time, by conn->read_mutex: nobody else moves copied_seq while a
 * reader decides whose turn it is. TCP's own part is read by TCP's own recvmsg,
 * without waiting; the waiting is done here, for both.
 */
#include <linux/compat.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>
#include <net/tcp.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

#include "control.h"
#include "engine.h"
#include "pinned.h"
#include "recv.h"
#include "sock_hook.h"

/* A call that has left the module and has to be made anew. */
#define GO_TO_TCP 1
/* Something has come meanwhile. */
#define LOOK_AGAIN 2

#define STEP_MS 10

/* Memory of a reader that waits: with less it costs more to pin than a second copy; and
 * after so long it is not kept from the rest of the kernel any longer.
 */
#define WINDOW_MIN (8 << 10)
#define WINDOW_MS 20

/* May bytes of a frame with @seq be read now? Every TCP byte that was sent before
 * them has been.
 */
static bool is_its_turn(const struct sock *sk, u32 seq)
{
	return !before(READ_ONCE(tcp_sk(sk)->copied_seq), seq);
}

size_t pd_recv_tcp_limit(const struct recv *recv)
{
	const struct tcp_sock *tp = tcp_sk(recv->sk);
	u32 copied_seq = READ_ONCE(tp->copied_seq), end = READ_ONCE(tp->rcv_nxt), seq, ready;

	/* rcv_nxt is read before the frames. */
	smp_rmb();
	if (pd_rbt_first(&recv->conn->rbt, &seq, &ready) && before(seq, end))
		end = seq;
	return max((s32)(end - copied_seq), 0);
}

u32 pd_recv_copy_out(struct recv *recv, struct pd_frame *frame, u32 offset, u32 bytes)
{
	u32 by_dma = 0;

	/* MSG_TRUNC on a stream: thrown away. */
	if (recv->flags & MSG_TRUNC)
		return bytes;
	if (pd_dma_pays(bytes, &recv->conn->recv_rest))
		by_dma = pd_engine_dma_drain(frame, offset, &recv->msg->msg_iter, bytes,
					     &recv->conn->recv_rest);
	if (by_dma == bytes)
		return bytes;
	return by_dma +
	       pd_engine_cpu_drain(frame, offset + by_dma, &recv->msg->msg_iter, bytes - by_dma);
}

/* Read from @frame, the first one, of which *@taken bytes are to be taken off then.
 * Returns how many, 0 if it is not its turn or nothing is READY, -EFAULT.
 */
static int take_frame(struct recv *recv, struct pd_frame *frame, u32 seq, u32 ready, u32 *taken)
{
	size_t want;

	if (!ready || !is_its_turn(recv->sk, seq))
		return 0;
	want = min_t(size_t, ready, recv->len - recv->copied);
	*taken = pd_recv_copy_out(recv, frame, frame->taken, want);
	if (*taken) {
		recv->conn->burst += *taken;
		sk_peek_offset_bwd(recv->sk, *taken);
	}
	return *taken || !want ? *taken : -EFAULT;
}

static int call_tcp(struct recv *recv, size_t len, int flags)
{
	return pd_control_recvmsg(recv->control, recv->conn->tcp, recv->sk, recv->msg, len, flags,
				  recv->addr_len);
}

int pd_recv_take_tcp(struct recv *recv, size_t limit)
{
	size_t want = min(recv->len - recv->copied, limit);
	struct iov_iter *iter = &recv->msg->msg_iter;
	size_t beyond = iov_iter_count(iter) - min(want, iov_iter_count(iter));
	int n;

	iov_iter_truncate(iter, want);
	n = call_tcp(recv, want, (recv->flags & ~MSG_WAITALL) | MSG_DONTWAIT);
	iov_iter_reexpand(iter, iov_iter_count(iter) + beyond);
	return n == -EAGAIN ? 0 : n;
}

/* MSG_TRUNC does not move the iterator, so it cannot be wound back by what was copied. */
static void look_again(struct recv *recv)
{
	recv->msg->msg_iter = recv->start;
	sk_peek_offset_bwd(recv->sk, recv->copied);
	if (recv->control)
		recv->control->len = 0;
	recv->copied = 0;
}

/* Some of a message was read, and the next byte of TCP is the urgent one: TCP's recvmsg
 * stops before it, and passes over it when it is called anew.
 */
static bool is_at_mark(const struct recv *recv)
{
	const struct tcp_sock *tp = tcp_sk(recv->sk);
	u32 seq, ready;

	if (likely(!READ_ONCE(tp->urg_data)) || READ_ONCE(tp->urg_seq) != READ_ONCE(tp->copied_seq))
		return false;
	return !pd_rbt_first(&recv->conn->rbt, &seq, &ready) || !is_its_turn(recv->sk, seq);
}

/* Is there anything, for who asks for no bytes at all? */
static bool has_some(const struct recv *recv)
{
	u32 seq, ready;

	if (pd_rbt_first(&recv->conn->rbt, &seq, &ready) && ready && is_its_turn(recv->sk, seq))
		return true;
	return pd_recv_tcp_limit(recv);
}

/* Read what is there. Returns what was read, 0 if nothing is there now, -errno. */
static int take_some(struct recv *recv)
{
	struct pd_rbt *rbt = &recv->conn->rbt;
	struct pd_frame *frame;
	u32 seq, ready, taken = 0;
	size_t limit;
	int n = 0;

	frame = pd_rbt_begin(rbt, &seq, &ready);
	if (recv->flags & MSG_PEEK)
		n = pd_recv_peek(recv, frame, seq, ready);
	else if (frame)
		n = take_frame(recv, frame, seq, ready, &taken);
	pd_rbt_end(rbt, frame, taken);
	if (taken && pd_rbt_take_wish(rbt))
		pd_conn_wake_writer(recv->conn);
	if (n || recv->flags & MSG_PEEK)
		return n;
	recv->was_empty = skb_queue_empty_lockless(&recv->sk->sk_receive_queue);
	if (recv->was_empty)
		return 0;
	limit = pd_recv_tcp_limit(recv);
	return limit ? pd_recv_take_tcp(recv, limit) : 0;
}

/* What is there to be read has changed since the last look. */
static bool has_changed(const struct recv *recv)
{
	return READ_ONCE(recv->conn->rbt.changes) != recv->changes ||
	       READ_ONCE(tcp_sk(recv->sk)->rcv_nxt) != recv->rcv_nxt ||
	       (recv->was_empty && !skb_queue_empty_lockless(&recv->sk->sk_receive_queue));
}

static void note_state(struct recv *recv)
{
	recv->changes = READ_ONCE(recv->conn->rbt.changes);
	recv->rcv_nxt = READ_ONCE(tcp_sk(recv->sk)->rcv_nxt);
	recv->was_empty = false;
}

/* What a call returns that reads nothing any more, as tcp_recvmsg() says it. */
static int result_of_end(struct sock *sk)
{
	if (sock_flag(sk, SOCK_DONE))
		return 0;
	if (READ_ONCE(sk->sk_err))
		return sock_error(sk);
	return READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN ? 0 : -ENOTCONN;
}

/* Nothing is there: is this the end, or do we wait? The same order of questions as in
 * tcp_recvmsg(); read_mutex is held. Returns 0 to wait, LOOK_AGAIN, GO_TO_TCP, or else *result
 * is what the call returns if nothing was copied.
 */
static int judge(struct recv *recv, long timeo, int *result)
{
	struct sock *sk = recv->sk;
	bool ended = pd_has_ended(sk), pending, changed;
	u32 seq, ready;

	/* With its lock TCP has done all of what it is about: bytes are there that came
	 * before the end, and its state is one. And bytes that were redirected before the
	 * peer's FIN are there when that is: the look at the frames is after this.
	 */
	if (unlikely(ended)) {
		lock_sock(sk);
		changed = has_changed(recv);
		release_sock(sk);
		if (changed)
			return LOOK_AGAIN;
	}
	pending = pd_rbt_first(&recv->conn->rbt, &seq, &ready);
	/* A look at what is READY has seen it, and it stays. */
	if (recv->flags & MSG_PEEK && pending && ready)
		pending = false;
	/* A frame that is FILLING comes before the end; one whose turn cannot come,
	 * since TCP has failed, does not.
	 */
	if (pending && !is_its_turn(sk, seq) &&
	    (READ_ONCE(sk->sk_err) || READ_ONCE(sk->sk_state) == TCP_CLOSE))
		pending = false;

	*result = 0;
	if (recv->copied) {
		if (!timeo || (ended && !pending) || signal_pending(current))
			return -EINTR;
	} else if (pending || !ended) {
		if (pd_conn_is_detached(recv->conn) && !(timeo && signal_pending(current)))
			return GO_TO_TCP;
	} else {
		*result = result_of_end(sk);
		return -EINTR;
	}
	if (!timeo) {
		*result = -EAGAIN;
		return -EINTR;
	}
	if (signal_pending(current)) {
		*result = sock_intr_errno(timeo);
		return -EINTR;
	}
	return pd_conn_is_detached(recv->conn) ? GO_TO_TCP : 0;
}

/* ---- the reader's own memory --------------------------------------------------- */

/* Bytes to pin memory for: about as many as have come at once before. 0: none. */
static size_t wanted_window(struct recv *recv, unsigned long *at)
{
	u32 burst = min_t(u32, recv->conn->burst, PD_PINNED_MAX);
	size_t size;

	recv->conn->burst = 0;
	if (likely(burst < WINDOW_MIN) || recv->is_pinned_once ||
	    recv->flags & (MSG_PEEK | MSG_TRUNC) || !current->mm)
		return 0;
	size = min3(pd_next_stretch(&recv->msg->msg_iter, at), recv->len - recv->copied,
		    (size_t)burst);
	return size < WINDOW_MIN ? 0 : size;
}

/* The wait is over: what has come into it has been read. */
static void take_window(struct recv *recv, struct pd_pinned *pinned)
{
	u32 filled = pd_rbt_close_window(&recv->conn->rbt, &pinned->window);

	pd_unpin(pinned, filled);
	iov_iter_advance(&recv->msg->msg_iter, filled);
	sk_peek_offset_bwd(recv->sk, filled);
	recv->copied += filled;
	recv->conn->burst += filled;
	recv->is_pinned_once = !filled;
}

/* ---- waiting ------------------------------------------------------------------- */

/* Once: to whoever sends more before it has come to run, a reader that was woken costs
 * nothing.
 */
static int wake_once(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	int woken = woken_wake_function(wait, mode, sync, key);

	list_del_init_careful(&wait->entry);
	return woken;
}

/* TCP wakes nobody for bytes that reach SO_RCVLOWAT only together with frames before
 * them: then the wait is in steps.
 */
static void wait_for_change(struct recv *recv, long *timeo, bool is_pinned,
			    wait_queue_entry_t *wait)
{
	long step = *timeo, left;

	if (is_pinned)
		step = min_t(long, step, msecs_to_jiffies(WINDOW_MS));
	if (unlikely(READ_ONCE(recv->conn->mixed)) && READ_ONCE(recv->sk->sk_rcvlowat) > 1)
		step = min_t(long, step, msecs_to_jiffies(STEP_MS));
	left = wait_woken(wait, TASK_INTERRUPTIBLE, step);
	if (*timeo != MAX_SCHEDULE_TIMEOUT)
		*timeo -= step - left;
}

/* Nothing was there. Wait for a change, with @window open if there is one, or say why
 * not, as judge() does. Called with read_mutex, which is not held while waiting.
 */
static int wait_for_more(struct recv *recv, long *timeo, struct pd_window *window, int *result)
{
	DEFINE_WAIT_FUNC(wait, wake_once);
	struct pd_conn *conn = recv->conn;
	struct sock *sk = recv->sk;
	int err = LOOK_AGAIN;

	add_wait_queue(sk_sleep(sk), &wait);
	sk_set_bit(SOCKWQ_ASYNC_WAITDATA, sk);
	/* Pairs with skwq_has_sleeper(): either it sees us, or we see the change. */
	smp_mb();
	if (!has_changed(recv))
		err = judge(recv, *timeo, result);
	if (!err && !has_changed(recv)) {
		if (window)
			pd_rbt_open_window(&conn->rbt, window);
		mutex_unlock(&conn->read_mutex);
		wait_for_change(recv, timeo, window, &wait);
		mutex_lock(&conn->read_mutex);
		/* The connection was broken off by connect(AF_UNSPEC) in another thread. */
		if (unlikely(READ_ONCE(sk->sk_disconnects) != recv->disconnects)) {
			*result = -EPIPE;
			err = -EINTR;
		}
	}
	sk_clear_bit(SOCKWQ_ASYNC_WAITDATA, sk);
	finish_wait(sk_sleep(sk), &wait);
	return err;
}

/* Not inlined: kernels may clear all of a function's variables when it is entered. */
static noinline int wait_pinned(struct recv *recv, long *timeo, unsigned long at, size_t size,
				int *result)
{
	struct pd_pinned pinned;
	int err;

	if (!pd_pin_private(&pinned, at, size))
		return wait_for_more(recv, timeo, NULL, result);
	err = wait_for_more(recv, timeo, &pinned.window, result);
	take_window(recv, &pinned);
	return err;
}

/* TCP has counted bytes that are not in its queue yet, where poll() has seen them: they are
 * there once its lock was held. Says so once.
 */
static bool is_on_its_way(struct recv *recv)
{
	struct sock *sk = recv->sk;

	if (likely(!recv->was_empty || recv->rcv_nxt == READ_ONCE(tcp_sk(sk)->copied_seq)) ||
	    recv->is_settled)
		return false;
	lock_sock(sk);
	release_sock(sk);
	recv->is_settled = true;
	return true;
}

static int wait(struct recv *recv, long *timeo, int *result)
{
	unsigned long at;
	size_t size;

	if (!*timeo)
		return has_changed(recv) || is_on_its_way(recv) ? LOOK_AGAIN :
								  judge(recv, 0, result);
	size = wanted_window(recv, &at);
	if (unlikely(size))
		return wait_pinned(recv, timeo, at, size, result);
	return wait_for_more(recv, timeo, NULL, result);
}

/* Fill the buffer with what is there, wait if it is too little. */
static int recv_locked(struct recv *recv, long timeo)
{
	int n, err, result = 0;

	for (;;) {
		note_state(recv);
		/* Pairs with the lock of pd_rbt_publish(), which counts the change last. */
		smp_rmb();
		if (unlikely(!recv->len) && has_some(recv))
			return 0;
		/* What came while it slept ends there, too. */
		if (recv->copied && is_at_mark(recv))
			return recv->copied;
		n = take_some(recv);
		if (n < 0)
			return recv->copied ?: n;
		if (n > 0) {
			recv->copied += n;
			if (recv->copied >= recv->len)
				return recv->copied;
			if (!(recv->flags & MSG_PEEK))
				continue;
		}
		if (recv->copied >= recv->target || recv->is_at_mark || recv->is_cut)
			return recv->copied;
		if (unlikely(READ_ONCE(recv->conn->released)) &&
		    !pd_rbt_has_frames(&recv->conn->rbt))
			pd_sock_try_release(recv->conn);
		err = wait(recv, &timeo, &result);
		if (err == GO_TO_TCP)
			return -ERESTARTNOINTR;
		if (err < 0)
			return recv->copied ?: result;
		if (recv->flags & MSG_PEEK) {
			/* Each message that comes begins it anew, without a wait. */
			cond_resched();
			if (recv->copied && signal_pending(current))
				return recv->copied;
			look_again(recv);
		}
	}
}

/* May a call that has read nothing return -ERESTARTNOINTR? It is a system call that is all done then:
 * recvmmsg() may have messages already and makes an error of the socket of it, io_submit() EINTR.
 */
static bool can_be_made_anew(void)
{
	if (current->flags & (PF_KTHREAD | PF_IO_WORKER) || in_compat_syscall())
		return false;
	switch (syscall_get_nr(current, current_pt_regs())) {
	case __NR_read:
	case __NR_readv:
	case __NR_recvfrom:
	case __NR_recvmsg:
		return true;
	}
	return false;
}

/* The socket has gone back to TCP while we slept: TCP's recvmsg does the rest. A
 * system call of a user's thread that has nothing yet is made anew, so that
 * nothing of it is left in the module; others wait from here.
 */
static int go_to_tcp(struct recv *recv)
{
	int n;

	if (recv->flags & MSG_PEEK)
		look_again(recv);
	if (!recv->copied && can_be_made_anew()) {
		n = call_tcp(recv, recv->len, (recv->flags & ~MSG_WAITALL) | MSG_DONTWAIT);
		if (n == -EAGAIN && !(recv->flags & MSG_DONTWAIT)) {
			set_tsk_thread_flag(current, TIF_SIGPENDING);
			return -ERESTARTNOINTR;
		}
		if (n <= 0 || !(recv->flags & MSG_WAITALL))
			return n;
		recv->copied = n;
		/* What was looked at is there still, and TCP looks from the first byte on. */
		if (recv->flags & MSG_PEEK)
			look_again(recv);
	}
	/* Bytes of another connection do not belong to what was read. */
	if (recv->copied >= recv->len ||
	    (recv->copied && READ_ONCE(recv->sk->sk_disconnects) != recv->disconnects))
		return recv->copied;
	n = call_tcp(recv, recv->len - recv->copied, recv->flags);
	return recv->copied ? recv->copied + max(n, 0) : n;
}

/* The number of bytes that can be read, for who has asked for it with TCP_INQ. As TCP
 * says it: never 0 at the end, or nobody would come to read that.
 */
static void put_inq(struct recv *recv)
{
	int unread = pd_unread(recv->sk, recv->conn) ?: sock_flag(recv->sk, SOCK_DONE);

	recv->msg->msg_inq = unread;
	if (tcp_sk(recv->sk)->recvmsg_inq)
		put_cmsg(recv->msg, SOL_TCP, TCP_CM_INQ, sizeof(unread), &unread);
}

static int recv_any(struct recv *recv)
{
	int n;

	mutex_lock(&recv->conn->read_mutex);
	n = recv_locked(recv, sock_rcvtimeo(recv->sk, recv->flags & MSG_DONTWAIT));
	mutex_unlock(&recv->conn->read_mutex);
	return n == -ERESTARTNOINTR ? go_to_tcp(recv) : n;
}

/* Not inlined, as wait_pinned(). */
static noinline int recv_with_control(struct recv *recv)
{
	struct pd_control control = {};
	int n;

	recv->control = &control;
	n = recv_any(recv);
	if (n >= 0) {
		pd_control_put(&control, recv->msg);
		put_inq(recv);
	}
	return n;
}

int pd_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)
{
	/* Each field is named: else all are cleared first, by memset(). */
	struct recv recv = {
		.sk = sk,
		.conn = pd_conn_get(sk),
		.msg = msg,
		.len = len,
		.flags = flags,
		.addr_len = addr_len,
		.copied = 0,
		.start = msg->msg_iter,
		.control = NULL,
		.target = 0,
		.is_pinned_once = false,
		.disconnects = READ_ONCE(sk->sk_disconnects),
		.changes = 0,
		.rcv_nxt = 0,
		.was_empty = false,
		.is_settled = false,
		.is_at_mark = false,
		.is_cut = false,
	};
	int n;

	if (!recv.conn) {
		n = pd_bypass_begin(sk)->recvmsg(sk, msg, len, flags, addr_len);
		pd_bypass_end();
		return n;
	}
	pd_sock_hook_ops(sk, recv.conn);
	if (flags & (MSG_ERRQUEUE | MSG_OOB)) {
		n = recv.conn->tcp->recvmsg(sk, msg, len, flags, addr_len);
		goto put;
	}
	recv.target = sock_rcvlowat(sk, flags & MSG_WAITALL, len);
	if (unlikely(pd_wants_control(sk) || msg->msg_get_inq))
		n = recv_with_control(&recv);
	else
		n = recv_any(&recv);
	if (unlikely(READ_ONCE(recv.conn->released)))
		pd_sock_try_release(recv.conn);
put:
	pd_conn_put(recv.conn);
	return n;
}
