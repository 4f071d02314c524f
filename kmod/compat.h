/* SPDX-License-Identifier: GPL-2.0-only */
/* What differs between the kernels that the module is built for. Nowhere else
 * is a kernel's version looked at.
 */
#ifndef PD_COMPAT_H
#define PD_COMPAT_H

#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/version.h>
#include <linux/uio.h>
#include <net/sock.h>

/* Since 6.2 a module can give BPF programs of every type a function. */
#define PD_HAVE_KFUNC (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0))

/* Until 6.3 there was no word for it, until 6.7 none for a place without prototypes, and
 * until 6.9 a set of them did not say that it was one.
 */
#ifndef __bpf_kfunc
#define __bpf_kfunc __used noinline
#endif
#ifndef __bpf_kfunc_start_defs
#define __bpf_kfunc_start_defs() __diag_push() __diag_ignore_all("-Wmissing-prototypes", "kfunc")
#define __bpf_kfunc_end_defs() __diag_pop()
#endif
#ifndef BTF_KFUNCS_START
#define BTF_KFUNCS_START(name) BTF_SET8_START(name)
#define BTF_KFUNCS_END(name) BTF_SET8_END(name)
#endif

/* Since 6.5 the caller copies an ioctl's answer to user space. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
typedef int *pd_ioctl_arg;

/* Add @bytes to the answer at @arg. */
static inline int pd_ioctl_add(pd_ioctl_arg arg, int bytes)
{
	*arg += bytes;
	return 0;
}

static inline int pd_ioctl_put(pd_ioctl_arg arg, int value)
{
	*arg = value;
	return 0;
}
#define PD_HAVE_SENDPAGE 0
#else
typedef unsigned long pd_ioctl_arg;

static inline int pd_ioctl_put(pd_ioctl_arg arg, int value)
{
	return put_user(value, (int __user *)arg);
}

static inline int pd_ioctl_add(pd_ioctl_arg arg, int bytes)
{
	int value;

	if (get_user(value, (int __user *)arg))
		return -EFAULT;
	return put_user(value + bytes, (int __user *)arg);
}
#define PD_HAVE_SENDPAGE 1
#endif

/* Since 6.4 an iterator tells its vector by a function. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define pd_iter_iov(iter) iter_iov(iter)
#else
#define pd_iter_iov(iter) ((iter)->iov)
#endif

/* Since 6.3 a mapping's flags are set by a function. Its mm is locked for writing. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
#define pd_vm_flags_set(vma, flags) vm_flags_set(vma, flags)
#else
#define pd_vm_flags_set(vma, flags) ((vma)->vm_flags |= (flags))
#endif

/* Since 6.7 a shrinker is allocated by the kernel. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#define pd_shrinker_free(shrinker) shrinker_free(shrinker)

static inline struct shrinker *
pd_shrinker_register(unsigned long (*count)(struct shrinker *, struct shrink_control *),
		     unsigned long (*scan)(struct shrinker *, struct shrink_control *))
{
	struct shrinker *shrinker = shrinker_alloc(0, "pipedevice");

	if (!shrinker)
		return NULL;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker_register(shrinker);
	return shrinker;
}
#else
static inline void pd_shrinker_free(struct shrinker *shrinker)
{
	if (!shrinker)
		return;
	unregister_shrinker(shrinker);
	kfree(shrinker);
}

static inline struct shrinker *
pd_shrinker_register(unsigned long (*count)(struct shrinker *, struct shrink_control *),
		     unsigned long (*scan)(struct shrinker *, struct shrink_control *))
{
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);

	if (!shrinker)
		return NULL;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker->seeks = DEFAULT_SEEKS;
	if (register_shrinker(shrinker, "pipedevice")) {
		kfree(shrinker);
		return NULL;
	}
	return shrinker;
}
#endif

/* The memory cgroup that pays for a socket; NULL before accept() and where there are none. */
#ifdef CONFIG_MEMCG
static inline struct mem_cgroup *pd_sock_memcg(const struct sock *sk)
{
	return READ_ONCE(sk->sk_memcg);
}

static inline void pd_memcg_hold(struct mem_cgroup *memcg)
{
	if (memcg)
		css_get(&memcg->css);
}

static inline void pd_memcg_put(struct mem_cgroup *memcg)
{
	if (memcg)
		css_put(&memcg->css);
}

/* Bytes that @memcg and what it is in may have; very many if nobody says. */
static inline size_t pd_memcg_limit(struct mem_cgroup *memcg)
{
	unsigned long pages = PAGE_COUNTER_MAX;

	for (; memcg; memcg = parent_mem_cgroup(memcg))
		pages = min3(pages, READ_ONCE(memcg->memory.max), READ_ONCE(memcg->memory.high));
	return pages << PAGE_SHIFT;
}

/* As for the buffers of TCP. */
static inline bool pd_memcg_is_short(struct mem_cgroup *memcg)
{
	return memcg && mem_cgroup_under_socket_pressure(memcg);
}
#else
static inline struct mem_cgroup *pd_sock_memcg(const struct sock *sk)
{
	return NULL;
}

static inline void pd_memcg_hold(struct mem_cgroup *memcg)
{
}

static inline void pd_memcg_put(struct mem_cgroup *memcg)
{
}

static inline size_t pd_memcg_limit(struct mem_cgroup *memcg)
{
	return SIZE_MAX;
}

static inline bool pd_memcg_is_short(struct mem_cgroup *memcg)
{
	return false;
}
#endif

#endif /* PD_COMPAT_H */
