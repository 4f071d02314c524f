// SPDX-License-Identifier: GPL-2.0-only
/* pdload up: load the programs, attach and pin them.
 *
 * All pins are made in a directory aside, which is renamed to PD_PIN_DIR as the
 * last step: it is there whole, or not at all. What a crash leaves aside is
 * removed by the next `up` or `down`.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <unistd.h>

#include "args.h"
#include "cgroup.h"
#include "defects_seen.h"
#include "dma.h"
#include "format.h"
#include "json.h"
#include "module.h"
#include "pd_features.h"
#include "pin_dir.h"
#include "pins.h"
#include "pipedevice.skel.h"
#include "policy.h"
#include "scratch.h"

#define BPFFS "/sys/fs/bpf"
#define MIN_BOUND (64U << 10)
#define MAX_BOUND (1U << 30)
#define MAX_CONNECTIONS (1U << 22)
#define MAX_HANDSHAKES (1U << 22)
#define MODULE_SECONDS 2 /* as for down: what is freed after its last use */

struct options {
	const char *policy;
	const char *cgroup;
	bool all;
	bool chosen; /* the engine, and not auto */
	__u32 engine; /* enum pd_engine */
	bool loaded; /* the module, by this run */
	bool switched; /* DMA on, by this run */
	__u32 bound;
	__u32 connections;
	__u32 handshakes;
};

enum { OPT_ALL = 0x5a01, OPT_POLICY, OPT_ENGINE, OPT_CGROUP, OPT_BOUND, OPT_CONNS, OPT_NOTES };

static const struct argp_option argp_options[] = {
	{ "all", OPT_ALL, NULL, 0, "Accelerate every connection whose two ends are on this host",
	  0 },
	{ "policy", OPT_POLICY, "FILE", 0, "Rules, see pdload(8)", 0 },
	{ "engine", OPT_ENGINE, "auto|sockmap|cpu|dma", 0, "What moves the payload (auto)", 0 },
	{ "cgroup", OPT_CGROUP, "PATH", 0,
	  "Look only at sockets below this cgroup: a path below the cgroup v2 mount (/)", 0 },
	{ "bound", OPT_BOUND, "BYTES", 0,
	  "Unread redirected bytes a direction may have, 64K to 1G (4M)", 0 },
	{ "max-connections", OPT_CONNS, "N", 0, "Connections enrolled at once (65536)", 0 },
	{ "max-handshakes", OPT_NOTES, "N", 0,
	  "Handshakes remembered between their two ends (16384)", 0 },
	{ 0 },
};

