/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the BPF programs and pdload share: map keys, map values, reasons.
 *
 * Never included by kmod/. Every multi-byte field is in host order unless it
 * says "network order"; every length is in bytes; every time is
 * CLOCK_MONOTONIC in nanoseconds. Structures have no implicit padding.
 */
#ifndef PD_MAPS_H
#define PD_MAPS_H

#include <linux/types.h>

#define PD_PIN_DIR "/sys/fs/bpf/pipedevice"

#define PD_MAX_RULES 64 /* of the user; the default rule is one more */
#define PD_MAX_GLOBS 64 /* distinct cgroup patterns: bits of a __u64 */
#define PD_MAX_CIDRS 8 /* in one match */
#define PD_MAX_PORTS 16 /* port ranges in one rule */
#define PD_NAME_LEN 32 /* rule name, NUL included */
#define PD_GLOB_WORDS 4 /* 64-bit words of automaton state */
#define PD_GLOB_TOKENS (64 * PD_GLOB_WORDS - 1)
#define PD_GLOB_TEXT 256 /* pattern text, NUL included */
#define PD_CGROUP_PATH 256 /* a cgroup path as text, NUL included */
#define PD_CGROUP_DEPTH 12 /* levels of that path below the root; deeper ones match nothing */
#define PD_CGROUP_NAME 88 /* one component of it that is looked at, NUL included */

#define PD_DEFAULT_BOUND (4U << 20) /* unread redirected bytes of one direction */
#define PD_MESSAGE_COST \
	1024 /* what a redirected message costs besides its bytes: a struct sk_msg */
#define PD_DEFAULT_CONNECTIONS 65536
#define PD_DEFAULT_HANDSHAKES 16384
#define PD_DEFAULT_CGROUPS 4096

/* Which end of a connection a socket is: who called connect(), who accept(). */
enum pd_role {
	PD_ROLE_ACTIVE = 0,
	PD_ROLE_PASSIVE = 1,
};

/* One end of one connection. The two numbers are the sequence number of the
 * first payload byte that each end sends (its ISN + 1), drawn by the secure
 * generators of the kernels at both ends, so neither addresses nor network
 * namespaces matter. The other end's key is this one with the role flipped.
 */
struct pd_key {
	__u32 isn_active;
	__u32 isn_passive;
	__u32 role; /* enum pd_role */
};

enum pd_engine {
	PD_ENGINE_TCP = 0, /* not accelerated */
	PD_ENGINE_SOCKMAP = 1,
	PD_ENGINE_CPU = 2,
	PD_ENGINE_DMA = 3,
	PD_ENGINE_MAX,
};

enum pd_action {
	PD_ACTION_BYPASS = 0,
	PD_ACTION_ACCELERATE = 1,
};

/* Why a connection or one direction of it is on TCP. The first group is about
 * a whole connection and counted once for each; the second about one
 * direction and counted each time it happens.
 */
enum pd_reason {
	PD_REASON_NONE = 0,
	/* connection */
	PD_REASON_RULE = 1, /* a rule says bypass */
	PD_REASON_DEFAULT = 2, /* no rule matched and the default is bypass */
	PD_REASON_OFF_HOST = 3, /* the other end is not here, or was not paired */
	PD_REASON_BUSY = 4, /* another agent's sockmap owns the socket */
	PD_REASON_ULP = 5, /* a ULP (kTLS) is set; or was refused on an enrolled socket */
	PD_REASON_MPTCP = 6, /* an MPTCP subflow */
	PD_REASON_FASTOPEN = 7, /* data in the SYN */
	PD_REASON_MAP_FULL = 8, /* --max-connections reached */
	PD_REASON_NO_MEMORY = 9, /* the kernel could not allocate its state */
	PD_REASON_REFUSED = 10, /* the kernel, or the module, would not take the socket */
	PD_REASON_RELEASED =
		11, /* put back on TCP by flush or down; counted at each end's next message */
	/* direction */
	PD_REASON_RACED = 12, /* its first byte went out before the peer was enrolled */
	PD_REASON_OVERFLOW = 13, /* the reader has the bound unread, or TCP's memory is short */
	PD_REASON_MAX,
};

/* IPv4 addresses are kept in their IPv4-mapped IPv6 form. */
struct pd_addr {
	__u32 ip[4]; /* network order */
	__u16 port;
	__u16 family; /* AF_INET or AF_INET6, as the application asked for */
};

/* ---- policy ------------------------------------------------------------- */

struct pd_cidr {
	__u32 ip[4]; /* network order, IPv4 as mapped, host bits zero */
	__u32 mask[4]; /* network order */
};

