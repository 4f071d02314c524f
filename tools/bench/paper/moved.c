// SPDX-License-Identifier: GPL-2.0-only
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "insn.h"
#include "paper.h"

void moved_add_tcp(struct moved *moved, const int *fds, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct tcp_info info = { 0 };
		socklen_t len = sizeof(info);

		/* Fails on Unix sockets. */
		if (getsockopt(fds[i], IPPROTO_TCP, TCP_INFO, &info, &len))
			return;
		moved->tcp += info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
	}
}

void moved_add_module(struct moved *moved)
{
	FILE *file = fopen("/proc/pipedevice_stat", "r");
	unsigned long long value;
	char name[32];

	if (!file)
		return;
	while (fscanf(file, "%31s %llu", name, &value) == 2) {
		if (!strcmp(name, "CpuBytes"))
			moved->cpu += value;
		else if (!strcmp(name, "DmaBytes"))
			moved->dma += value;
	}
	fclose(file);
}
