#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What users type: wrong command lines from a table, right ones, JSON, the man page, completion.
#
# It runs in a mount namespace with a BPF file system of its own, so that pipedevice is not up
# there whatever happens on the host.
set -euo pipefail

PDLOAD=$(readlink -f "${PDLOAD:-build/pdload}")
ROOT=$(readlink -f "$(dirname "$0")/../..")

if [ "${1:-}" != inside ]; then
	export PDLOAD
	exec unshare --mount --propagation private "$0" inside
fi
mount -t bpf -o mode=0700 bpf /sys/fs/bpf
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cases=0
failed=0

# verdict SENTENCE: ok if the command before it succeeded.
verdict() {
	local rc=$?
	cases=$((cases + 1))
	if [ "$rc" -eq 0 ]; then
		echo "ok $cases - $1"
	else
		echo "not ok $cases - $1"
		failed=1
		[ ! -s "$DIR/out" ] || sed 's/^/# stdout: /' "$DIR/out"
		[ ! -s "$DIR/err" ] || sed 's/^/# stderr: /' "$DIR/err"
		echo "# exit code ${code:-none}"
	fi
}

# run ARGUMENT...: pdload, its output in $DIR/out and $DIR/err, its exit code in $code.
code=
run() {
	code=0
	timeout 60 "$PDLOAD" "$@" >"$DIR/out" 2>"$DIR/err" </dev/null || code=$?
}

exits() { [ "$code" -eq "$1" ]; }

# The file is one JSON document that the filter finds true.
json() { jq -es "length == 1 and (.[0] | $2)" "$1" >/dev/null 2>&1; }

# ---- wrong command lines ------------------------------------------------------

# Each is refused with exit code 2, nothing on stdout, and a first line that names pdload and
# what is wrong; at most a pointer to the help follows it.
refused() {
	local pattern=$1
	shift
	run "$@"
	exits 2 && [ ! -s "$DIR/out" ] && [ "$(wc -l <"$DIR/err")" -le 2 ] &&
		head -n 1 "$DIR/err" | grep -Eq "^pdload( [a-z]+)*: .*$pattern"
}