static void parse_engine(const struct argp_state *state, const char *arg, struct options *options)
{
	options->chosen = strcmp(arg, "auto");
	if (!strcmp(arg, "sockmap"))
		options->engine = PD_ENGINE_SOCKMAP;
	else if (!strcmp(arg, "cpu"))
		options->engine = PD_ENGINE_CPU;
	else if (!strcmp(arg, "dma"))
		options->engine = PD_ENGINE_DMA;
	else if (options->chosen)
		argp_error(state, "--engine takes auto, sockmap, cpu or dma, not '%s'", arg);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case OPT_ALL:
		options->all = true;
		break;
	case OPT_POLICY:
		options->policy = arg;
		break;
	case OPT_ENGINE:
		parse_engine(state, arg, options);
		break;
	case OPT_CGROUP:
		options->cgroup = arg;
		break;
	case OPT_BOUND:
		options->bound = pd_args__bytes(state, "--bound", arg, MIN_BOUND, MAX_BOUND,
						"a size from 64K to 1G");
		break;
	case OPT_CONNS:
		options->connections =
			pd_args__number(state, "--max-connections", arg, 1, MAX_CONNECTIONS);
		break;
	case OPT_NOTES:
		options->handshakes =
			pd_args__number(state, "--max-handshakes", arg, 1, MAX_HANDSHAKES);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", arg);
		break;
	case ARGP_KEY_END:
		if (options->all && options->policy)
			argp_error(state, "--all and --policy exclude each other: a policy file "
					  "has its own default");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* The best engine of this host, or the one that was asked for; whether auto can have
 * DMA is seen later, by choose_dma().
 */
static int choose_engine(struct options *options)
{
	char why[PD_MODULE_WHY];

	if (options->chosen && options->engine == PD_ENGINE_SOCKMAP)
		return 0;
	options->loaded = !pd_module__is_loaded();
	if (!pd_module__load(why)) {
		if (!options->chosen)
			options->engine = PD_ENGINE_CPU;
		return 0;
	}
	options->loaded = false;
	if (options->chosen) {
		p_err("can't use --engine %s, which needs pipedevice.ko: %s",
		      pd_name__engine(options->engine), why);
		return PD_EXIT_UNSUPPORTED;
	}
	options->engine = PD_ENGINE_SOCKMAP;
	p_warn("engine sockmap, since the module is not there: %s", why);
	return 0;
}

/* DMA on or off, as the engine wants it. Under the lock, and while nothing is up: it would
 * be switched for that, too.
 */
static int choose_dma(struct options *options)
{
	char why[PD_ENGINE_WHY];
	int err;

	if (options->engine == PD_ENGINE_SOCKMAP)
		return 0;
	/* A `down` or another `up` may have taken the module out before it let go of the lock. */
	if (pd_module__load(why)) {
		p_err("can't load pipedevice.ko again: %s", why);
		return PD_EXIT_UNSUPPORTED;
	}
	if (options->chosen && options->engine == PD_ENGINE_CPU) {
		/* The module may have stayed loaded since it was `dma`. */
		err = pd_dma__stop();
		if (err)
			p_err("can't switch DMA off for --engine cpu: %s", strerror(-err));
		return err ? PD_EXIT_FAILED : 0;
	}
	err = pd_dma__start(&options->switched, why);
	if (!err) {
		options->engine = PD_ENGINE_DMA;
		return 0;
	}
	if (options->chosen) {
		p_err("can't use --engine dma: %s; `pdload probe` lists DMA channels, and "
		      "--engine cpu needs none",
		      why);
		return err == -ENODEV || err == -ENOENT ? PD_EXIT_UNSUPPORTED : PD_EXIT_FAILED;
	}
	/* A host without channels has its best engine. */
	if (err != -ENODEV && err != -ENOENT)
		p_warn("engine cpu, without DMA: %s", why);
	return 0;
}

/* Nothing half done: what this run switched on or loaded goes as it came. */
static void undo_engine(const struct options *options)
{
	if (options->switched)
		pd_dma__stop();
	if (options->loaded)
		pd_module__unload(MODULE_SECONDS);
}

/* bpffs is a mount away on hosts whose init does not mount it. */
static int mount_bpffs(void)
{
	struct statfs fs;

	if (!statfs(BPFFS, &fs) && (__u32)fs.f_type == BPF_FS_MAGIC)
		return 0;
	if (mount("bpf", BPFFS, "bpf", 0, "mode=0700")) {
		p_err("can't mount bpffs at %s: %s; mount it with `mount -t bpf bpf %s`", BPFFS,
		      strerror(errno), BPFFS);
		return PD_EXIT_UNSUPPORTED;
	}
	return 0;
}

/* The addresses of a kernel function, 0 if the kernel does not tell: it ends where
 * the next symbol begins.
 */
static void kernel_function(const char *wanted, __u64 *start, __u64 *end)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	unsigned long long addr;
	char name[256];

	*start = 0;
	*end = 0;
	if (!file)
		return;
	/* The kernel's own symbols come first, sorted by address. */
	while (!*end && fscanf(file, "%llx %*c %255s%*[^\n]", &addr, name) == 2) {
		if (*start && addr > *start)
			*end = addr;
		else if (!strcmp(name, wanted))
			*start = addr;
	}
	fclose(file);
}

