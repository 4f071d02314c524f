/* SPDX-License-Identifier: GPL-2.0-only */
/* What the sockmap engine needs of the kernel, asked by trial: distributions
 * carry features back into kernels that are older by number. The releases
 * below, where each came in, are for messages only.
 *
 *   sock_ops programs                            4.13  40304b2a1567
 *   sk_msg programs                              4.17  4f738adba30a
 *   SOCKHASH, bpf_sock_hash_update(),
 *     bpf_msg_redirect_hash()                    4.18  81110384441a
 *   bpf_get_socket_cookie() in sock_ops          4.19  d692f1138a4b
 *   SK_STORAGE maps                              5.2   6ac99e8f23d4
 *   bpf_sock_ops.sk, bpf_sk_storage_get()
 *     in sock_ops                                5.3   1314ef561102
 *   BPF_SOCK_OPS_RTT_CB                          5.3   23729ff23186
 *   cgroup_sockopt programs and their
 *     bpf_sk_storage_get()                       5.3   0d01da6afc54
 *   /sys/kernel/btf/vmlinux                      5.4   341dfcf8d78e
 *   BPF_F_MMAPABLE                               5.5   fc9702273e2e
 *   global functions, verified one by one        5.6   51c39bb1d5d1
 *   BPF links to cgroups                         5.7   af6eea57437a
 *   sk_msg_md.sk, bpf_sk_storage_get()
 *     in sk_msg                                  5.8   13d70f5a5ecf
 *   bpf_probe_read_kernel() outside tracing      5.8   f470378c7562
 *   RINGBUF, bpf_ringbuf_reserve()               5.8   457f44363a88
 *   CAP_BPF, CAP_PERFMON                         5.8   2c78ee898d8f
 *   bpf_seq_write() and iterators                5.8   492e639f0c22
 *   iter/bpf_sk_storage_map                      5.9   5ce6e77c7edf
 *   bpf_skc_to_tcp_sock() outside tracing        5.10  1df8f55a37bd
 *   BPF_F_INNER_MAP                              5.10  4a8f87e60f6d
 *
 * So Linux 5.10 is the oldest that can have them all. SOCKHASH depends on
 * CONFIG_BPF_STREAM_PARSER before 5.13 (887596095ec2) and only on
 * CONFIG_BPF_SYSCALL and CONFIG_NET since; attaching sock_ops on
 * CONFIG_CGROUP_BPF in all.
 */
#include "pd_features.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "cgroup.h"
#include "scratch.h"

#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC 0xcafe4a11
#endif

struct helper {
	enum bpf_func_id id;
	const char *name;
	const char *since;
};

/* What the programs in bpf/ call. */
static const struct helper helpers_sock_ops[] = {
	{ BPF_FUNC_sk_storage_get, "bpf_sk_storage_get", "5.3" },
	{ BPF_FUNC_skc_to_tcp_sock, "bpf_skc_to_tcp_sock", "5.10" },
	{ BPF_FUNC_probe_read_kernel, "bpf_probe_read_kernel", "5.8" },
	{ BPF_FUNC_probe_read_kernel_str, "bpf_probe_read_kernel_str", "5.8" },
	{ BPF_FUNC_sock_hash_update, "bpf_sock_hash_update", "4.18" },
	{ BPF_FUNC_sock_ops_cb_flags_set, "bpf_sock_ops_cb_flags_set", "4.16" },
	{ BPF_FUNC_get_socket_cookie, "bpf_get_socket_cookie", "4.19" },
	{ BPF_FUNC_ringbuf_reserve, "bpf_ringbuf_reserve", "5.8" },
	{ BPF_FUNC_ktime_get_ns, "bpf_ktime_get_ns", "4.1" },
	{ 0 },
};

static const struct helper helpers_sk_msg[] = {
	{ BPF_FUNC_sk_storage_get, "bpf_sk_storage_get", "5.8" },
	{ BPF_FUNC_skc_to_tcp_sock, "bpf_skc_to_tcp_sock", "5.10" },
	{ BPF_FUNC_probe_read_kernel, "bpf_probe_read_kernel", "5.8" },
	{ BPF_FUNC_msg_redirect_hash, "bpf_msg_redirect_hash", "4.18" },
	{ BPF_FUNC_ringbuf_reserve, "bpf_ringbuf_reserve", "5.8" },
	{ BPF_FUNC_ktime_get_ns, "bpf_ktime_get_ns", "4.1" },
	{ 0 },
};