wrong_command_lines() {
	local pattern line args
	while IFS='|' read -r pattern line; do
		case $pattern in '' | '#'*) continue ;; esac
		read -ra args <<<"$line"
		refused "$pattern" "${args[@]}" && true
		verdict "pdload $line is refused with exit code 2 and a line that says why"
	done <<-'TABLE'
		# pattern of the first line|arguments
		expected a verb|
		expected a verb|--json
		unknown verb 'frob'|frob
		unknown verb 'stat'|stat
		unknown verb 'UP'|UP
		unknown verb 'frob'|--json frob
		unrecognized option|--frob
		unrecognized option|--frob status
		invalid option|-x
		invalid option|-x status
		doesn't allow an argument|--json=yes status
		doesn't allow an argument|--version=2
		unrecognized option|up --frob
		unexpected argument 'extra'|up extra
		unexpected argument 'extra'|up --all extra
		requires an argument|up --policy
		requires an argument|up --policy --json
		requires an argument|up --engine
		--engine takes auto, sockmap, cpu or dma, not 'warp'|up --all --engine warp
		--engine takes|up --engine DMA
		requires an argument|up --cgroup
		requires an argument|up --bound
		--bound|up --all --bound much
		--bound|up --all --bound 0
		--bound|up --all --bound -1
		--bound|up --all --bound 4X
		--bound|up --all --bound 99999999999999999999
		--bound|up --all --bound 17179869185G
		--bound|up --all --bound 4MM
		--bound|up --all --bound K
		--max-connections|up --all --max-connections none
		--max-connections|up --all --max-connections 0
		--max-connections|up --all --max-connections -5
		--max-handshakes|up --all --max-handshakes 1e9x
		--max-handshakes|up --all --max-handshakes 0
		doesn't allow an argument|up --all=yes
		exclude each other|up --all --policy rules.yaml
		unrecognized option|down --frob
		unexpected argument 'extra'|down extra
		requires an argument|down --drain
		--drain|down --drain soon
		--drain|down --drain -1
		--drain|down --drain 1.5
		unrecognized option|flush --all
		unexpected argument 'extra'|flush extra
		--drain|flush --drain 10s
		unexpected argument 'extra'|status extra
		unrecognized option|status --frob
		unrecognized option|status --count 3
		unexpected argument 'x'|conns x
		unexpected argument 'x'|conns --json x
		unrecognized option|conns --drain 3
		expected show, check or apply|policy
		expected show, check or apply, not 'frob'|policy frob
		takes a policy file|policy check
		takes a policy file|policy apply
		unexpected argument 'b'|policy check a b
		unexpected argument 'b'|policy apply a b
		unexpected argument 'a'|policy show a
		unrecognized option|policy --frob show
		--count takes a whole number|watch --count many
		--count takes a whole number|watch --count 0
		--count takes a whole number|watch --count -3
		--count takes a whole number|watch --count 3x
		--count takes a whole number|watch --count=
		--count takes a whole number|watch --count 99999999999999999999
		requires an argument|watch --count
		--seconds takes a whole number|watch --seconds soon
		--seconds takes a whole number|watch --seconds 0.5
		unexpected argument 'x'|watch x
		unrecognized option|watch --frob
		is ambiguous|up --max 3
		unexpected argument 'x'|engines x
		unrecognized option|engines --frob
		requires an argument|engines --threshold
		--threshold takes a size|engines --threshold much
		--threshold takes a size|engines --threshold 0
		--threshold takes a size|engines --threshold -1
		--threshold takes a size|engines --threshold 64X
		--threshold takes a size|engines --threshold 64KB
		--threshold takes a size|engines --threshold 2G
		--threshold takes a size|engines --threshold 0x1000
		--threshold takes a size|engines --threshold Never
		--threshold takes a size|engines --threshold=
		--threshold takes a size|engines --threshold 18446744073709551617
		--threshold takes a size|engines --threshold 18014398509481985K
		requires an argument|engines --threshold 64K --node
		--node takes a whole number|engines --threshold 64K --node all
		--node takes a whole number|engines --threshold 64K --node -1
		--node goes with --threshold|engines --node 0
		--node goes with --threshold|engines --calibrate --node 0
		requires an argument|engines --timeout
		--timeout takes a whole number from 1 to 60000|engines --timeout 0
		--timeout takes a whole number|engines --timeout 60001
		--timeout takes a whole number|engines --timeout 1s
		exclude each other|engines --threshold 64K --calibrate
		exclude each other|engines --reset --timeout 5
		exclude each other|engines --calibrate --reset
		doesn't allow an argument|engines --calibrate=yes
		unexpected argument 'x'|probe x
		unrecognized option|probe --frob
		unexpected argument 'x'|version x
		unrecognized option|version --frob
		unknown verb 'frob'|help frob
		unexpected argument 'conns'|help status conns
		unrecognized option|help --frob
	TABLE
	refused "unknown verb ''" '' && true
	verdict "pdload '' is refused with exit code 2 and a line that says why"
	refused "unexpected argument ' '" status ' ' && true
	verdict "pdload status ' ' is refused with exit code 2 and a line that says why"
}

# ---- right command lines ------------------------------------------------------

VERBS="up down flush status conns policy watch engines probe version help"

help_and_version() {
	local verb
	run --help
	exits 0 && for verb in $VERBS; do grep -Eq "^  $verb +[A-Z]" "$DIR/out"; done && true
	verdict "--help lists every verb"
	cp "$DIR/out" "$DIR/help"
	run help
	exits 0 && cmp -s "$DIR/out" "$DIR/help" && true
	verdict "help says the same as --help"
	for verb in $VERBS; do
		run "$verb" --help
		exits 0 && [ ! -s "$DIR/err" ] && grep -q "^Usage: pdload $verb" "$DIR/out" && true
		verdict "$verb --help says how it is used"
		cp "$DIR/out" "$DIR/help"
		run help "$verb"
		exits 0 && cmp -s "$DIR/out" "$DIR/help" && true
		verdict "help $verb says the same as $verb --help"
	done

	run version
	exits 0 && grep -Eq '^pdload [0-9]+\.[0-9]+\.[0-9]+$' "$DIR/out" &&
		grep -q '^libbpf [0-9]' "$DIR/out" && grep -q "$(uname -r)" "$DIR/out" && true
	verdict "version names pdload, libbpf and the kernel"
	cp "$DIR/out" "$DIR/version"
	run --version
	exits 0 && cmp -s "$DIR/out" "$DIR/version" && true
	verdict "--version says the same as version"
	run version --json
	exits 0 && json "$DIR/out" ".kernel == \"$(uname -r)\" and (.pdload | length > 0)" && true
	verdict "version --json is JSON"
	cp "$DIR/out" "$DIR/version"
	run --json version
	exits 0 && cmp -s "$DIR/out" "$DIR/version" && true
	verdict "--json may stand before the verb"
	run --json --version
	exits 0 && cmp -s "$DIR/out" "$DIR/version" && true
	verdict "--json --version is JSON, too"
}