struct pd_ports {
	__u16 first;
	__u16 last; /* inclusive */
};

/* What a rule asks of one end. All that is asked must hold; of a list, one. */
struct pd_match {
	__u64 cgroups; /* bit g: glob g may match; read only if has_cgroups */
	__u32 has_cgroups; /* 0: any cgroup */
	__u32 nr_cidrs; /* 0: any address */
	struct pd_cidr cidrs[PD_MAX_CIDRS];
};

/* A rule. The rule set is an array of them in the user's order, closed by one
 * named "default" that asks for nothing: the first that matches decides.
 *
 * The client's address is its own or the one the server sees, the server's
 * address and port are its own or those that the client dialled: they differ
 * behind NAT, and either may match. The client's end, which has to agree if a
 * rule accelerates, knows its own address only.
 */
struct pd_rule {
	char name[PD_NAME_LEN];
	__u32 action; /* enum pd_action */
	__u32 nr_ports; /* 0: any server port */
	struct pd_ports ports[PD_MAX_PORTS];
	struct pd_match client;
	struct pd_match server;
};

/* A cgroup pattern as a bit-parallel automaton (Shift-And, Baeza-Yates and
 * Gonnet 1992): bit i of the state says "the first i tokens have matched".
 * For a byte c of the path,
 *     state = ((state & step[c]) << 1) | (state & (c == '/' ? loop_slash : loop))
 * over PD_GLOB_WORDS words, lowest first, from state = 1. The pattern matches
 * a cgroup if bit `accept` is set at the end of its path or before a '/' in
 * it: a pattern that matches a cgroup matches all below it.
 */
struct pd_glob {
	__u64 step[256][PD_GLOB_WORDS];
	__u64 loop[PD_GLOB_WORDS]; /* states before a '*' or '**' */
	__u64 loop_slash[PD_GLOB_WORDS]; /* states before a '**' */
	__u32 accept; /* number of tokens */
	__u32 pad;
	char text[PD_GLOB_TEXT]; /* as the user wrote it */
};

/* ---- control ------------------------------------------------------------ */

/* One entry, mapped into pdload, which alone writes it, one aligned field at
 * a time.
 */
struct pd_control {
	__u64 generation; /* of the rule set: key into pd_rules and pd_globs */
	__u32 epoch; /* connections enrolled under an older one are released */
	__u32 enrolling; /* 0: no new connection is enrolled (draining) */
	__u32 watching; /* someone reads pd_events */
	__u32 engine; /* enum pd_engine: of connections that are enrolled from now on */
	__u64 counting; /* the generation whose rules are counted: 0 while pd_rule_stats is cleared */
};

/* ---- connections -------------------------------------------------------- */

/* What the active end leaves for the passive end: an entry of pd_handshakes,
 * whose key has role PD_ROLE_ACTIVE.
 */
struct pd_note {
	__u64 sock; /* address of the active end's struct tcp_sock */
	__u64 cookie; /* of that socket */
	__u64 cgroup_id;
	struct pd_addr local;
	struct pd_addr remote; /* as dialled */
	__u64 generation; /* of the rule set that rule is of */
	__u32 reason; /* why one of them declined */
	__u32 rule; /* by which the passive end declined, or accelerates; a guess before */
	__u32 epoch; /* under which the active end was enrolled */
	__u32 isn_active; /* the key once more: an entry may be used anew while it is read */
	__u32 isn_passive;
	__u32 accelerated; /* set by the passive end, last; it may have closed since */
	__u64 peer_cgroup_id; /* of the passive end, once it accelerates */
};

/* An end that is enrolled and whose peer is, too: an entry of pd_ends. */
struct pd_end {
	__u64 sock; /* address of its struct tcp_sock; verify with cookie */
	__u64 cookie;
	__u64 cgroup_id;
	__u64 generation; /* of the rule set that decided about the connection */
	__u32 engine; /* enum pd_engine */
	__u32 rule; /* that accelerates it, as the passive end judged */
};

enum pd_state {
	PD_STATE_CANDIDATE = 0, /* active end, peer not seen yet */
	PD_STATE_PAIRED = 1, /* both ends enrolled */
	PD_STATE_DECLINED = 2, /* stays on TCP, see reason */
	PD_STATE_RELEASED = 3, /* put back on TCP, or its peer had gone when it learnt of it */
	PD_STATE_CLOSED = 4, /* counted in the totals */
};

enum pd_path {
	PD_PATH_NONE = 0, /* nothing sent yet */
	PD_PATH_REDIRECTED = 1,
	PD_PATH_TCP = 2,
};