static const struct helper helpers_sockopt[] = {
	{ BPF_FUNC_sk_storage_get, "bpf_sk_storage_get", "5.3" },
	{ 0 },
};

static const struct helper helpers_iter[] = {
	{ BPF_FUNC_seq_write, "bpf_seq_write", "5.8" },
	{ BPF_FUNC_probe_read_kernel, "bpf_probe_read_kernel", "5.5" },
	{ 0 },
};

static const struct {
	enum bpf_map_type type;
	const char *name;
	const char *since;
} map_types[] = {
	{ BPF_MAP_TYPE_SOCKHASH, "sockhash", "4.18" },
	{ BPF_MAP_TYPE_SK_STORAGE, "sk_storage", "5.2" },
	{ BPF_MAP_TYPE_RINGBUF, "ringbuf", "5.8" },
	{ BPF_MAP_TYPE_HASH_OF_MAPS, "hash_of_maps", "4.12" },
	{ BPF_MAP_TYPE_LRU_HASH, "lru_hash", "4.10" },
	{ BPF_MAP_TYPE_PERCPU_ARRAY, "percpu_array", "4.6" },
};

/* A program type as a trial load wants it. */
struct kind {
	const char *name;
	const char *since;
	enum bpf_prog_type type;
	enum bpf_attach_type attach;
	__u32 btf_id;
	const char *group; /* of its helpers */
	const struct helper *helpers;
};

static const struct kind sock_ops = {
	.name = "sock_ops",
	.since = "4.13",
	.type = BPF_PROG_TYPE_SOCK_OPS,
	.attach = BPF_CGROUP_SOCK_OPS,
	.group = "helpers in sock_ops",
	.helpers = helpers_sock_ops,
};

static const struct kind sk_msg = {
	.name = "sk_msg",
	.since = "4.17",
	.type = BPF_PROG_TYPE_SK_MSG,
	.attach = BPF_SK_MSG_VERDICT,
	.group = "helpers in sk_msg",
	.helpers = helpers_sk_msg,
};

static const struct kind sockopt = {
	.name = "cgroup_sockopt",
	.since = "5.3",
	.type = BPF_PROG_TYPE_CGROUP_SOCKOPT,
	.attach = BPF_CGROUP_SETSOCKOPT,
	.group = "helpers in cgroup_sockopt",
	.helpers = helpers_sockopt,
};

static const struct kind iter = {
	.name = "iter/bpf_sk_storage_map",
	.since = "5.9",
	.type = BPF_PROG_TYPE_TRACING,
	.attach = BPF_TRACE_ITER,
	.group = "helpers in iterators",
	.helpers = helpers_iter,
};

const char *pd_answer__text(enum pd_answer answer)
{
	return answer == PD_YES ? "yes" : answer == PD_NO ? "no" : "unknown";
}

static struct pd_feature *add(struct pd_features *f, const char *group, const char *name,
			      enum pd_answer answer, bool needed)
{
	struct pd_feature *feature = &f->list[f->nr];

	if (f->nr == PD_MAX_FEATURES)
		return &f->list[PD_MAX_FEATURES - 1];
	f->nr++;
	*feature = (struct pd_feature){ group, name, answer, needed, "" };
	return feature;
}

static void __attribute__((format(printf, 2, 3))) lack(struct pd_features *f, const char *fmt, ...)
{
	va_list args;

	if (f->nr_lacks == PD_MAX_LACKS)
		return;
	va_start(args, fmt);
	if (vasprintf(&f->lacks[f->nr_lacks], fmt, args) >= 0)
		f->nr_lacks++;
	va_end(args);
}

/* ---- privileges ---- */

__u64 pd_features__capabilities(void)
{
	unsigned long long caps = 0;
	char line[256];
	FILE *status = fopen("/proc/self/status", "re");

	if (!status)
		return 0;
	while (fgets(line, sizeof(line), status)) {
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	}
	fclose(status);
	return caps;
}

