/* SPDX-License-Identifier: GPL-2.0-only */
/* pdload engines: the channels of the DMA engine, what was measured of them, and from which
 * size on they copy; and setting that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "engine_report.h"
#include "format.h"
#include "module.h"

#define MAX_THRESHOLD (1U << 30)
#define MAX_NODE 1023
#define MAX_TIMEOUT_MS 60000

enum task { SHOW, THRESHOLD, CALIBRATE, RESET, TIMEOUT };

struct options {
	enum task task;
	const char *word; /* of THRESHOLD: "never" or "measured"; NULL: a size */
	__u64 bytes;
	int node; /* -1: all */
	__u32 timeout_ms;
};

enum { OPT_THRESHOLD = 0x6501, OPT_NODE, OPT_CALIBRATE, OPT_RESET, OPT_TIMEOUT };

static const struct argp_option argp_options[] = {
	{ "threshold", OPT_THRESHOLD, "BYTES|never|measured", 0,
	  "From which size on DMA copies a message (64K, 1M, ...), whichever pages it is in", 0 },
	{ "node", OPT_NODE, "N", 0, "Of which NUMA node --threshold is (all)", 0 },
	{ "calibrate", OPT_CALIBRATE, NULL, 0, "Measure anew, for some seconds", 0 },
	{ "reset", OPT_RESET, NULL, 0, "Use retired channels again, and those that have come since",
	  0 },
	{ "timeout", OPT_TIMEOUT, "MS", 0,
	  "After how many ms the CPU copies what a channel has not copied", 0 },
	{ 0 },
};

static void choose(const struct argp_state *state, struct options *options, enum task task)
{
	if (options->task != SHOW && options->task != task)
		argp_error(state, "--threshold, --calibrate, --reset and --timeout exclude each "
				  "other");
	options->task = task;
}

