/* SPDX-License-Identifier: GPL-2.0-only */
/* pdload: the table of its verbs and the order in which a command line runs. */
#include <argp.h>

#include "args.h"
#include "output.h"
#include "verbs.h"

const struct pd_verb pd_verbs[] = {
	{ "up", pd_up__main, "Load and attach the programs, install the policy" },
	{ "down", pd_down__main, "Put live connections back on TCP and remove everything" },
	{ "flush", pd_flush__main, "Put live connections back on TCP; new ones are accelerated" },
	{ "status", pd_status__main, "Say whether it is up, and totals per rule and per reason" },
	{ "conns", pd_conns__main, "List the enrolled connections" },
	{ "policy", pd_policy__main, "Show, check or apply a policy" },
	{ "watch", pd_watch__main,
	  "Print connections as they open, accelerate, decline and close" },
	{ "engines", pd_engines__main, "Show or set how the DMA engine copies" },
	{ "probe", pd_probe__main, "Report what this kernel and host can do" },
	{ "version", pd_version__main, "Print versions" },
	{ "help", pd_help__main, "Say what pdload or one of its verbs does" },
	{ 0 },
};

int main(int argc, char **argv)
{
	int verb;

	pd_output__open();
	argp_err_exit_status = PD_EXIT_USAGE;
	argv[0] = "pdload"; /* getopt would begin its messages with the path */
	argc = pd_args__take_json(argc, argv);
	verb = pd_help__parse(argc, argv);
	return pd_help__run(pd_help__find(argv[verb]), argc - verb, argv + verb);
}
