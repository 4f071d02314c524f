/* SPDX-License-Identifier: GPL-2.0-only */
/* Who owns one end of a connection, as text and as JSON. */
#ifndef PD_ENDPOINT_H
#define PD_ENDPOINT_H

#include "json.h"

/* Container name, else cgroup path, else "cgroup:ID" of one that has gone; ""
 * for id 0, an end that is not known. Valid until the next call.
 */
const char *pd_endpoint__owner(__u64 cgroup_id);

/* Add cgroup_id, cgroup and container to @obj; null where not known. */
void pd_endpoint__json_owner(cJSON *obj, __u64 cgroup_id);

/* Add "id", by which events and lists name one connection. */
void pd_endpoint__json_id(cJSON *obj, const struct pd_key *key);

/* Add the address and the port under these two names. */
void pd_endpoint__json_addr(cJSON *obj, const char *address, const char *port,
			    const struct pd_addr *addr);

#endif /* PD_ENDPOINT_H */
