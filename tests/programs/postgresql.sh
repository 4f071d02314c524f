#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# PostgreSQL: pgbench and its invariants, large results and large input.
set -euo pipefail
# shellcheck source=tests/programs/lib.bash
. tests/programs/lib.bash

CLIENTS=8
TRANSACTIONS=$(share 250) # of each client
SCALE=$(share 2)
ROWS=$(share 100000)

BIN=$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -1)
export PGHOST=$SERVER PGUSER=postgres PGDATABASE=postgres PGCONNECT_TIMEOUT=10 PGOPTIONS=--client-min-messages=warning

sql() {
	bounded 30 on client "$BIN/psql" -X -q -At -v ON_ERROR_STOP=1 "$@"
}

start_server() {
	local as_postgres=(setpriv --reuid=postgres --regid=postgres --clear-groups env -C / LC_ALL=C)

	mkdir "$WORK/data"
	chown postgres: "$WORK/data"
	on server "${as_postgres[@]}" "$BIN/initdb" -A trust -N -D "$WORK/data" >"$WORK/initdb.log" 2>&1 || {
		sed 's/^/# /' "$WORK/initdb.log"
		return 1
	}
	echo "host all all $CLIENT/32 trust" >>"$WORK/data/pg_hba.conf"
	start postgres server "${as_postgres[@]}" "$BIN/postgres" -D "$WORK/data" -h "$SERVER" \
		-c unix_socket_directories= -c fsync=off
	wait_for on client "$BIN/pg_isready" -q
}

# Every transaction adds the same amount to a branch, a teller and an account
# and notes it in the history.
balances() {
	sql -c 'select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)
		and (select sum(bbalance) from pgbench_branches) = (select sum(delta) from pgbench_history)
		and (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history),
		(select count(*) from pgbench_history)'
}

workload() {
	local result=$WORK/$1.result

	bounded 30 on client "$BIN/pgbench" -i -q -s "$SCALE" || return 1
	bounded 60 on client "$BIN/pgbench" -n -c "$CLIENTS" -j 2 -t "$TRANSACTIONS" >"$WORK/pgbench" || return 1
	cat "$WORK/pgbench"
	grep -q "number of transactions actually processed: $((CLIENTS * TRANSACTIONS))/" "$WORK/pgbench" || return 1
	grep -q 'number of failed transactions: 0 ' "$WORK/pgbench" || return 1
	balances >"$result.balances" && grep -qx "t|$((CLIENTS * TRANSACTIONS))" "$result.balances" || return 1

	# Out: rows of 32 to 992 bytes. In: the same. Both compared by the server, too.
	sql -c "copy (select i, repeat(md5(i::text), 1 + i % 31) from generate_series(1, $ROWS) i) to stdout" \
		>"$WORK/rows" || return 1
	sha256sum <"$WORK/rows" >"$result.rows"
	sql -c 'drop table if exists rows' -c 'create unlogged table rows (i int, t text)' || return 1
	sql -c "\\copy rows from '$WORK/rows'" || return 1
	sql -c "select count(*), bool_and(t = repeat(md5(i::text), 1 + i % 31)) from rows" >"$result.copied" &&
		grep -qx "$ROWS|t" "$result.copied"
}

setup_host
setup_pair
check "a PostgreSQL server starts" start_server
compare_modes "pgbench runs without errors, its balances agree, and rows arrive unchanged"
check_down
finish
