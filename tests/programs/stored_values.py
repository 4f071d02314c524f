# SPDX-License-Identifier: GPL-2.0-only
"""stored_values.py redis|memcached ADDRESS PORT CONNECTIONS

Stores values of many sizes, pipelined, reads them back in another order over
several connections at once, compares every byte, and prints a digest of all."""

import hashlib
import random
import socket
import sys
import threading

RANDOM_SIZES = 60
LARGEST = 1000000  # memcached stores less than 1 MiB


def values(connection):
    """Sizes around every power of two up to the largest, then random ones."""
    rng = random.Random(connection)
    sizes = [max(0, (1 << i) + d) for i in range(20) for d in (-1, 0, 1)]
    sizes += [LARGEST]
    sizes += [rng.randrange(100000) for _ in range(RANDOM_SIZES)]
    return [(b"key:%d:%d" % (connection, i), rng.randbytes(size)) for i, size in enumerate(sizes)]


class Redis:
    def store(self, key, value):
        return b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key, len(value), value)

    def stored(self, stream):
        assert stream.readline() == b"+OK\r\n"

    def fetch(self, key):
        return b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key)

    def fetched(self, stream, key):
        head = stream.readline()
        assert head.startswith(b"$"), head[:80]
        value = stream.read(int(head[1:]))
        assert stream.read(2) == b"\r\n"
        return value


class Memcached:
    def store(self, key, value):
        return b"set %b 0 0 %d\r\n%b\r\n" % (key, len(value), value)

    def stored(self, stream):
        line = stream.readline()
        assert line == b"STORED\r\n", line[:80]

    def fetch(self, key):
        return b"get %b\r\n" % key

    def fetched(self, stream, key):
        head = stream.readline().split()
        assert head[:2] == [b"VALUE", key], head[:2]
        value = stream.read(int(head[3]))
        assert stream.read(7) == b"\r\nEND\r\n"
        return value


def pipelined(sock, requests, read_reply):
    """Sends all requests while another thread reads the replies."""
    failure = []

    def send():
        try:
            for request in requests:
                sock.sendall(request)
        except OSError as error:
            failure.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    replies = [read_reply(i) for i in range(len(requests))]
    sender.join()
    if failure:
        raise failure[0]
    return replies


def run(protocol, address, connection, digests):
    pairs = values(connection)
    with socket.create_connection(address, timeout=20) as sock:
        stream = sock.makefile("rb")
        pipelined(sock, [protocol.store(*pair) for pair in pairs], lambda _: protocol.stored(stream))
        random.Random(-connection).shuffle(pairs)
        digest = hashlib.sha256()
        replies = pipelined(sock, [protocol.fetch(key) for key, _ in pairs],
                            lambda i: protocol.fetched(stream, pairs[i][0]))
        for (key, value), reply in zip(pairs, replies):
            assert reply == value, f"{key}: {len(reply)} bytes came back changed"
            digest.update(reply)
    digests[connection] = digest.hexdigest()


def main():
    protocol = {"redis": Redis, "memcached": Memcached}[sys.argv[1]]()
    address = (sys.argv[2], int(sys.argv[3]))
    connections = int(sys.argv[4])
    digests = {}
    threads = [threading.Thread(target=run, args=(protocol, address, i, digests))
               for i in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(connections):
        print(digests[i])


main()