/* Per-socket state: value of pd_conns (socket storage), freed with the socket.
 * Written by sockops and by the verdict program, both under the socket's lock;
 * tcp_bytes of one that was released by the iterator, too, without it.
 * The counters are of the direction that this socket sends in.
 */
struct pd_conn {
	struct pd_key key;
	__u32 state; /* enum pd_state */
	__u64 cookie;
	__u64 cgroup_id;
	__u64 opened; /* time */
	__u64 generation; /* of the rule set that decided */
	__u32 rule; /* index in it */
	__u32 epoch;
	__u32 engine; /* enum pd_engine: what this end was enrolled for */
	__u32 reason; /* enum pd_reason: the last one, of connection or direction */
	__u32 path; /* enum pd_path: of the last message */
	__u32 first_seq; /* of the first payload byte this end sends */
	__u32 settled_seq; /* write_seq at which all that went over TCP was known to be read */
	__u32 credit; /* what may be redirected before the peer is looked at */
	__u64 peer_sock; /* copy of the peer's pd_end, 0 until looked up */
	__u64 peer_cookie;
	__u64 peer_cgroup_id;
	__u64 redirected_bytes; /* handed to the peer; a failed send() may have taken less */
	__u64 redirected_messages;
	__u64 tcp_bytes; /* taken by TCP since enrolment; of the last message all that send() had */
	__u64 tcp_messages;
	__u64 tcp_before; /* bytes that TCP had taken before, by its own count */
	__u64 overflows; /* times the direction went over to TCP for its bound */
	__u64 returns; /* times it came back from TCP */
	struct pd_addr local;
	struct pd_addr remote;
};

/* One record of the iterator behind `pdload conns`: pd_conn and what the
 * kernel knows of the socket at this moment. Read from the file descriptor of
 * bpf_iter_create() on links/inspect_conns as a plain array.
 */
struct pd_conn_record {
	struct pd_conn conn;
	__u64 netns_cookie; /* inode number of the network namespace */
	__u32 tcp_state; /* TCP_ESTABLISHED, ... */
	__u32 in_sockmap; /* the socket has a psock now */
	__u32 unread; /* redirected bytes not read yet; before 6.18 the bound if > 1024 messages */
	__u32 queue_empty; /* the queue of redirected messages is empty: exact */
	__u32 psock_refs; /* references on the psock; 1 is the map's own */
	__u32 sleepers; /* tasks asleep in send() or recv(), each with one of these references */
	__u32 locked; /* a task owns the socket's lock */
	__u32 released; /* enrolled under an epoch that has ended */
	__u32 attached; /* the module is attached to the socket now */
	__u32 pad;
};

/* ---- statistics --------------------------------------------------------- */

/* pd_rule_stats, index as in the rule set of this generation; per CPU. */
struct pd_rule_stats {
	__u64 accelerated; /* connections enrolled at both ends */
	__u64 bypassed; /* connections with both ends here that it kept on TCP */
	__u64 redirected_bytes; /* of closed connections; live ones have their own */
	__u64 tcp_bytes;
};

/* pd_totals, one entry; per CPU. */
struct pd_totals {
	__u64 opened; /* local connections seen, both ends here */
	__u64 accelerated;
	__u64 closed;
	__u64 redirected_bytes; /* of closed connections */
	__u64 redirected_messages;
	__u64 tcp_bytes;
	__u64 tcp_messages;
	__u64 events_lost; /* the ring of pd_events was full */
};

/* ---- events ------------------------------------------------------------- */

enum pd_event_type {
	PD_EVENT_OPEN = 1, /* a connection with both ends here is established */
	PD_EVENT_ACCELERATE = 2, /* a direction sent its first redirected message */
	PD_EVENT_DECLINE = 3, /* a connection or a direction stays on TCP */
	PD_EVENT_CLOSE = 4, /* an end closed; its bytes are final */
};

/* pd_events: ring buffer with one reader at a time. */
struct pd_event {
	__u64 time;
	__u32 type; /* enum pd_event_type */
	__u32 reason; /* enum pd_reason, for DECLINE */
	struct pd_key key;
	__u32 rule; /* index in the rule set of this generation */
	__u64 generation;
	__u64 client_cgroup_id;
	__u64 server_cgroup_id;
	struct pd_addr local; /* of the end that the key's role names */
	struct pd_addr remote;
	__u64 redirected_bytes; /* sent by that end; for CLOSE */
	__u64 tcp_bytes;
};

#endif /* PD_MAPS_H */
