# SPDX-License-Identifier: GPL-2.0-only
"""asyncio_echo.py server ADDRESS PORT | client ADDRESS PORT CONNECTIONS

An echo server and a client that opens so many connections in waves; on each it writes
messages of random sizes while it reads them back, and compares every byte."""

import asyncio
import hashlib
import random
import sys

WAVES = 4
MESSAGES = 40


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def serve(address, port):
    server = await asyncio.start_server(echo, address, port)
    async with server:
        await server.serve_forever()


async def exchange(address, port, number):
    rng = random.Random(number)
    sent = [rng.randbytes(rng.choice((1, 17, 1000, 4096, 70000, 300000))) for _ in range(MESSAGES)]
    reader, writer = await asyncio.open_connection(address, port)

    async def write():
        for data in sent:
            writer.write(data)
            await writer.drain()
            if rng.random() < 0.2:
                await asyncio.sleep(rng.random() / 100)
        writer.write_eof()

    writing = asyncio.create_task(write())
    for i, data in enumerate(sent):
        got = await reader.readexactly(len(data))
        assert got == data, f"connection {number}: message {i} came back changed"
    await writing
    assert await reader.read() == b"", f"connection {number}: bytes after the last message"
    writer.close()
    await writer.wait_closed()
    return hashlib.sha256(b"".join(sent)).hexdigest()


async def run(address, port, connections):
    digest = hashlib.sha256()
    for wave in range(WAVES):
        numbers = range(wave, connections, WAVES)
        for one in await asyncio.gather(*(exchange(address, port, number) for number in numbers)):
            digest.update(one.encode())
    print(f"{connections} connections, {digest.hexdigest()}")


asyncio.run({"server": serve, "client": run}[sys.argv[1]](sys.argv[2], *map(int, sys.argv[3:])))
