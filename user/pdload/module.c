// SPDX-License-Identifier: GPL-2.0-only
#include "module.h"

#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <libkmod.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#define NAME "pipedevice"
#define STAT_FILE "/proc/pipedevice_stat"
#define TRIES_A_SECOND 50

bool pd_module__is_loaded(void)
{
	return !access("/sys/module/" NAME "/refcnt", F_OK);
}

/* What the kernel's answer to init_module() means. */
static void explain(int err, const char *release, char why[PD_MODULE_WHY])
{
	switch (err) {
	case -ENOENT:
		snprintf(why, PD_MODULE_WHY,
			 "%s.ko is not installed for Linux %s: `make dkms-install` builds it", NAME,
			 release);
		break;
	case -EPERM:
		snprintf(why, PD_MODULE_WHY, "this process may not load modules (CAP_SYS_MODULE)");
		break;
	case -ENOKEY:
	case -EKEYREJECTED:
		snprintf(why, PD_MODULE_WHY,
			 "%s.ko is not signed with a key that this kernel trusts (Secure Boot)",
			 NAME);
		break;
	case -ENOEXEC:
		snprintf(why, PD_MODULE_WHY, "%s.ko was built for another kernel than Linux %s",
			 NAME, release);
		break;
	default:
		snprintf(why, PD_MODULE_WHY, "the kernel refused %s.ko: %s; see dmesg", NAME,
			 strerror(-err));
	}
}

/* *@has_command: modprobe.d has commands that load it, or do something else. */
static int insert(struct kmod_ctx *ctx, bool *has_command)
{
	struct kmod_list *list = NULL, *at;
	int err;

	err = kmod_module_new_from_lookup(ctx, NAME, &list);
	if (!err && !list)
		err = -ENOENT;
	kmod_list_foreach(at, list)
	{
		struct kmod_module *module = kmod_module_get_module(at);

		*has_command = *has_command || kmod_module_get_install_commands(module);
		err = kmod_module_probe_insert_module(module, 0, NULL, NULL, NULL, NULL);
		kmod_module_unref(module);
		if (err)
			break;
	}
	kmod_module_unref_list(list);
	return err;
}

int pd_module__load(char why[PD_MODULE_WHY])
{
	static struct pd_host host;
	bool has_command = false;
	struct kmod_ctx *ctx;
	struct utsname name;
	int err;

	if (pd_module__is_loaded())
		return 0;
	pd_host__collect(&host);
	if (host.modules == PD_NO) {
		snprintf(why, PD_MODULE_WHY, "%s", host.modules_why);
		return -EPERM;
	}
	uname(&name);
	ctx = kmod_new(NULL, NULL);
	if (!ctx) {
		snprintf(why, PD_MODULE_WHY, "out of memory");
		return -ENOMEM;
	}
	kmod_set_log_priority(ctx, LOG_CRIT);
	err = insert(ctx, &has_command);
	kmod_unref(ctx);
	if (has_command && !pd_module__is_loaded()) {
		snprintf(why, PD_MODULE_WHY,
			 "modprobe.d(5) has an install line for %s that does not load it", NAME);
		return err ?: -ENOENT;
	}
	if (err)
		explain(err, name.release, why);
	return err;
}

bool pd_module__gives_function(void)
{
	struct btf *kernel, *module = NULL;
	bool found = false;

	/* Without it not even libbpf looks for functions. */
	if (access("/sys/kernel/btf/" NAME, R_OK))
		return false;
	kernel = btf__load_vmlinux_btf();
	if (kernel)
		module = btf__load_module_btf(NAME, kernel);
	if (module)
		found = btf__find_by_name_kind(module, "bpf_pd_attach", BTF_KIND_FUNC) > 0 &&
			btf__find_by_name_kind(kernel, "bpf_cast_to_kern_ctx", BTF_KIND_FUNC) > 0;
	btf__free(module);
	btf__free(kernel);
	return found;
}

static int remove_now(void)
{
	struct kmod_module *module = NULL;
	struct kmod_ctx *ctx = kmod_new(NULL, NULL);
	int err = -ENOMEM;

	if (!ctx)
		return err;
	/* That it is in use is for us to say, if it stays so. */
	kmod_set_log_priority(ctx, LOG_CRIT);
	err = kmod_module_new_from_name(ctx, NAME, &module);
	if (!err)
		err = kmod_module_remove_module(module, O_NONBLOCK);
	kmod_module_unref(module);
	kmod_unref(ctx);
	return err;
}

int pd_module__unload(int seconds)
{
	const struct timespec pause = { .tv_nsec = 1000000000L / TRIES_A_SECOND };
	int err = 0;

	for (int i = 0; i <= seconds * TRIES_A_SECOND; i++) {
		if (!pd_module__is_loaded())
			return 0;
		err = remove_now();
		if (!err)
			return 0;
		nanosleep(&pause, NULL);
	}
	return err;
}

long pd_module__sockets(void)
{
	FILE *file = fopen(STAT_FILE, "re");
	long value = -1;

	if (!file)
		return -1;
	if (fscanf(file, "CurrConns %ld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}