/* With link-time optimisation a function may be inlined across files. */
static bool is_linked_with_lto(void)
{
	const char *file;
	char value[128];
	char *text = pd_config__read(&file);
	bool lto = text && pd_config__value(text, "CONFIG_LTO", value) && !strcmp(value, "y");

	free(text);
	return lto;
}

/* What the verdict needs to know where a task sleeps. */
static void find_functions(struct pipedevice *skel)
{
	__u64 start, end;

	kernel_function("woken_wake_function", &start, &end);
	skel->rodata->woken_wake_function = start;
	if (is_linked_with_lto())
		return;
	kernel_function("sk_wait_data", &start, &end);
	skel->rodata->sk_wait_data_start = start;
	skel->rodata->sk_wait_data_end = end;
}

/* libbpf prints the verifier's whole log: only to those who ask for it. */
static int print_if_asked(enum libbpf_print_level level, const char *fmt, va_list args)
{
	if (level == LIBBPF_DEBUG || !getenv("PDLOAD_DEBUG"))
		return 0;
	return vfprintf(stderr, fmt, args);
}

static struct pipedevice *load(const struct options *options)
{
	struct pipedevice *skel;
	int err;

	libbpf_set_print(print_if_asked);
	skel = pipedevice__open();
	if (!skel) {
		p_err("can't open the BPF programs: %s", strerror(errno));
		return NULL;
	}
	skel->rodata->bound_bytes = options->bound;
	find_functions(skel);
	skel->rodata->may_call_module = pd_module__gives_function();
	bpf_map__set_max_entries(skel->maps.pd_handshakes, options->handshakes);
	bpf_map__set_max_entries(skel->maps.pd_socks, 2 * options->connections);
	bpf_map__set_max_entries(skel->maps.pd_ends, 2 * options->connections);
	err = pipedevice__load(skel);
	if (err) {
		p_err("can't load the BPF programs: %s; `pdload probe` says what this kernel has, "
		      "and with PDLOAD_DEBUG=1 in the environment up shows the kernel's log",
		      strerror(-err));
		pipedevice__destroy(skel);
		return NULL;
	}
	return skel;
}

static int open_cgroup(const char *path)
{
	const char *mount = pd_cgroup__mount();
	char full[PATH_MAX];
	struct statfs fs;
	int fd;

	if (!mount) {
		p_err("can't attach: no cgroup v2 tree is mounted; mount one, for example at "
		      "/sys/fs/cgroup/unified");
		return -ENOENT;
	}
	/* With or without the mount point in front. */
	if (!strncmp(path, mount, strlen(mount)))
		snprintf(full, sizeof(full), "%s", path);
	else
		snprintf(full, sizeof(full), "%s%s%s", mount, *path == '/' ? "" : "/", path);
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		p_err("can't open cgroup %s: %s; --cgroup takes a path below %s", full,
		      strerror(errno), mount);
		return -errno;
	}
	if (fstatfs(fd, &fs) || (__u32)fs.f_type != CGROUP2_SUPER_MAGIC) {
		p_err("can't attach to %s: it is not a cgroup v2 directory", full);
		close(fd);
		return -EINVAL;
	}
	return fd;
}

static int pin_link(struct bpf_link *link, const char *name, const char *dir)
{
	char path[PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "%s/links/%s", dir, name);
	err = bpf_link__pin(link, path);
	if (err)
		p_err("can't pin %s: %s", path, strerror(-err));
	return err;
}

/* All but enrolment, which begins when the pins are in place: a connection that
 * was enrolled before could not be released if this run ended here.
 */
