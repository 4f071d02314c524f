// SPDX-License-Identifier: GPL-2.0-only
/* pdload down: put all connections back on TCP and remove everything. */
#include <unistd.h>

#include "args.h"
#include "json.h"
#include "module.h"
#include "pin_dir.h"
#include "release.h"

#define MODULE_SECONDS 2 /* for what is freed after its last use */

/* The module stays while sockets that were not drained use it, or another program. */
static void unload_module(void)
{
	if (!pd_module__is_loaded())
		return;
	if (!pd_module__unload(MODULE_SECONDS))
		return;
	p_warn("pipedevice.ko stays loaded: %ld sockets still use it; `modprobe -r pipedevice` "
	       "takes it out when they are closed",
	       pd_module__sockets());
}

static void report(bool was_up, size_t released, size_t left)
{
	if (pd_json) {
		cJSON *json = cJSON_CreateObject();

		cJSON_AddBoolToObject(json, "up", left > 0);
		cJSON_AddBoolToObject(json, "was_up", was_up);
		cJSON_AddNumberToObject(json, "released", released);
		cJSON_AddNumberToObject(json, "left", left);
		pd_json__print(json);
	} else if (!was_up) {
		printf("PipeDevice is not up: nothing to do\n");
	} else if (left) {
		printf("PipeDevice accelerates nothing new. Put back on TCP: %zu; not drained yet, "
		       "and still working: %zu. When the programs named have read, or ended, "
		       "run `pdload down` again; with --drain SECONDS it waits longer\n",
		       released, left);
	} else {
		printf("PipeDevice is down; %zu live connection%s put back on TCP\n", released,
		       released == 1 ? " was" : "s were");
	}
}

int pd_down__main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = pd_release_options,
		.parser = pd_release__parse,
		.children = pd_args_json,
		.doc = "Put all connections back on TCP, wait until what was redirected has been "
		       "read, and remove everything.",
	};
	int seconds = PD_RELEASE_DRAIN, lock, err, ret;
	size_t released = 0, left = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &seconds);
	if (geteuid()) {
		p_err("can't take pipedevice down: this needs root; run pdload as root");
		return PD_EXIT_FAILED;
	}
	lock = pd_pins__lock();
	if (lock < 0)
		return PD_EXIT_FAILED;
	if (!pd_pins__present()) {
		pd_pin_dir__clean();
		report(false, 0, 0);
		close(lock);
		return PD_EXIT_OK;
	}
	err = pd_release__run(true, seconds, &released, &left);
	if (!err)
		err = pd_pin_dir__withdraw();
	if (!err && !left)
		unload_module();
	if (err < 0) {
		ret = PD_EXIT_FAILED;
	} else {
		report(true, released, left);
		ret = left ? PD_EXIT_UNFINISHED : PD_EXIT_OK;
	}
	close(lock);
	return ret;
}