not_up() {
	local line args
	run status
	exits 3 && grep -qx 'PipeDevice is not up' "$DIR/out" && [ ! -s "$DIR/err" ] && true
	verdict "status of what is not up says so with exit code 3"
	run status --json
	exits 3 && json "$DIR/out" '. == {"up": false}' && true
	verdict "status --json of what is not up is {\"up\": false} with exit code 3"
	for line in conns watch "watch --count 1" "policy show" flush; do
		read -ra args <<<"$line"
		run "${args[@]}"
		exits 3 && [ ! -s "$DIR/out" ] && [ "$(wc -l <"$DIR/err")" -eq 1 ] &&
			grep -q '^pdload: .*up' "$DIR/err" && true
		verdict "$line of what is not up says so in one line with exit code 3"
		run --json "${args[@]}"
		exits 3 && json "$DIR/out" '.error | type == "string"' && true
		verdict "$line --json of what is not up is a JSON error with exit code 3"
	done
	run down
	exits 0 && grep -q 'not up' "$DIR/out" && [ ! -s "$DIR/err" ] && true
	verdict "down of what is not up has nothing to do and says so"
	run down --json
	exits 0 && json "$DIR/out" '.up == false and .was_up == false' && true
	verdict "down --json of what is not up says so, too"
}

policy_files() {
	printf 'version: 1\ndefault: accelerate\n' >"$DIR/good.yaml"
	printf 'version: 1\ndefault: perhaps\n' >"$DIR/bad.yaml"
	run policy check "$DIR/good.yaml"
	exits 0 && true
	verdict "policy check accepts a good file"
	run policy check --json "$DIR/good.yaml"
	exits 0 && json "$DIR/out" 'type == "object"' && true
	verdict "policy check --json of a good file is JSON"
	run policy check "$DIR/bad.yaml"
	exits 6 && grep -q "bad.yaml:2:" "$DIR/err" && true
	verdict "policy check refuses a bad file with its line and exit code 6"
	run --json policy check "$DIR/bad.yaml"
	exits 6 && json "$DIR/out" '.error | contains("bad.yaml:2:")' && true
	verdict "policy check --json of a bad file is a JSON error with exit code 6"
	run policy check "$DIR/absent.yaml"
	exits 6 && grep -q 'absent.yaml' "$DIR/err" && true
	verdict "policy check of a file that is not there names it"
}

# ---- what this host lacks ------------------------------------------------------

# up_as_nobody ARGUMENT...: where there is no BPF file system either. The checkout may be closed
# to others: it runs a copy.
up_as_nobody() {
	code=0
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount --propagation private sh -c \
		'mount -t tmpfs none /sys/fs/bpf &&
		exec timeout 60 setpriv --reuid 65534 --regid 65534 --clear-groups "$@"' up \
		"$DIR/pdload" up "$@" >"$DIR/out" 2>"$DIR/err" </dev/null || code=$?
}

lacks() {
	install -m 755 "$PDLOAD" "$DIR/pdload"
	chmod 755 "$DIR"
	up_as_nobody
	exits 5 && [ ! -s "$DIR/out" ] && [ "$(wc -l <"$DIR/err")" -eq 2 ] &&
		grep -q '^pdload: not privileged' "$DIR/err" &&
		grep -q '^pdload: no BPF file system' "$DIR/err" && true
	verdict "up names each thing that is lacking in a line, with exit code 5"
	up_as_nobody --json
	exits 5 && [ ! -s "$DIR/err" ] && json "$DIR/out" '(.error | type == "string")
		and (.lacks | length == 2 and any(startswith("not privileged"))
		and any(startswith("no BPF file system")))' && true
	verdict "up --json names all of them in one JSON error"
}

# ---- standard output that does not take what is written -----------------------

broken_output() {
	code=0
	: >"$DIR/out"
	"$PDLOAD" version >/dev/full 2>"$DIR/err" || code=$?
	exits 1 && grep -q "can't write to standard output: No space left" "$DIR/err" && true
	verdict "a full standard output is reported with exit code 1"
	code=0
	"$PDLOAD" help --json >/dev/full 2>"$DIR/err" || code=$?
	exits 1 && grep -q "can't write to standard output" "$DIR/err" && true
	verdict "a full standard output is reported for help, too, and as text with --json"
	code=0
	"$PDLOAD" version >&- 2>"$DIR/err" || code=$?
	exits 1 && grep -q "can't write to standard output" "$DIR/err" && true
	verdict "a closed standard output is reported with exit code 1"
	# A reader that has gone before the first byte is written.
	code=0
	mkfifo "$DIR/pipe"
	# shellcheck disable=SC2094 # a pipe: opened for reading so that opening it to write succeeds
	exec 5<>"$DIR/pipe" 6>"$DIR/pipe"
	exec 5>&-
	"$PDLOAD" help >&6 2>"$DIR/err" || code=$?
	exec 6>&-
	exits 0 && [ ! -s "$DIR/err" ] && true
	verdict "a reader that goes away early is no error"
}

