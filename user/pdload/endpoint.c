/* SPDX-License-Identifier: GPL-2.0-only */
/* Who owns one end of a connection, as text and as JSON. */
#include <inttypes.h>

#include "cgroup.h"
#include "endpoint.h"
#include "format.h"

const char *pd_endpoint__owner(__u64 cgroup_id)
{
	static char gone[32];
	const char *path, *name;

	if (!cgroup_id)
		return "";
	path = pd_cgroup__path(cgroup_id);
	if (!path) {
		snprintf(gone, sizeof(gone), "cgroup:%" PRIu64, (uint64_t)cgroup_id);
		return gone;
	}
	name = pd_container__name(path);
	return name ? name : path;
}

void pd_endpoint__json_owner(cJSON *obj, __u64 cgroup_id)
{
	const char *path = cgroup_id ? pd_cgroup__path(cgroup_id) : NULL;

	if (cgroup_id)
		pd_json__u64(obj, "cgroup_id", cgroup_id);
	else
		cJSON_AddNullToObject(obj, "cgroup_id");
	pd_json__string(obj, "cgroup", path);
	pd_json__string(obj, "container", path ? pd_container__name(path) : NULL);
}

void pd_endpoint__json_addr(cJSON *obj, const char *address, const char *port,
			    const struct pd_addr *addr)
{
	char ip[PD_ADDR_TEXT];

	cJSON_AddStringToObject(obj, address, pd_format__ip(ip, addr));
	cJSON_AddNumberToObject(obj, port, addr->port);
}

void pd_endpoint__json_id(cJSON *obj, const struct pd_key *key)
{
	char id[24];

	snprintf(id, sizeof(id), "%08x-%08x", key->isn_active, key->isn_passive);
	cJSON_AddStringToObject(obj, "id", id);
}