static void ask_privileges(struct pd_features *f)
{
	static const struct {
		int cap;
		const char *name;
		const char *what;
	} needed[] = {
		{ CAP_BPF, "CAP_BPF", "to load BPF programs" },
		{ CAP_NET_ADMIN, "CAP_NET_ADMIN", "to attach programs to sockets and cgroups" },
		{ CAP_PERFMON, "CAP_PERFMON", "to read kernel memory in BPF programs" },
	};
	__u64 caps = pd_features__capabilities();
	bool admin = caps >> CAP_SYS_ADMIN & 1;
	char names[64] = "";
	size_t i;

	f->privileged = true;
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		/* CAP_SYS_ADMIN stands in for all three. */
		bool has = admin || (caps >> needed[i].cap & 1);
		struct pd_feature *feature =
			add(f, "privileges", needed[i].name, has ? PD_YES : PD_NO, true);

		snprintf(feature->detail, sizeof(feature->detail), "%s", needed[i].what);
		if (has)
			continue;
		f->privileged = false;
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			 *names ? ", " : "", needed[i].name);
	}
	if (!f->privileged)
		lack(f, "not privileged: this process lacks %s; run pdload as root", names);
}

/* ---- what can be seen without privilege ---- */

static void ask_mounts(struct pd_features *f)
{
	const char *cgroup2 = pd_cgroup__mount();
	struct pd_feature *feature;
	struct statfs fs;
	bool bpffs;

	bpffs = !statfs("/sys/fs/bpf", &fs) && (__u32)fs.f_type == BPF_FS_MAGIC;
	add(f, "mounts", "bpffs at /sys/fs/bpf", bpffs ? PD_YES : PD_NO, true);
	if (!bpffs)
		lack(f, "no BPF file system at /sys/fs/bpf, where pdload pins its maps; mount it "
			"with `mount -t bpf bpf /sys/fs/bpf`");

	feature = add(f, "mounts", "cgroup v2", cgroup2 ? PD_YES : PD_NO, true);
	snprintf(feature->detail, sizeof(feature->detail), "%s", cgroup2 ? cgroup2 : "");
	if (!cgroup2)
		lack(f, "no cgroup v2 tree is mounted, to which pdload attaches; mount one with "
			"`mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none "
			"/sys/fs/cgroup/unified`");
}

static void ask_btf(struct pd_features *f)
{
	bool btf = !access("/sys/kernel/btf/vmlinux", R_OK);

	add(f, "kernel", "BTF at /sys/kernel/btf/vmlinux", btf ? PD_YES : PD_NO, true);
	if (!btf)
		lack(f, "this kernel has no type information (/sys/kernel/btf/vmlinux), without "
			"which its structures can't be read; use one built with "
			"CONFIG_DEBUG_INFO_BTF=y, as distributions do since Linux 5.4");
}

static void ask_config(struct pd_features *f)
{
	static const char *const options[] = {
		"CONFIG_CGROUP_BPF", "CONFIG_BPF_STREAM_PARSER", "CONFIG_TLS",
		"CONFIG_MPTCP",	     "CONFIG_IO_URING",
	};
	const char *file;
	char *text = pd_config__read(&file);
	char value[128];
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		struct pd_feature *feature = add(f, "kernel", options[i], PD_UNKNOWN, false);

		if (!text) {
			snprintf(feature->detail, sizeof(feature->detail),
				 "the kernel's configuration is not readable");
			continue;
		}
		pd_config__value(text, options[i], value);
		feature->answer = *value == 'n' ? PD_NO : PD_YES;
		if (*value == 'm')
			snprintf(feature->detail, sizeof(feature->detail), "as a module");
	}
	free(text);
}

/* ---- trials ---- */

/* Load "call @helper (0: nothing); return 0"; fd or -errno. */
static int load(const struct kind *kind, int helper, char *log, size_t log_size)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = helper },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = kind->attach,
		    .attach_btf_id = kind->btf_id, .log_buf = log, .log_size = log_size,
		    .log_level = log ? 1 : 0);
	int skip = helper ? 0 : 1;

	return bpf_prog_load(kind->type, NULL, "GPL", insns + skip, 3 - skip, &opts);
}