# ---- man page and completion --------------------------------------------------

# Options of a verb as its own help lists them, --usage left out as that is argp's.
options_of() {
	"$PDLOAD" "$1" --help | grep -Eo '^ +(-.,)? *--[a-z-]+' | grep -Eo -- '--[a-z-]+' |
		grep -vx -- --usage
}

man_page() {
	local verb option missing=0
	: >"$DIR/out"
	code=0
	MANWIDTH=100 man --warnings -E UTF-8 -l "$ROOT/user/pdload/pdload.8" \
		>"$DIR/man" 2>"$DIR/err" || code=$?
	exits 0 && [ ! -s "$DIR/err" ] && true
	verdict "the man page renders without warnings"
	groff -man -Tutf8 -ww "$ROOT/user/pdload/pdload.8" >/dev/null 2>"$DIR/err" &&
		[ ! -s "$DIR/err" ] && true
	verdict "groff has no warning about the man page"
	for verb in $VERBS; do
		grep -Eq "^ +$verb( |\$)" "$DIR/man" || { echo "# no verb $verb" && missing=1; }
		for option in $(options_of "$verb"); do
			grep -Eq -- "^ +$option" "$DIR/man" ||
				{ echo "# no $option of $verb" && missing=1; }
		done
	done
	[ "$missing" -eq 0 ] && true
	verdict "the man page has every verb and every option"
	missing=0
	for verb in rule default off_host busy ulp mptcp fastopen map_full no_memory refused \
		released raced overflow; do
		grep -Eq "^ +$verb( |\$)" "$DIR/man" || { echo "# no reason $verb" && missing=1; }
	done
	[ "$missing" -eq 0 ] && true
	verdict "the man page explains every reason"
}

# completions WORD...: what completing the last of the words offers, on one line.
completions() {
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	_pdload
	echo "${COMPREPLY[*]}"
}

# offers WORD... -- EXPECTED
offers() {
	local words=() got
	while [ "$1" != -- ]; do
		words+=("$1")
		shift
	done
	shift
	got=$(completions "${words[@]}")
	[ "$got" = "$*" ] || {
		echo "# ${words[*]}: got '$got', expected '$*'"
		return 1
	}
}

completion() {
	local verb option missing=0
	: >"$DIR/out"
	: >"$DIR/err"
	# shellcheck disable=SC2317 # outside of a real completion the builtin has nothing to set
	compopt() { :; }
	# shellcheck source=user/pdload/pdload.bash
	. "$ROOT/user/pdload/pdload.bash" && complete -p pdload | grep -q _pdload && true
	verdict "the bash completion loads"
	offers pdload "" -- "$VERBS" && true
	verdict "completion offers every verb"
	offers pdload st -- status && offers pdload --json co -- conns && true
	verdict "completion completes a verb, also after --json"
	offers pdload policy "" -- show check apply && offers pdload policy a -- apply && true
	verdict "completion offers what policy can do"
	offers pdload up --engine "" -- auto sockmap cpu dma &&
		offers pdload up --engine = s -- sockmap && true
	verdict "completion offers engines, in both spellings of the option"
	offers pdload engines --threshold n -- never && offers pdload engines --node "" -- "" && true
	verdict "completion offers what a threshold can be, and no guess at a node"
	offers pdload help w -- watch && true
	verdict "completion offers verbs to help"
	(cd "$DIR" && offers pdload up --policy good -- good.yaml &&
		offers pdload policy check bad -- bad.yaml) && true
	verdict "completion offers files where a policy is asked for"
	for verb in $VERBS; do
		for option in $(options_of "$verb"); do
			[[ " $(completions pdload "$verb" --) " == *" $option "* ]] ||
				{ echo "# no $option of $verb" && missing=1; }
		done
	done
	[ "$missing" -eq 0 ] && true
	verdict "completion offers every option that a verb's help lists"
}

wrong_command_lines
help_and_version
not_up
policy_files
lacks
broken_output
man_page
completion
echo "1..$cases"
exit "$failed"
