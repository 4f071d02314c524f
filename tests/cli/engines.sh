#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# pdload engines, and up and status as far as DMA goes, without the module and with what the module
# would write: /proc has, in a mount namespace of its own, that file in it. What pdload writes to it
# stands at the file's beginning.
set -euo pipefail

PDLOAD=$(readlink -f "${PDLOAD:-build/pdload}")

if [ "$(id -u)" -ne 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi
if [ "${1:-}" != inside ]; then
	export PDLOAD
	exec unshare --mount --propagation private "$0" inside
fi
mount -t bpf -o mode=0700 bpf /sys/fs/bpf
DIR=$(mktemp -d)
cgroup=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/pdengines-$$
mkdir "$cgroup"

cleanup() {
	"$PDLOAD" down --drain 1 >/dev/null 2>&1 || true
	rmdir "$cgroup" 2>/dev/null || true
	umount -R "$DIR/proc" 2>/dev/null || true
	rm -rf --one-file-system "$DIR"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cases=0
failed=0
code=

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

exits() { [ "$code" -eq "$1" ]; }

# One line on stderr that matches, and nothing on stdout.
says() {
	[ ! -s "$DIR/out" ] && [ "$(wc -l <"$DIR/err")" -eq 1 ] &&
		grep -Eq "^pdload: .*$1" "$DIR/err"
}

# The output is one JSON document that the filter finds true.
json() { [ ! -s "$DIR/err" ] && jq -es "length == 1 and (.[0] | $1)" "$DIR/out" >/dev/null; }

# All of the real /proc but processes and the module's file.
make_proc() {
	local entry name

	mkdir "$DIR/proc"
	mount -t tmpfs none "$DIR/proc"
	for entry in /proc/*; do
		name=${entry#/proc/}
		case $name in
		[0-9]* | self | pipedevice_engines) continue ;;
		esac
		if [ -L "$entry" ]; then
			cp -P "$entry" "$DIR/proc/"
		elif [ -d "$entry" ]; then
			mkdir "$DIR/proc/$name"
			mount --bind "$entry" "$DIR/proc/$name"
		else
			touch "$DIR/proc/$name"
			mount --bind "$entry" "$DIR/proc/$name"
		fi
	done
}

# with FILE MODE VERB...: pdload in a /proc with that file of the module, bound with MODE (rw, ro);
# none if FILE is "". Where there is one the module is loaded, too.
with() {
	code=0
	# shellcheck disable=SC2016 # for the inner shell
	timeout 60 unshare --mount --propagation private bash -c '
		set -e
		mkdir "$1/$$"
		mount --bind "/proc/$$" "$1/$$"
		ln -sfn "$$" "$1/self"
		if [ -n "$2" ]; then
			touch "$1/pipedevice_engines"
			mount --bind "$2" "$1/pipedevice_engines"
			mount -o "remount,bind,$3" "$1/pipedevice_engines"
			mount -t tmpfs none /sys/module
			mkdir /sys/module/pipedevice
			touch /sys/module/pipedevice/refcnt
		else
			rm -f "$1/pipedevice_engines"
		fi
		mount --move "$1" /proc
		shift 3
		exec "$@"' inner "$DIR/proc" "$1" "$2" "$PDLOAD" "${@:3}" \
		>"$DIR/out" 2>"$DIR/err" </dev/null || code=$?
}

# run FILE ARGUMENT...: pdload engines.
run() {
	with "$1" rw engines "${@:2}"
}

# told COMMAND: what the module would have read.
told() {
	[ "$(head -n 1 "$DIR/file")" = "$1" ]
}

new_file() {
	printf '%s\n' "$@" >"$DIR/file"
}

ON=("dma on" "channels_wanted 0" "timeout_ms 1000"
	"channel dma0chan0 xilinx-zynqmp-dma 0 32 active 12 1572864 0 0"
	"channel dma1chan0 xilinx-zynqmp-dma 0 32 retired 3 4096 5 1"
	"refused dma2chan0 ioatdma it can't copy to odd addresses"
	"threshold 0 65536"
	"measured 0 4096 700 1500 2100"
	"measured 0 1048576 150000 141000 40000")
HUGE=("threshold_huge 0 never"
	"measured_huge 0 1048576 150000 141000 40000")
OFF=("dma off" "channels_wanted 0" "timeout_ms 1000")

without_dma() {
	local option

	for option in "" --calibrate --reset "--threshold 64K" "--timeout 5"; do
		# shellcheck disable=SC2086 # words
		run "" $option
		# shellcheck disable=SC2016 # backticks of the sentence
		case $code in
		3) says 'no DMA engine: pipedevice.ko is not loaded; where this kernel can load it' ;;
		5) [ -d /sys/module/pipedevice ] && says 'loaded has no DMA engine' ;;
		*) false ;;
		esac && true
		verdict "engines $option without the module's file says what to do"
	done
	run "" --json
	[ "$code" -ne 0 ] && json '.error | contains("no DMA engine")' && true
	verdict "engines --json without the module's file is a JSON error"
	new_file "${OFF[@]}"
	run "$DIR/file"
	# shellcheck disable=SC2016 # backticks of the sentence
	exits 3 && says 'DMA is off; `pdload up --engine dma`.*`pdload probe`' && true
	verdict "where DMA is off engines says how to switch it on, with exit code 3"
	run "$DIR/file" --json
	exits 3 && json '.error | startswith("DMA is off")' && true
	verdict "where DMA is off engines --json is a JSON error with exit code 3"
	code=0
	install -m 755 "$PDLOAD" "$DIR/pdload"
	chmod 755 "$DIR"
	setpriv --reuid 65534 --regid 65534 --clear-groups "$DIR/pdload" engines \
		>"$DIR/out" 2>"$DIR/err" || code=$?
	exits 1 && says 'needs root' && true
	verdict "as nobody engines says that it needs root"
}

shows() {
	new_file "${ON[@]}"
	run "$DIR/file"
	exits 0 && [ ! -s "$DIR/err" ] && grep -q '^DMA is on: 1 of 2 channels active;' "$DIR/out" &&
		grep -Eq '^dma0chan0 +xilinx-zynqmp-dma +0 +32 +active +12 +1.5M +0 +0$' "$DIR/out" &&
		grep -Eq "^dma2chan0 +ioatdma +it can't copy to odd addresses\$" "$DIR/out" &&
		grep -Eq '^ *0 +64K +64K +measured$' "$DIR/out" &&
		grep -Eq '^ *0 +ordinary +1M +150 us +6.99 +141 us +7.44 +40.0 us +26.2 +dma +dma$' "$DIR/out" && true
	verdict "engines shows channels, the threshold and what was measured"
	run "$DIR/file" --json
	exits 0 && json '.dma and .timeout_ms == 1000 and .channels_wanted == 0
		and (.channels | length == 2 and .[1].state == "retired" and .[1].errors == 5)
		and .refused[0].driver == "ioatdma"
		and .thresholds == [{"node": 0, "bytes": 65536, "huge_bytes": 65536, "by": "measured"}]
		and .measured[1] == {"node": 0, "pages": "ordinary", "bytes": 1048576, "cpu_ns": 150000, "one_ns": 141000,
			"all_ns": 40000, "faster": "dma", "copied_by": "dma"}' && true
	verdict "engines --json has all of it"
	new_file "${ON[@]}" "${HUGE[@]}"
	run "$DIR/file"
	exits 0 && [ ! -s "$DIR/err" ] && grep -Eq '^ *0 +64K +never +measured$' "$DIR/out" &&
		grep -Eq '^ *0 +huge +1M +150 us .* +dma +cpu$' "$DIR/out" && true
	verdict "engines shows apart what holds for buffers in huge pages"
	run "$DIR/file" --json
	exits 0 && json '.thresholds == [{"node": 0, "bytes": 65536, "huge_bytes": null, "by": "measured"}]
		and (.measured | length == 3)
		and .measured[2] == {"node": 0, "pages": "huge", "bytes": 1048576, "cpu_ns": 150000,
			"one_ns": 141000, "all_ns": 40000, "faster": "dma", "copied_by": "cpu"}' && true
	verdict "engines --json does so, too"
	new_file "${ON[@]}" "${HUGE[@]}" "threshold_huge 0 4096"
	run "$DIR/file"
	exits 1 && says "can't read /proc/pipedevice_engines: line 12 is not understood" && true
	verdict "a second threshold for huge pages of one node is refused"
	new_file "${ON[@]}" "channel dma3chan0"
	run "$DIR/file"
	exits 1 && says "can't read /proc/pipedevice_engines: line 10 is not understood" && true
	verdict "what the module writes and pdload does not understand is named with its line"
	: >"$DIR/file"
	run "$DIR/file"
	exits 1 && says "can't read /proc/pipedevice_engines: it has no line dma" && true
	verdict "an empty file is refused"
}

sets() {
	local options command pattern filter words

	while IFS='|' read -r options command pattern filter; do
		read -ra words <<<"$options"
		new_file "${ON[@]}"
		run "$DIR/file" "${words[@]}"
		exits 0 && told "$command" && [ ! -s "$DIR/err" ] && [ "$(wc -l <"$DIR/out")" -eq 1 ] &&
			grep -Eq "^$pattern\$" "$DIR/out" && true
		verdict "engines $options tells the module '$command' and says what it did"
		run "$DIR/file" --json "${words[@]}"
		exits 0 && told "$command" && json "$filter" && true
		verdict "engines $options --json says so, too"
	done <<-'TABLE'
		--threshold 64K|threshold all 65536|DMA copies messages of 64K and more|. == {"threshold": 65536, "node": null}
		--threshold 65536|threshold all 65536|DMA copies messages of 64K and more|.threshold == 65536
		--threshold=1m --node 1|threshold 1 1048576|DMA copies messages of 1M and more on node 1|.node == 1
		--node 0 --threshold 1|threshold 0 1|DMA copies messages of 1 and more on node 0|.threshold == 1
		--threshold 1G|threshold all 1073741824|DMA copies messages of 1G and more|.threshold == 1073741824
		--threshold never|threshold all never|DMA copies nothing|.threshold == "never"
		--threshold never --node 3|threshold 3 never|DMA copies nothing on node 3|.node == 3
		--threshold measured|threshold all measured|DMA copies from the measured size on|.threshold == "measured"
		--timeout 250|timeout_ms 250|What a channel has not copied after 250 ms the CPU copies|. == {"timeout_ms": 250}
		--reset|reset|Retired channels are used again.*|. == {"reset": true}
	TABLE
	# The command is to stand where no line of the module is overwritten.
	new_file "some_line" "${ON[@]}"
	run "$DIR/file" --calibrate
	exits 0 && told calibrate && grep -q 'measuring the DMA channels' "$DIR/err" &&
		grep -q '^DMA is on' "$DIR/out" && true
	verdict "engines --calibrate tells the module so and shows the result"
	run "$DIR/file" --calibrate --json
	exits 0 && json '.measured | length == 2' && true
	verdict "engines --calibrate --json is the whole document"
	new_file "${OFF[@]}"
	run "$DIR/file" --calibrate
	exits 3 && says 'DMA is off' && told "dma off" && true
	verdict "where DMA is off engines --calibrate says so, with exit code 3"
	run /dev/full --threshold 64K --node 7
	exits 1 && says "can't set the threshold of node 7: No space left on device" && true
	verdict "what the module refuses is said with its reason and exit code 1"
	run /dev/full --timeout 5 --json
	exits 1 && json '.error == "can'"'"'t set the time limit of DMA: No space left on device"' && true
	verdict "with --json, too"
	run /dev/full --reset
	exits 1 && says "can't reset the DMA channels: No space left on device" && true
	verdict "the same for a reset"
}

# up ARGUMENT...: for a control group of its own; what was up before is taken down.
up() {
	"$PDLOAD" down --drain 1 >/dev/null 2>&1
	with "$DIR/file" "$1" up --cgroup "$cgroup" "${@:2}"
}

is_not_up() {
	local state=0
	"$PDLOAD" status >/dev/null 2>&1 || state=$?
	[ "$state" -eq 3 ]
}

ups() {
	if [ -d /sys/module/pipedevice ]; then
		cases=$((cases + 1))
		echo "ok $cases - up switches DMA on # SKIP pipedevice.ko is really loaded"
		return
	fi
	new_file "${ON[@]}"
	up rw --engine dma --json
	exits 0 && json '.engine == "dma" and .default == "accelerate"' && told "dma on" && true
	verdict "up --engine dma takes DMA as it is where it is on and measured"
	with "$DIR/file" rw status
	exits 0 && grep -qx 'engine       dma' "$DIR/out" &&
		grep -qx 'dma          on, 1 of 2 channels active, 1.5M copied, 5 errors, 1 timeouts' \
			"$DIR/out" && true
	verdict "status names the engine and sums up its channels"
	with "$DIR/file" rw status --json
	exits 0 && json '.engine == "dma" and .dma.channels[1].timeouts == 1' && true
	verdict "status --json has what engines --json has"
	up rw
	exits 0 && grep -q '^PipeDevice is up: engine dma' "$DIR/out" && [ ! -s "$DIR/err" ] && true
	verdict "up takes dma by itself where there are channels"
	up rw --engine cpu
	exits 0 && grep -q '^PipeDevice is up: engine cpu' "$DIR/out" && told "dma off" && true
	verdict "up --engine cpu switches DMA off"

	new_file "${OFF[@]}"
	up ro --engine dma
	exits 1 && says "can't use --engine dma: the module can't switch DMA on: Read-only" &&
		is_not_up && true
	verdict "up --engine dma that can't switch DMA on says why, and nothing is up"
	up ro
	exits 0 && grep -q '^PipeDevice is up: engine cpu' "$DIR/out" &&
		grep -q "^pdload: warning: engine cpu, without DMA: .*Read-only" "$DIR/err" && true
	verdict "up takes cpu then, and says why"
	# The shorter command leaves an empty line, which the module would not write.
	up rw --engine dma
	exits 1 && says "can't use --engine dma: .*line 2 is not understood" && is_not_up &&
		told "dma off" && true
	verdict "up --engine dma that fails after it switched DMA on switches it off again"
	new_file "dma on" "channels_wanted 0" "timeout_ms 1000"
	up ro --engine dma
	exits 1 && grep -q "can't use --engine dma: the module can't measure.*Read-only" "$DIR/err" &&
		is_not_up && true
	verdict "up --engine dma that can't measure says why, and nothing is up"
	with "" rw up --cgroup "$cgroup/none" --engine dma
	"$PDLOAD" down --drain 1 >/dev/null 2>&1
	[ "$code" -ne 0 ] && [ ! -s "$DIR/out" ] && is_not_up && true
	verdict "up --engine dma without the module's file is refused"
}

make_proc
without_dma
shows
sets
ups
echo "1..$cases"
exit "$failed"
