/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters that the kernel keeps per CPU, as one number. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"

int pd_stats__sum(int fd, __u32 key, __u64 *sum, size_t words)
{
	int cpus = libbpf_num_possible_cpus();
	__u64 *values = NULL;
	int err = cpus < 0 ? cpus : 0;

	if (!err) {
		values = calloc(cpus, words * sizeof(*values));
		if (!values)
			err = -ENOMEM;
	}
	if (!err)
		err = bpf_map_lookup_elem(fd, &key, values);
	if (err) {
		p_err("can't read the counters in " PD_PIN_DIR ": %s", strerror(-err));
		free(values);
		return err;
	}
	memset(sum, 0, words * sizeof(*sum));
	for (size_t i = 0; i < cpus * words; i++)
		sum[i % words] += values[i];
	free(values);
	return 0;
}