static void parse_threshold(const struct argp_state *state, const char *arg,
			    struct options *options)
{
	options->word = NULL;
	if (!strcmp(arg, "never") || !strcmp(arg, "measured"))
		options->word = arg;
	else
		options->bytes =
			pd_args__bytes(state, "--threshold", arg, 1, MAX_THRESHOLD,
				       "a size from 1 to 1G (such as 64K), never or measured");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case OPT_THRESHOLD:
		choose(state, options, THRESHOLD);
		parse_threshold(state, arg, options);
		break;
	case OPT_NODE:
		options->node = pd_args__number(state, "--node", arg, 0, MAX_NODE);
		break;
	case OPT_CALIBRATE:
		choose(state, options, CALIBRATE);
		break;
	case OPT_RESET:
		choose(state, options, RESET);
		break;
	case OPT_TIMEOUT:
		choose(state, options, TIMEOUT);
		options->timeout_ms = pd_args__number(state, "--timeout", arg, 1, MAX_TIMEOUT_MS);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", arg);
		break;
	case ARGP_KEY_END:
		if (options->node >= 0 && options->task != THRESHOLD)
			argp_error(state, "--node goes with --threshold only");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- what can be wrong ---- */

static int no_file(void)
{
	if (pd_module__is_loaded()) {
		p_err("the pipedevice.ko that is loaded has no DMA engine: `pdload down`, install "
		      "the module of this pdload (%s), and `pdload up --engine dma`",
		      PD_VERSION);
		return PD_EXIT_UNSUPPORTED;
	}
	p_err("no DMA engine: pipedevice.ko is not loaded; where this kernel can load it (`pdload "
	      "probe` says), `pdload up --engine dma` does and switches DMA on");
	return PD_EXIT_NOT_UP;
}

static int is_off(void)
{
	p_err("DMA is off; `pdload up --engine dma` switches it on (after `pdload down`, if "
	      "PipeDevice is up without), and `pdload probe` lists the DMA channels of this host");
	return PD_EXIT_NOT_UP;
}

/* Returns an enum pd_exit; if that is PD_EXIT_OK, @engines is to be freed. */
static int read_engines(struct pd_engines *engines)
{
	char why[PD_ENGINE_WHY];
	int err = pd_engine_file__read(engines, why);

	if (err == -ENOENT)
		return no_file();
	if (err) {
		p_err("%s", why);
		return PD_EXIT_FAILED;
	}
	return PD_EXIT_OK;
}

static int has_failed(int err, const char *what)
{
	if (err == -ENOENT)
		return no_file();
	p_err("can't %s: %s", what, strerror(-err));
	return PD_EXIT_FAILED;
}

/* ---- what there is to do ---- */

static int show(void)
{
	struct pd_engines engines;
	int ret = read_engines(&engines);

	if (ret)
		return ret;
	if (!engines.on)
		ret = is_off();
	else if (pd_json)
		pd_json__print(pd_engine_report__json(&engines));
	else
		pd_engine_report__text(&engines, stdout);
	pd_engine_file__free(&engines);
	return ret;
}

static int calibrate(void)
{
	struct pd_engines engines;
	int ret = read_engines(&engines), err;
	bool on;

	if (ret)
		return ret;
	on = engines.on;
	pd_engine_file__free(&engines);
	if (!on)
		return is_off();
	p_progress("measuring the DMA channels against the CPU, which takes some seconds");
	err = pd_engine_file__command("calibrate");
	if (err == -ENODEV)
		return is_off();
	if (err)
		return has_failed(err, "measure the DMA channels");
	return show();
}

static void report_threshold(const struct options *options)
{
	char bytes[PD_BYTES_TEXT], node[32] = "";

	if (pd_json) {
		cJSON *json = cJSON_CreateObject();

		if (options->word)
			cJSON_AddStringToObject(json, "threshold", options->word);
		else
			pd_json__u64(json, "threshold", options->bytes);
		if (options->node >= 0)
			cJSON_AddNumberToObject(json, "node", options->node);
		else
			cJSON_AddNullToObject(json, "node");
		pd_json__print(json);
		return;
	}
	if (options->node >= 0)
		snprintf(node, sizeof(node), " on node %d", options->node);
	if (!options->word)
		printf("DMA copies messages of %s and more%s\n",
		       pd_format__bytes(bytes, options->bytes), node);
	else if (!strcmp(options->word, "never"))
		printf("DMA copies nothing%s\n", node);
	else
		printf("DMA copies from the measured size on%s\n", node);
}

static int set_threshold(const struct options *options)
{
	char where[16] = "all", size[24], what[96];
	int err;

	if (options->node >= 0)
		snprintf(where, sizeof(where), "%d", options->node);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)options->bytes);
	err = pd_engine_file__command("threshold %s %s", where,
				      options->word ? options->word : size);
	if (err) {
		snprintf(what, sizeof(what), "set the threshold of %s%s",
			 options->node >= 0 ? "node " : "",
			 options->node >= 0 ? where : "all nodes");
		return has_failed(err, what);
	}
	report_threshold(options);
	return PD_EXIT_OK;
}

static int reset(void)
{
	int err = pd_engine_file__command("reset");

	if (err)
		return has_failed(err, "reset the DMA channels");
	if (pd_json) {
		cJSON *json = cJSON_CreateObject();

		cJSON_AddBoolToObject(json, "reset", true);
		pd_json__print(json);
	} else {
		printf("Retired channels are used again, and errors are counted from 0\n");
	}
	return PD_EXIT_OK;
}

static int set_timeout(__u32 ms)
{
	int err = pd_engine_file__command("timeout_ms %u", ms);

	if (err)
		return has_failed(err, "set the time limit of DMA");
	if (pd_json) {
		cJSON *json = cJSON_CreateObject();

		cJSON_AddNumberToObject(json, "timeout_ms", ms);
		pd_json__print(json);
	} else {
		printf("What a channel has not copied after %u ms the CPU copies\n", ms);
	}
	return PD_EXIT_OK;
}

int pd_engines__main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse_option,
		.children = pd_args_json,
		.doc = "Show the channels of the DMA engine, from which size on they copy, and how "
		       "long they and the CPU were measured to take, for buffers in ordinary and in "
		       "huge pages apart; or set one of these.\v"
		       "Exit code 3 if the module is not loaded or DMA is off.",
	};
	struct options options = { .node = -1 };

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (geteuid()) {
		p_err("can't look at the DMA engine: this needs root; run pdload as root");
		return PD_EXIT_FAILED;
	}
	switch (options.task) {
	case THRESHOLD:
		return set_threshold(&options);
	case CALIBRATE:
		return calibrate();
	case RESET:
		return reset();
	case TIMEOUT:
		return set_timeout(options.timeout_ms);
	case SHOW:
		break;
	}
	return show();
}