/* What the verifier says of the call's missing arguments does not matter, only
 * whether it knows the helper. (The probe of libbpf 1.1 does not know the words
 * in which Linux 6.12 and 6.18 say no, and answers yes.)
 */
static enum pd_answer has_helper(const struct kind *kind, int id)
{
	char log[4096] = "";
	int fd = load(kind, id, log, sizeof(log));

	if (fd >= 0) {
		close(fd);
		return PD_YES;
	}
	if (!*log)
		return PD_UNKNOWN;
	return strstr(log, "invalid func ") || strstr(log, "unknown func ") ||
			       strstr(log, "cannot use helper") ?
		       PD_NO :
		       PD_YES;
}

enum pd_answer pd_features__helper(bool of_sock_ops, int id)
{
	return has_helper(of_sock_ops ? &sock_ops : &sk_msg, id);
}

static void ask_program(struct pd_features *f, const struct kind *kind)
{
	int fd = load(kind, 0, NULL, 0);
	struct pd_feature *feature =
		add(f, "program types", kind->name, fd >= 0 ? PD_YES : PD_NO, true);

	if (fd >= 0) {
		close(fd);
		return;
	}
	snprintf(feature->detail, sizeof(feature->detail), "%s", strerror(-fd));
	if (fd == -EPERM && !f->refused)
		lack(f,
		     "the kernel refuses to load a program of type %s: %s (lockdown, a seccomp "
		     "filter or a user namespace forbids it); run pdload as root on the host "
		     "itself",
		     kind->name, strerror(-fd));
	f->refused |= fd == -EPERM;
	if (fd != -EPERM)
		lack(f,
		     "the kernel does not take programs of type %s (%s); use Linux %s or newer "
		     "built with CONFIG_BPF_SYSCALL=y and CONFIG_NET=y",
		     kind->name, strerror(-fd), kind->since);
}

static bool answered_yes(const struct pd_features *f, const char *group, const char *name)
{
	size_t i;

	for (i = 0; i < f->nr; i++) {
		if (!strcmp(f->list[i].group, group) && !strcmp(f->list[i].name, name))
			return f->list[i].answer == PD_YES;
	}
	return false;
}

static void ask_helpers(struct pd_features *f, const struct kind *kind)
{
	bool loads = answered_yes(f, "program types", kind->name);

	for (const struct helper *h = kind->helpers; h->name; h++) {
		enum pd_answer answer = loads ? has_helper(kind, h->id) : PD_UNKNOWN;
		struct pd_feature *feature = add(f, kind->group, h->name, answer, true);

		if (answer != PD_NO)
			continue;
		if (h->id == BPF_FUNC_probe_read_kernel ||
		    h->id == BPF_FUNC_probe_read_kernel_str) {
			snprintf(feature->detail, sizeof(feature->detail),
				 "lockdown can forbid it");
			lack(f,
			     "%s programs can't use %s(); use Linux %s or newer, and no lockdown "
			     "mode \"confidentiality\"",
			     kind->name, h->name, h->since);
		} else {
			lack(f, "%s programs of this kernel have no %s(); use Linux %s or newer",
			     kind->name, h->name, h->since);
		}
	}
}

static void ask_maps(struct pd_features *f)
{
	static const struct {
		__u32 flag;
		const char *name;
		const char *since;
	} flags[] = {
		{ BPF_F_MMAPABLE, "array with BPF_F_MMAPABLE", "5.5" },
		{ BPF_F_INNER_MAP, "array with BPF_F_INNER_MAP", "5.10" },
	};
	size_t i;

	for (i = 0; i < sizeof(map_types) / sizeof(map_types[0]); i++) {
		bool has = libbpf_probe_bpf_map_type(map_types[i].type, NULL) == 1;

		add(f, "map types", map_types[i].name, has ? PD_YES : PD_NO, true);
		if (has)
			continue;
		if (map_types[i].type == BPF_MAP_TYPE_SOCKHASH)
			lack(f, "this kernel has no sockhash maps; use Linux 4.18 or newer built "
				"with CONFIG_BPF_STREAM_PARSER=y");
		else
			lack(f, "this kernel has no %s maps; use Linux %s or newer",
			     map_types[i].name, map_types[i].since);
	}
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags[i].flag);
		int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, NULL, 4, 8, 1, &opts);

		add(f, "map types", flags[i].name, fd >= 0 ? PD_YES : PD_NO, true);
		if (fd >= 0)
			close(fd);
		else
			lack(f, "this kernel has no %s; use Linux %s or newer", flags[i].name,
			     flags[i].since);
	}
}

