# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# One measurement each, sourced by bench.sh: appends lines to $RAW, either
#   {test, size, connections, placement, engine, round, metric, unit, value}
# or the same with "error" in place of the last three.
#
# A sockmap figure counts only if its bytes really left TCP, and a tcp figure
# only if they did not. netbench asks TCP itself (TCP_INFO) what each connection
# carried; for other programs the frames that crossed the veth pair say so.

# Set by bench.sh.
: "${RAW:=}" "${TOOLS:=}" "${BENCH:=}" "${WORK:=}" "${PDLOAD:=}" "${SERVER_ADDRESS:=}"
: "${CPU_CLIENT:=}" "${CPU_SERVER:=}" "${SECONDS_EACH:=}" "${WARMUP:=}" "${ROUND:=}"
: "${SERVER_NS:=}" "${CLIENT_NS:=}"

ERRORS=0
# pdload's counters after the measurement before. The engine may put a direction
# on TCP on purpose because the bound was reached: that is
# the speed which a user gets, and the table says how much went over TCP.
REDIRECTED_SEEN=0
FALLBACK_SEEN=0
WRONG=

cgroup_of() { case $1 in sockmap) echo accelerated ;; *) echo plain ;; esac; }
cpu_of() { case $1 in same_core) echo "$CPU_SERVER" ;; *) echo "$CPU_CLIENT" ;; esac; }

# record_error TEST SIZE CONNECTIONS PLACEMENT ENGINE TEXT
record_error() {
	ERRORS=$((ERRORS + 1))
	say "error: $1 of $2 bytes, $3 connections, $4, $5: $6"
	jq -cn --arg test "$1" --argjson size "$2" --argjson connections "$3" --arg placement "$4" \
		--arg engine "$5" --argjson round "$ROUND" --arg error "$6" \
		'$ARGS.named' >>"$RAW"
}

# record TEST SIZE CONNECTIONS PLACEMENT ENGINE: METRIC UNIT VALUE lines on stdin.
record() {
	jq -cR --arg test "$1" --argjson size "$2" --argjson connections "$3" --arg placement "$4" \
		--arg engine "$5" --argjson round "$ROUND" \
		'split("\t") | select(.[2] != "null") | $ARGS.named + {metric: .[0], unit: .[1], value: (.[2] | tonumber)}' >>"$RAW"
}

# engine_error ENGINE SHARE: what is wrong with a figure, TCP having carried
# that share of its bytes, or nothing. Sets WRONG.
engine_error() {
	local counters redirected fallback

	WRONG=
	case $1 in
	tcp)
		jq -en "$2 < 0.98" >/dev/null || return 0
		WRONG="only $2 of the bytes went over TCP: something accelerates plain connections"
		;;
	sockmap)
		if ! counters=$("$PDLOAD" status --json 2>"$WORK/err"); then
			WRONG="pdload status failed: $(tail -n 1 "$WORK/err")"
			return
		fi
		read -r redirected fallback < <(jq -r '"\(.redirected_bytes) \(.reasons.overflow)"' <<<"$counters")
		if [ "$redirected" -eq "$REDIRECTED_SEEN" ] && [ "$fallback" -eq "$FALLBACK_SEEN" ]; then
			WRONG="pdload redirected no byte"
		elif [ "$fallback" -eq "$FALLBACK_SEEN" ] && jq -en "$2 > 0.98" >/dev/null; then
			WRONG="$2 of the bytes went over TCP: not accelerated"
		fi
		FALLBACK_SEEN=$fallback REDIRECTED_SEEN=$redirected
		;;
	esac
}

# ---- rr and stream ---------------------------------------------------------

netbench_address() {
	case $1 in
	tcp) echo "tcp $SERVER_ADDRESS 5000" ;;
	sockmap) echo "tcp $SERVER_ADDRESS 5001" ;;
	unix) echo "unix $WORK/netbench.sock" ;;
	esac
}

netbench_serve() {
	local address

	read -ra address < <(netbench_address "$1")
	serve "netbench-$1" "$(cgroup_of "$1")" "listening on" \
		"$TOOLS/netbench" server --cpu "$CPU_SERVER" "${address[@]}"
}

