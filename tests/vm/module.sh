#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The module's life: loaded by up, attached, given back by down, unloaded, and
# nothing of it left. Runs in a virtual machine.
set -euo pipefail
# shellcheck source=tests/vm/lib.bash
. "$(dirname "$0")/lib.bash"

CLEAN=duplex,upload,download,rr,halfclose,wclose,sclose
HELD=6
HELD_ARGS=(--size 1-100K --io edge --time-limit 300)
SPLICED=60000
STALLED=20
CYCLES=${CYCLES:-5}
CONNECTIONS=${CONNECTIONS:-500}
SOCKETS=$(realpath "$BUILD/tests/sockets/sockets")

is_loaded() {
	test -e /sys/module/pipedevice
}

has_gone() {
	wait_for 5 not is_loaded
}

not() {
	! "$@"
}

# As some forbid a module.
install_line_is_named() {
	local said status=0

	echo "install pipedevice /bin/$1" >/etc/modprobe.d/pipedevice.conf
	said=$("$PDLOAD" up --all --engine cpu 2>&1) || status=$?
	rm /etc/modprobe.d/pipedevice.conf
	echo "$said"
	is $status -eq 5 && [[ $said == *"install line"* ]] && not is_loaded
}

listed() {
	is "$(conns_with '.engine == "cpu" and .state == "paired"')" -eq $HELD &&
		is "$(counter CurrConns)" -eq $((2 * HELD)) &&
		is "$(status redirected_bytes)" -gt 0
}

# As `ss` shows it of whoever holds the ULP.
shown_by_ss() {
	in_ns client ss -tie state established | grep -q ulp-pipedevice ||
		in_ns client ss -tie state established | grep -q pipedevice
}

removal_is_refused() {
	not rmmod pipedevice && is_loaded
}

# Clients that send and go before anybody accepts them.
aborted_children() {
	local port=17000 listener

	spawn listener server in python3 -c "
import socket, signal
s = socket.socket(); s.bind(('10.1.0.2', $port)); s.listen(64)
print('{\"event\": \"listening\"}', flush=True); signal.pause()"
	event listener listening 20 || return 1
	listener=${PID[listener]}
	spawn knock client in python3 -c "
import socket, struct
for i in range(50):
    c = socket.create_connection(('10.1.0.2', $port))
    c.send(b'x' * 1000)
    if i % 2:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    c.close()"
	wait "${PID[knock]}" || return 1
	is "$(counter CurrConns)" -gt 0 || return 1
	kill -KILL "$listener"
	wait "$listener" 2>/dev/null || true
	nothing_is_attached
}

# Bytes that splice() took from a redirected socket, which is closed then.
splice_and_close() {
	before
	spawn spliced client in python3 -c "
import fcntl, os, signal, socket, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
listener = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(listener.getsockname())
server = listener.accept()[0]
for a, b in (client, server), (server, client):
    a.sendall(b'.')
    b.recv(1)
data = os.urandom($SPLICED)
client.sendall(data)
out, into = os.pipe()
fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 1 << 20)
left = len(data)
while left:
    left -= os.splice(server.fileno(), into, left)
for s in client, server, listener:
    s.close()
print('{\"event\": \"spliced\"}', flush=True)
signal.sigwait({signal.SIGUSR1})
got = b''
while len(got) < len(data):
    got += os.read(out, 65536)
sys.exit(got != data)"
	event spliced spliced 20 && wait_for 5 was_redirected
}

was_redirected() {
	is "$(since redirected_bytes)" -ge "$SPLICED"
}

pipe_is_right() {
	tell spliced USR1
	ended spliced
}

# Readers that do not read, until nothing more is taken for them; then all are killed.
killed_with_full_buffers() {
	serve server server in 10.1.0.2:0 --io edge --stall || return 1
	connect client client in "10.1.0.2:${PORT[server]}" --io edge --mix flood \
		--connections "$STALLED" || return 1
	event client settled 60 || return 1
	is "$(counter CurrPoolBytes)" -gt $((STALLED << 20)) || return 1
	tell client KILL
	tell server KILL
	down
}

