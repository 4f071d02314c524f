/* SPDX-License-Identifier: GPL-2.0-only */
/* pdload version */
#include <bpf/libbpf.h>
#include <sys/utsname.h>

#include "args.h"
#include "json.h"

int pd_version__main(int argc, char **argv)
{
	static const struct argp argp = {
		.children = pd_args_none,
		.doc = "Print the versions of pdload, of libbpf and of the kernel.",
	};
	const char *libbpf = libbpf_version_string() + 1; /* "v1.1" */
	struct utsname name;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	uname(&name);
	if (pd_json) {
		cJSON *obj = cJSON_CreateObject();

		cJSON_AddStringToObject(obj, "pdload", PD_VERSION);
		cJSON_AddStringToObject(obj, "libbpf", libbpf);
		cJSON_AddStringToObject(obj, "kernel", name.release);
		cJSON_AddStringToObject(obj, "machine", name.machine);
		pd_json__print(obj);
		return PD_EXIT_OK;
	}
	printf("pdload %s\nlibbpf %s\n%s %s %s\n", PD_VERSION, libbpf, name.sysname, name.release,
	       name.machine);
	return PD_EXIT_OK;
}