netbench_answers() {
	local address

	read -ra address < <(netbench_address "$1")
	(in_place "$(cgroup_of "$1")" "$CLIENT_NS" "$TOOLS/netbench" client rr "${address[@]}" \
		--count 10 --warmup 0) >"$WORK/out" 2>"$WORK/err" ||
		die "the netbench server for $1 can't be used: $(tail -n 1 "$WORK/err")"
}

# measure_netbench rr|stream SIZE CONNECTIONS PLACEMENT ENGINE
measure_netbench() {
	local address out=$WORK/out err=$WORK/err

	read -ra address < <(netbench_address "$5")
	if ! (in_place "$(cgroup_of "$5")" "$CLIENT_NS" "$TOOLS/netbench" client "$1" "${address[@]}" \
		--size "$2" --connections "$3" --seconds "$SECONDS_EACH" --warmup "$WARMUP" \
		--cpu "$(cpu_of "$4")" --json) >"$out" 2>"$err"; then
		record_error "$@" "$(tail -n 1 "$err")"
		# A server that is left in the middle of a run is no measure of the next.
		stop "netbench-$5"
		netbench_serve "$5"
		return
	fi
	engine_error "$5" "$(jq '.tcp_bytes / .all_bytes' "$out")"
	if [ -n "$WRONG" ]; then
		record_error "$@" "$WRONG"
		return
	fi
	jq -r --arg engine "$5" '["rate", .unit, .rate], ["latency_p50", "us", .latency_p50_us],
		["latency_p99", "us", .latency_p99_us], ["cpu_per_gb", "s/GB", .cpu_per_gb],
		["tcp_share", "1", if $engine == "unix" then null else .tcp_bytes / .all_bytes end],
		["stolen", "s", .stolen_s], ["seconds", "s", .seconds]
		| map(tostring) | join("\t")' "$out" | record "$@"
}

# ---- redis -----------------------------------------------------------------

redis_serve() {
	local engine=$1 port=6379

	[ "$engine" = tcp ] || port=6380
	serve "redis-$engine" "$(cgroup_of "$engine")" "Ready to accept" \
		"$TOOLS/pinned" exec "$CPU_SERVER" redis-server --bind "$SERVER_ADDRESS" --port "$port" \
		--unixsocket "$WORK/redis-$engine.sock" --protected-mode no --save '' --appendonly no \
		--dir "$WORK"
}

# measure_redis SIZE CONNECTIONS PLACEMENT ENGINE GET|SET REQUESTS
measure_redis() {
	local size=$1 connections=$2 placement=$3 engine=$4 op=$5 requests=$6
	local row=(redis "$1" "$2" "$3" "$4") where wire cpu share rps p50 p99 values
	local out=$WORK/out err=$WORK/err

	case $engine in
	tcp) where=(-h "$SERVER_ADDRESS" -p 6379) ;;
	sockmap) where=(-h "$SERVER_ADDRESS" -p 6380) ;;
	unix) where=(-s "$WORK/redis-tcp.sock") ;;
	esac
	cpu=$(cpu_of "$placement")
	wire=$(host_wire_bytes)
	if ! (in_place "$(cgroup_of "$engine")" "$CLIENT_NS" "$TOOLS/pinned" run "$cpu" "$CPU_SERVER" "$WORK/busy" \
		timeout 60 redis-benchmark "${where[@]}" -c "$connections" -n "$requests" -d "$size" \
		-t "${op,,}" --csv) >"$out" 2>"$err"; then
		record_error "${row[@]}" "$op: $(tail -n 1 "$err")"
		return
	fi
	values=$(tr -d '"' <"$out" | awk -F, -v op="$op" '$1 == op { print $2, $5 * 1000, $7 * 1000 }')
	read -r rps p50 p99 <<<"$values" || true
	if [ -z "$p99" ]; then
		record_error "${row[@]}" "$op: redis-benchmark gave no figure: $(tail -n 1 "$out")"
		return
	fi
	share=$(jq -n "($(host_wire_bytes) - $wire) / ($requests * $size)")
	engine_error "$engine" "$share"
	if [ -n "$WRONG" ]; then
		record_error "${row[@]}" "$op: $WRONG"
		return
	fi
	jq -r --arg op "$op" --argjson gb "$(jq -n "$requests * $size / 1e9")" --argjson rps "$rps" \
		--argjson p50 "$p50" --argjson p99 "$p99" --argjson share "$share" --arg engine "$engine" \
		'["rate", "\($op)/s", $rps], ["latency_p50", "us per \($op)", $p50],
		["latency_p99", "us per \($op)", $p99], ["cpu_per_gb", "s/GB by \($op)", .busy_cpu_s / $gb],
		["tcp_share", $op, if $engine == "unix" then null else ([$share, 1] | min) end],
		["stolen", "s", .stolen_s], ["seconds", "s", .seconds]
		| map(tostring) | join("\t")' "$WORK/busy" | record "${row[@]}"
}

