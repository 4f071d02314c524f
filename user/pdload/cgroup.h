/* SPDX-License-Identifier: GPL-2.0-only */
/* Cgroups by id and path, and the containers that own them. */
#ifndef PD_CGROUP_H
#define PD_CGROUP_H

#include "pdload.h"

/* Mount point of the cgroup v2 tree (also of a hybrid host), or NULL. */
const char *pd_cgroup__mount(void);

/* Path of cgroup @id below the mount point, "/" for its root, NULL if it has
 * gone. The string is cached and lives as long as the process.
 */
const char *pd_cgroup__path(__u64 id);

/* Name of the container that owns cgroup @path as podman or docker know it,
 * or NULL. Cached: each runtime is asked once, for up to ten seconds.
 */
const char *pd_container__name(const char *path);

/* From now on runtimes are asked again about a container that they did not know, for who runs
 * while containers come: five seconds after they answered, or ten times as long as that took. One
 * that did not answer in time is left alone.
 */
void pd_container__ask_again(void);

/* Full id of the container called @name, running or not. 0, or -ENOENT if no
 * runtime knows it, or -errno.
 */
int pd_container__id(const char *name, char id[65]);

#endif /* PD_CGROUP_H */