static int attach_and_pin(struct pipedevice *skel, const struct options *options,
			  const struct pd_policy *policy, int cgroup_fd, const char *dir)
{
	struct pd_control control = {
		.generation = 1, .epoch = 1, .counting = 1, .engine = options->engine
	};
	LIBBPF_OPTS(bpf_iter_attach_opts, iter_opts);
	union bpf_iter_link_info info = { 0 };
	__u32 zero = 0;
	int err;

	err = pd_policy__install(policy, bpf_map__fd(skel->maps.pd_rules),
				 bpf_map__fd(skel->maps.pd_globs), control.generation);
	if (err)
		return err;
	err = bpf_map_update_elem(bpf_map__fd(skel->maps.pd_control), &zero, &control, 0);
	if (err) {
		p_err("can't write pd_control: %s", strerror(errno));
		return -errno;
	}
	err = bpf_prog_attach(bpf_program__fd(skel->progs.verdict),
			      bpf_map__fd(skel->maps.pd_socks), BPF_SK_MSG_VERDICT, 0);
	if (err) {
		p_err("can't attach the verdict program to pd_socks: %s", strerror(errno));
		return -errno;
	}
	info.map.map_fd = bpf_map__fd(skel->maps.pd_conns);
	iter_opts.link_info = &info;
	iter_opts.link_info_len = sizeof(info);
	skel->links.inspect_conns = bpf_program__attach_iter(skel->progs.inspect_conns, &iter_opts);
	if (!skel->links.inspect_conns) {
		p_err("can't attach the iterator over connections: %s", strerror(errno));
		return -errno;
	}
	skel->links.guard = bpf_program__attach_cgroup(skel->progs.guard, cgroup_fd);
	if (!skel->links.guard) {
		p_err("can't attach the setsockopt program to the cgroup: %s", strerror(errno));
		return -errno;
	}
	skel->links.detect = bpf_program__attach_cgroup(skel->progs.detect, cgroup_fd);
	if (!skel->links.detect) {
		p_err("can't attach the sockops program to the cgroup: %s", strerror(errno));
		return -errno;
	}
	return pd_pin_dir__fill(dir, skel->obj) ||
	       pin_link(skel->links.inspect_conns, "inspect_conns", dir) ||
	       pin_link(skel->links.guard, "guard", dir) ||
	       pin_link(skel->links.detect, "detect", dir);
}

static int start_enrolling(void)
{
	struct pd_control *control = pd_pins__control();

	if (!control)
		return -EIO;
	__atomic_store_n(&control->enrolling, 1, __ATOMIC_SEQ_CST);
	munmap(control, sysconf(_SC_PAGESIZE));
	return 0;
}

static void report(const struct options *options, const struct pd_policy *policy)
{
	char bound[PD_BYTES_TEXT];

	pd_format__bytes(bound, options->bound);
	if (pd_json) {
		cJSON *json = cJSON_CreateObject(), *defects;

		cJSON_AddBoolToObject(json, "up", true);
		cJSON_AddStringToObject(json, "engine", pd_name__engine(options->engine));
		cJSON_AddStringToObject(json, "cgroup", options->cgroup);
		cJSON_AddNumberToObject(json, "rules", policy->nr_rules - 1);
		cJSON_AddStringToObject(
			json, "default",
			pd_name__action(policy->rules[policy->nr_rules - 1].action));
		cJSON_AddNumberToObject(json, "bound_bytes", options->bound);
		cJSON_AddNumberToObject(json, "max_connections", options->connections);
		cJSON_AddNumberToObject(json, "max_handshakes", options->handshakes);
		defects = cJSON_AddArrayToObject(json, "defects");
		for (const struct pd_defect *d = pd_defects; d->name; d++) {
			if (options->engine == PD_ENGINE_SOCKMAP && pd_defects_seen__matters(d))
				cJSON_AddItemToArray(defects, cJSON_CreateString(d->name));
		}
		pd_json__print(json);
		return;
	}
	printf("PipeDevice is up: engine %s, cgroup %s, rules %u, default %s",
	       pd_name__engine(options->engine), options->cgroup, policy->nr_rules - 1,
	       pd_name__action(policy->rules[policy->nr_rules - 1].action));
	if (options->engine == PD_ENGINE_SOCKMAP)
		printf(", bound %s a direction", bound);
	printf("\n");
	if (policy->nr_rules == 1 && policy->rules[0].action == PD_ACTION_BYPASS)
		printf("Nothing is accelerated yet: name what should be with `pdload policy apply "
		       "FILE`, or start with --all.\n");
	if (options->engine == PD_ENGINE_DMA)
		printf("`pdload engines` shows the DMA channels, and from which size on they copy.\n");
	if (options->engine != PD_ENGINE_SOCKMAP)
		return;
	printf("On this kernel accelerated connections differ from TCP in:");
	for (const struct pd_defect *d = pd_defects; d->name; d++) {
		if (pd_defects_seen__matters(d))
			printf(" %s", d->name);
	}
	printf("\n`pdload probe` says what each means and which programs to bypass for it.\n");
}

