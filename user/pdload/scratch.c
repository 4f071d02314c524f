/* SPDX-License-Identifier: GPL-2.0-only */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "scratch.skel.h"

/* A firewall may drop what goes over loopback: do not wait for TCP to give up. */
#define CONNECT_MS 1000

static int wait_for(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int ready;

	do {
		ready = poll(&pfd, 1, CONNECT_MS);
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return -errno;
	return ready ? 0 : -ETIMEDOUT;
}

static int listen_on_loopback(struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);
	int fd, err;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	*addr = (struct sockaddr_in){ .sin_family = AF_INET };
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)addr, len) || listen(fd, 4) ||
	    getsockname(fd, (struct sockaddr *)addr, &len)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int connect_to(const struct sockaddr_in *addr)
{
	int fd, err = 0;
	socklen_t len = sizeof(err);

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
		return fd;
	if (errno != EINPROGRESS) {
		err = -errno;
	} else {
		err = wait_for(fd, POLLOUT);
		if (!err && getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
			err = errno;
		if (err > 0)
			err = -err;
	}
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* Any process of the host may connect to a loopback port: take only @client. */
static int accept_from(int listener, int client)
{
	struct sockaddr_in want, peer;
	socklen_t len = sizeof(want);
	int fd, err, tries;

	if (getsockname(client, (struct sockaddr *)&want, &len))
		return -errno;
	for (tries = 0; tries < 16; tries++) {
		err = wait_for(listener, POLLIN);
		if (err)
			return err;
		len = sizeof(peer);
		fd = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
				continue;
			return -errno;
		}
		if (peer.sin_port == want.sin_port && peer.sin_addr.s_addr == want.sin_addr.s_addr)
			return fd;
		close(fd);
	}
	return -ETIMEDOUT;
}

static int insert(int map, int fd)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	__u64 value = fd;
	__u32 port;

	if (getsockname(fd, (struct sockaddr *)&addr, &len))
		return -errno;
	port = ntohs(addr.sin_port);
	return bpf_map_update_elem(map, &port, &value, BPF_NOEXIST);
}

/* A running pdload may have enrolled @fd, as any other socket: take it out of
 * its sockmap again. Nothing has been sent, so nothing can be lost.
 */
static void leave_pdload(int fd)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);
	int conns = bpf_obj_get(PD_PIN_DIR "/maps/pd_conns");
	int socks = bpf_obj_get(PD_PIN_DIR "/maps/pd_socks");
	struct pd_conn conn;

	if (conns >= 0 && socks >= 0 && !bpf_obj_get_info_by_fd(conns, &info, &len) &&
	    info.value_size == sizeof(conn) && !bpf_map_lookup_elem(conns, &fd, &conn))
		bpf_map_delete_elem(socks, &conn.key);
	if (conns >= 0)
		close(conns);
	if (socks >= 0)
		close(socks);
}

int pd_scratch__open(struct pd_scratch *pair, bool enrolled)
{
	struct sockaddr_in addr;
	int listener, err, on = 1;

	*pair = (struct pd_scratch){ .client = -1, .server = -1 };
	listener = listen_on_loopback(&addr);
	if (listener < 0)
		return listener;
	err = pair->client = connect_to(&addr);
	if (err >= 0)
		err = pair->server = accept_from(listener, pair->client);
	close(listener);
	if (err < 0)
		goto close_pair;

	if (fcntl(pair->client, F_SETFL, 0) ||
	    setsockopt(pair->client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    setsockopt(pair->server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))) {
		err = -errno;
		goto close_pair;
	}
	leave_pdload(pair->client);
	leave_pdload(pair->server);
	err = enrolled ? pd_scratch__enrol(pair) : 0;
	if (!err)
		return 0;

close_pair:
	pd_scratch__close(pair);
	return err;
}

int pd_scratch__enrol(struct pd_scratch *pair)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	struct scratch *skel;
	int map, err;

	errno = 0;
	skel = scratch__open_and_load();
	if (!skel) {
		err = errno ? -errno : -EINVAL;
		goto restore_print;
	}
	map = bpf_map__fd(skel->maps.pd_scratch);
	/* The program first: a socket takes the map's programs as it enters. */
	err = bpf_prog_attach(bpf_program__fd(skel->progs.scratch_verdict), map, BPF_SK_MSG_VERDICT,
			      0);
	if (!err)
		err = insert(map, pair->client);
	if (!err)
		err = insert(map, pair->server);
	if (err)
		scratch__destroy(skel);
	else
		pair->skel = skel;

restore_print:
	libbpf_set_print(print);
	return err;
}

/* Sockets first: with the map gone they would go on as plain TCP. */
void pd_scratch__close(struct pd_scratch *pair)
{
	if (pair->client >= 0)
		close(pair->client);
	if (pair->server >= 0)
		close(pair->server);
	scratch__destroy(pair->skel);
	*pair = (struct pd_scratch){ .client = -1, .server = -1 };
}