/* Attaching to a cgroup, without doing so: the query knows whether the hook
 * exists and who sits on it, and a link to no cgroup fails with EBADF only
 * where links are known.
 */
static void ask_attach(struct pd_features *f)
{
	const char *cgroup2 = pd_cgroup__mount();
	enum pd_answer hook = PD_UNKNOWN, link = PD_UNKNOWN;
	__u32 flags = 0, nr = 0;
	int cgroup, prog, err;

	cgroup = cgroup2 ? open(cgroup2, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (cgroup >= 0) {
		err = bpf_prog_query(cgroup, BPF_CGROUP_SOCK_OPS, 0, &flags, NULL, &nr);
		hook = !err ? PD_YES : err == -EPERM ? PD_UNKNOWN : PD_NO;
		close(cgroup);
	}
	add(f, "attaching", "sock_ops programs to a cgroup", hook, true);
	if (hook == PD_NO)
		lack(f, "sock_ops programs can't be attached to a cgroup; use a kernel built with "
			"CONFIG_CGROUP_BPF=y");
	if (hook == PD_YES && nr && !(flags & BPF_F_ALLOW_MULTI))
		lack(f,
		     "another agent has attached its sock_ops program to %s so that no other "
		     "may join it; detach it (`bpftool cgroup show %s` names it) or let it "
		     "attach with BPF_F_ALLOW_MULTI",
		     cgroup2, cgroup2);

	prog = load(&sock_ops, 0, NULL, 0);
	if (prog >= 0) {
		err = bpf_link_create(prog, -1, BPF_CGROUP_SOCK_OPS, NULL);
		if (err >= 0)
			close(err);
		link = err == -EBADF ? PD_YES : PD_NO;
		close(prog);
	}
	add(f, "attaching", "BPF links to a cgroup", link, true);
	if (link == PD_NO)
		lack(f, "this kernel has no BPF links to cgroups; use Linux 5.7 or newer");
}

static void ask_by_trial(struct pd_features *f)
{
	struct kind iterator = iter;
	int id = libbpf_find_vmlinux_btf_id("bpf_sk_storage_map", BPF_TRACE_ITER);

	/* Without the target the load fails, as it should. */
	iterator.btf_id = id > 0 ? id : 0;
	ask_program(f, &sock_ops);
	ask_program(f, &sk_msg);
	ask_program(f, &sockopt);
	ask_program(f, &iterator);
	ask_helpers(f, &sock_ops);
	ask_helpers(f, &sk_msg);
	ask_helpers(f, &sockopt);
	ask_helpers(f, &iterator);
	if (answered_yes(f, "program types", sock_ops.name)) {
		ask_maps(f);
		ask_attach(f);
	}
}

void pd_features__collect(struct pd_features *f)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL);

	memset(f, 0, sizeof(*f));
	ask_privileges(f);
	ask_mounts(f);
	ask_btf(f);
	ask_config(f);
	if (f->privileged)
		ask_by_trial(f);
	libbpf_set_print(print);
}

void pd_features__free(struct pd_features *f)
{
	while (f->nr_lacks)
		free(f->lacks[--f->nr_lacks]);
}

int pd_features__missing(void)
{
	struct pd_features features;
	int nr;

	pd_features__collect(&features);
	nr = features.nr_lacks;
	if (nr)
		p_err_each("this kernel or host lacks what the sockmap engine needs", "lacks",
			   features.lacks, nr);
	pd_features__free(&features);
	return nr;
}
