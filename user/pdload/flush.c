// SPDX-License-Identifier: GPL-2.0-only
/* pdload flush: put the connections that live now back on TCP; new ones are
 * accelerated as before.
 */
#include <unistd.h>

#include "args.h"
#include "json.h"
#include "release.h"

static void report(size_t released, size_t left)
{
	if (pd_json) {
		cJSON *json = cJSON_CreateObject();

		cJSON_AddNumberToObject(json, "released", released);
		cJSON_AddNumberToObject(json, "left", left);
		pd_json__print(json);
		return;
	}
	printf("%zu connection%s put back on TCP", released, released == 1 ? " was" : "s were");
	if (left)
		printf(". Not drained yet: %zu; what they send goes over TCP from now on, but the "
		       "connections named are not at rest, or have redirected bytes to read first",
		       left);
	printf("\n");
}

int pd_flush__main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = pd_release_options,
		.parser = pd_release__parse,
		.children = pd_args_json,
		.doc = "Put the connections that live now back on TCP, for example after a change "
		       "of policy or of a firewall. New ones are accelerated as before.",
	};
	int seconds = PD_RELEASE_DRAIN, lock, err, ret;
	size_t released, left;

	argp_parse(&argp, argc, argv, 0, NULL, &seconds);
	ret = pd_pins__require();
	if (ret)
		return ret;
	lock = pd_pins__lock();
	if (lock < 0)
		return PD_EXIT_FAILED;
	err = pd_release__run(false, seconds, &released, &left);
	if (err < 0) {
		ret = PD_EXIT_FAILED;
	} else {
		report(released, left);
		ret = left ? PD_EXIT_UNFINISHED : PD_EXIT_OK;
	}
	close(lock);
	return ret;
}