# ---- nginx -----------------------------------------------------------------

nginx_port() { case $1 in tcp) echo 8080 ;; *) echo 8081 ;; esac; }

# nginx_serve ENGINE: nginx says nothing, so its error log goes to stdout and
# announces the event method when it is up.
nginx_serve() {
	local engine=$1 dir=$WORK/nginx-$1 size

	mkdir -p "$dir/root"
	for size in 1024 1048576; do
		head -c "$size" /dev/urandom >"$dir/root/$size"
	done
	chmod 755 "$WORK" "$dir" "$dir/root"
	cat >"$dir/nginx.conf" <<-CONF
		daemon off;
		master_process off;
		user root;
		pid $dir/pid;
		error_log stderr notice;
		events { worker_connections 1024; }
		http {
			access_log off;
			sendfile on;
			keepalive_requests 1000000;
			client_body_temp_path $dir/body;
			proxy_temp_path $dir/proxy;
			fastcgi_temp_path $dir/fastcgi;
			uwsgi_temp_path $dir/uwsgi;
			scgi_temp_path $dir/scgi;
			server { listen $SERVER_ADDRESS:$(nginx_port "$engine"); root $dir/root; }
		}
	CONF
	serve "nginx-$engine" "$(cgroup_of "$engine")" "OS: Linux" \
		"$TOOLS/pinned" exec "$CPU_SERVER" nginx -p "$dir" -e stderr -c "$dir/nginx.conf"
}

# measure_nginx SIZE CONNECTIONS PLACEMENT ENGINE
measure_nginx() {
	local size=$1 connections=$2 placement=$3 engine=$4 row=(nginx "$@") wire share
	local out=$WORK/out err=$WORK/err

	wire=$(host_wire_bytes)
	if ! (in_place "$(cgroup_of "$engine")" "$CLIENT_NS" "$TOOLS/pinned" run "$(cpu_of "$placement")" "$CPU_SERVER" "$WORK/busy" \
		timeout 60 wrk -t 1 -c "$connections" -d 1s -s "$BENCH/wrk.lua" \
		"http://$SERVER_ADDRESS:$(nginx_port "$engine")/$size") >"$out" 2>"$err"; then
		record_error "${row[@]}" "$(tail -n 1 "$err")"
		return
	fi
	tail -n 1 "$out" >"$WORK/wrk"
	if ! jq -e --argjson size "$size" '.errors == 0 and .requests > 0 and .bytes >= .requests * $size' \
		"$WORK/wrk" >/dev/null 2>"$err"; then
		record_error "${row[@]}" "wrk saw errors or short responses: $(tail -n 1 "$out")"
		return
	fi
	share=$(jq "($(host_wire_bytes) - $wire) / .bytes" "$WORK/wrk")
	engine_error "$engine" "$share"
	if [ -n "$WRONG" ]; then
		record_error "${row[@]}" "$WRONG"
		return
	fi
	jq -rn --slurpfile w "$WORK/wrk" --slurpfile b "$WORK/busy" --argjson size "$size" --argjson share "$share" \
		'$w[0] as $w | $b[0] as $b | ["rate", "requests/s", $w.requests / $w.seconds],
		["latency_p50", "us", $w.p50_us], ["latency_p99", "us", $w.p99_us],
		["cpu_per_gb", "s/GB", $b.busy_cpu_s / ($w.requests * $size / 1e9)],
		["tcp_share", "1", ([$share, 1] | min)], ["stolen", "s", $b.stolen_s], ["seconds", "s", $b.seconds]
		| map(tostring) | join("\t")' | record "${row[@]}"
}
