# SPDX-License-Identifier: GPL-2.0-only
# Single measurements (measure.bash) to the rows of native.json: median, min
# and max over the rounds, and the ratio of the medians to that of plain TCP.
# A row any of whose measurements failed has an error and no figures.

def median: sort | length as $n | if $n % 2 == 1 then .[($n - 1) / 2] else (.[$n / 2 - 1] + .[$n / 2]) / 2 end;
def place: [.test, .size, .connections, .placement, .engine];
def order: {rr: 0, stream: 1, redis: 2, nginx: 3}[.test];
def engine_order: {tcp: 0, unix: 1, sockmap: 2}[.engine];
def metric_order: {rate: 0, latency_p50: 1, latency_p99: 2, cpu_per_gb: 3}[.metric];

(map(select(.error)) | group_by(place) | map({key: (.[0] | place | tostring), value: .[0].error}) | from_entries) as $errors
| (map(select(.metric and metric_order != null))
	| group_by(place + [.metric, .unit])
	| map(.[0] as $first | map(.value) | {
		test: $first.test, size: $first.size, connections: $first.connections,
		placement: $first.placement, engine: $first.engine, metric: $first.metric, unit: $first.unit,
		median: median, min: min, max: max})) as $rows
| ($rows | map(select(.engine == "tcp")
	| {key: ([.test, .size, .connections, .placement, .metric, .unit] | tostring), value: .median})
	| from_entries) as $tcp
| ($rows | map(place | tostring)) as $measured
| ($rows | map($errors[place | tostring] as $error
	| $tcp[[.test, .size, .connections, .placement, .metric, .unit] | tostring] as $base
	| if $error then . + {median: null, min: null, max: null, ratio_to_tcp: null, error: $error}
	else . + {ratio_to_tcp: (if $base == null or $base == 0 then null else .median / $base end)} end))
# What failed in every round has no measurement to stand beside.
+ (map(select(.error)) | unique_by(place) | map(select((place | tostring) as $p | $measured | index([$p]) | not)
	| {test, size, connections, placement, engine, metric: "rate", unit: null,
	   median: null, min: null, max: null, ratio_to_tcp: null, error}))
| sort_by(order, .placement, .unit != null and (.unit | test("SET")), .size, .connections, engine_order, metric_order)