static int refuse_if_up(bool locked)
{
	bool draining;

	if (!pd_pins__present())
		return PD_EXIT_OK;
	draining = pd_pins__draining();
	/* Without the lock it may come or go at this moment. */
	if (draining && !locked)
		return PD_EXIT_OK;
	if (draining)
		p_err("PipeDevice is going down: connections are not drained yet; `pdload down` says "
		      "which, run it until it is done");
	else
		p_err("PipeDevice is up already; change its rules with `pdload policy apply`, or "
		      "take it down first with `pdload down`");
	return PD_EXIT_FAILED;
}

int pd_up__main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse_option,
		.children = pd_args_json,
		.doc = "Load the programs and start to accelerate what the policy names.",
	};
	struct options options = {
		.cgroup = "/",
		.bound = PD_DEFAULT_BOUND,
		.connections = PD_DEFAULT_CONNECTIONS,
		.handshakes = PD_DEFAULT_HANDSHAKES,
	};
	int lock = -1, cgroup_fd = -1, ret;
	struct pipedevice *skel = NULL;
	struct pd_policy_error why;
	struct pd_policy *policy = NULL;
	char dir[PATH_MAX];

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (options.policy) {
		policy = pd_policy__parse_file(options.policy, NULL, &why);
		if (!policy) {
			p_err("%s", why.text);
			return PD_EXIT_POLICY;
		}
	}

	ret = PD_EXIT_UNSUPPORTED;
	if (geteuid() == 0 && mount_bpffs())
		goto out;
	if (pd_features__missing())
		goto out;
	/* Once more below: what is said of engines is of no use to who may not. */
	ret = refuse_if_up(false);
	if (ret)
		goto out;
	ret = choose_engine(&options);
	if (ret)
		goto out;
	ret = PD_EXIT_FAILED;
	/* The module behaves as TCP, so it takes all unless a rule says otherwise. */
	if (!options.policy)
		policy = pd_policy__builtin(options.all || options.engine != PD_ENGINE_SOCKMAP ?
						    PD_ACTION_ACCELERATE :
						    PD_ACTION_BYPASS);
	if (!policy) {
		p_err("can't read the policy: out of memory");
		goto out;
	}
	if (options.engine == PD_ENGINE_SOCKMAP)
		pd_defects_seen__load();
	lock = pd_pins__lock();
	if (lock < 0)
		goto out;
	ret = refuse_if_up(true);
	if (ret)
		goto out;
	ret = choose_dma(&options);
	if (ret)
		goto out;
	ret = PD_EXIT_FAILED;
	if (pd_pin_dir__prepare(dir, sizeof(dir)))
		goto out;
	cgroup_fd = open_cgroup(options.cgroup);
	if (cgroup_fd < 0)
		goto remove_dir;
	skel = load(&options);
	if (!skel)
		goto remove_dir;
	if (attach_and_pin(skel, &options, policy, cgroup_fd, dir) || pd_pin_dir__publish(dir))
		goto remove_dir;
	if (start_enrolling())
		goto out;
	report(&options, policy);
	ret = PD_EXIT_OK;
	goto out;

remove_dir:
	pd_pin_dir__remove(dir);
out:
	/* The programs hold the module. */
	pipedevice__destroy(skel);
	if (ret && lock >= 0)
		undo_engine(&options);
	if (cgroup_fd >= 0)
		close(cgroup_fd);
	if (lock >= 0)
		close(lock);
	pd_policy__free(policy);
	return ret;
}
