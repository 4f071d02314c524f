// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "attach.h"
#include "conn.h"
#include "engine.h"
#include "engines.h"
#include "pool.h"
#include "stats.h"

static int __init pipedevice_init(void)
{
	int err;

	err = pd_pool_init();
	if (err)
		return err;
	err = pd_conn_init();
	if (err)
		goto exit_pool;
	err = pd_stats_init();
	if (err)
		goto exit_conn;
	err = pd_engine_dma_init();
	if (err)
		goto exit_stats;
	err = pd_engines_init();
	if (err)
		goto exit_dma;
	err = pd_attach_init();
	if (err)
		goto exit_engines;
	pr_info("pipedevice: loaded\n");
	return 0;

exit_engines:
	pd_engines_exit();
exit_dma:
	pd_engine_dma_exit();
exit_stats:
	pd_stats_exit();
exit_conn:
	pd_conn_exit();
exit_pool:
	pd_pool_exit();
	return err;
}

/* No socket is attached: each has a reference on the module. */
static void __exit pipedevice_exit(void)
{
	pd_attach_exit();
	pd_engines_exit();
	pd_stats_exit();
	/* Tasks that have just left our functions' last reference may still be in them. */
	synchronize_rcu_tasks();
	pd_conn_exit();
	pd_engine_dma_exit();
	pd_pool_exit();
	pr_info("pipedevice: unloaded\n");
}

module_init(pipedevice_init);
module_exit(pipedevice_exit);
MODULE_DESCRIPTION("TCP connections within one host past the network stack");
MODULE_LICENSE("GPL");
