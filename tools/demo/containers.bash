# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Containers in such a "host" (namespaces.bash): podman with runc and all of
# its state in the temporary directory, so that the machine's own podman is not
# touched. namespaces_stop ends them, too.
#
#     containers_start ROOTFS what tools/rootfs.sh printed; after namespaces_start
#     containers_run NAME IP [PODMAN OPTION...] -- CMD...
#     containers_exec NAME CMD...
#     containers_cpu          CPU time of all containers so far, microseconds

CONTAINERS_SUBNET=10.89.77.0/24

containers_start() {
	CONTAINERS_ROOTFS=$1
	# Both pdload and podman's own helpers find the containers by these.
	export CONTAINERS_CONF=$NAMESPACES_DIR/containers.conf
	export CONTAINERS_STORAGE_CONF=$NAMESPACES_DIR/storage.conf
	cat >"$CONTAINERS_STORAGE_CONF" <<-END
		[storage]
		driver = "vfs"
		graphroot = "$NAMESPACES_DIR/root"
		runroot = "$NAMESPACES_DIR/run"
	END
	# The limits are for a machine whose own are lower than podman's defaults;
	# crun, podman's default, refuses a machine that mounts both cgroup versions.
	cat >"$CONTAINERS_CONF" <<-END
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
		pids_limit = 0
		[engine]
		cgroup_manager = "cgroupfs"
		runtime = "runc"
		events_logger = "none"
		static_dir = "$NAMESPACES_DIR/static"
		tmp_dir = "$NAMESPACES_DIR/tmp"
		volume_path = "$NAMESPACES_DIR/volumes"
		[network]
		network_backend = "netavark"
		network_config_dir = "$NAMESPACES_DIR/networks"
	END
	mkdir "$NAMESPACES_DIR/networks"
	namespaces_run podman network create --disable-dns --subnet "$CONTAINERS_SUBNET" \
		"$NAMESPACES_TAG" >/dev/null
}

containers_run() {
	local name=$1 ip=$2 options=()

	shift 2
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	namespaces_run podman run --detach --name "$name" --cgroup-parent "/$NAMESPACES_TAG" \
		--network "$NAMESPACES_TAG" --ip "$ip" "${options[@]}" \
		--rootfs "$CONTAINERS_ROOTFS:O" "$@" >/dev/null
}

containers_exec() {
	namespaces_run podman exec "$@"
}

containers_cpu() {
	awk '$1 == "usage_usec" { sum += $2 } END { printf "%d\n", sum }' \
		"$CGROUPS/$NAMESPACES_TAG"/libpod-*/cpu.stat
}