# Programs that ask whose a socket is while it is given back, closed and connected anew.
asked_for_ulp() {
	local i
	# shellcheck disable=SC2016  # for the inner shell
	spawn asker client in sh -c 'for i in $(seq 30); do "$@" || exit 1; done' - \
		"$SOCKETS" --engine cpu --limit 60000 --only ulp_may_be_asked_for_at_any_moment

	for ((i = 0; i < 5; i++)); do
		up --all && "$PDLOAD" flush && sleep 0.2 && down || return 1
	done
	ended asker
}

# A call that waits for the socket's lock meanwhile would go on with what it has found. At once
# after the first connection the sockmap itself would not take it.
connected_anew() {
	before
	spawn again client in python3 -c "
import ctypes, socket, time
listener = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(listener.getsockname())
for i in range(2):
    server = listener.accept()[0]
    for a, b in [(client, server), (server, client)] * 2:
        a.sendall(b'.')
        assert b.recv(2) == b'.'
    if not i:
        assert not ctypes.CDLL(None).connect(client.fileno(), bytes(16), 16)
        time.sleep(1)
        client.connect(listener.getsockname())"
	ended again && is "$(since redirected_bytes)" -gt 0 && is "$(since reasons.refused)" -eq 1
}

# up and down while connections come, go and move bytes.
cycles_under_load() {
	local i limit=$((100 + 40 * CYCLES))

	serve server server in 10.1.0.2:0 --time-limit $limit || return 1
	connect client client in "10.1.0.2:${PORT[server]}" --mix "$CLEAN,rr" --connections 8 \
		--total 1000000 --rounds 20 --size 1-200K --time-limit $limit
	for ((i = 0; i < CYCLES; i++)); do
		up --all && sleep 0.3 && "$PDLOAD" down --drain 20 || return 1
	done
	end_traffic
}

# Memory of idle connections, as the kernel's slabs and the pools show it.
slab_kb() {
	awk '$1 == "Slab:" { print $2 }' /proc/meminfo
}

# slab_of_held: bytes for each of CONNECTIONS that are held now and were not before.
slab_of_held() {
	local before

	echo 3 >/proc/sys/vm/drop_caches
	before=$(slab_kb)
	hold "$CONNECTIONS" "${HELD_ARGS[@]}" || return 1
	each=$((($(slab_kb) - before) * 1024 / CONNECTIONS))
}

plain_idle() {
	slab_of_held || return 1
	plain_each=$each
	end_traffic
}

many_idle() {
	slab_of_held || return 1
	is "$(counter CurrConns)" -eq $((2 * CONNECTIONS)) || return 1
	wait_for 10 is_zero CurrPoolBytes || return 1
	echo "# $each bytes of slab for a connection, $plain_each of them TCP's own" >&3
	end_traffic && nothing_is_attached
}

start_machine
check "the module is not loaded" not is_loaded
check "an install line of modprobe.d that loads nothing is named" install_line_is_named true
check "and one that fails" install_line_is_named false
check "pdload up loads it" up --all
check "status names the engine" is "$(status engine | grep -c '^cpu$')" -eq 1
check "connections are held" hold $HELD "${HELD_ARGS[@]}"
check "conns, status and the module's counters know them" listed
check "ss shows whose the sockets are" shown_by_ss
check "rmmod is refused while sockets are attached" removal_is_refused
check "down gives live connections back to TCP" down
check "and unloads the module" has_gone
check "they go on without a wrong byte" end_traffic
check "$CONNECTIONS idle connections on plain TCP" plain_idle
check "pdload up again" up --all
check "children that nobody accepts leave nothing" aborted_children
check "$CONNECTIONS idle connections hold no buffer, and leave nothing" many_idle 3>&1
check "pdload down again" down
check "the module has gone again" has_gone
check "pdload up for a splice" up --all
check "what is spliced from a socket outlives it" splice_and_close
check "pdload down with spliced bytes in a pipe" down
check "the module has gone from under the pipe" has_gone
check "the pipe gives every byte" pipe_is_right
check "pdload up for readers that do not read" up --all
check "down after $STALLED connections are killed with full buffers" killed_with_full_buffers
check "the module has gone with their buffers" has_gone
check "pdload up for a socket with two connections" up --all
check "a socket that is connected anew is not taken again" connected_anew
check "pdload down after it" down
check "the ULP is asked for while sockets come and go" asked_for_ulp
check "up and down $CYCLES times under load" cycles_under_load
check "the module has gone at last" has_gone
check "nothing is left pinned" test ! -e /sys/fs/bpf/pipedevice
finish
