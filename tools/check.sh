#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/check.sh          checks the whole tree; prints TAP, each finding as "# file:line: what"
# tools/check.sh --fix    formats all C in place
#
# What it holds the tree to: format, shellcheck, cppcheck, the direction of includes, licences,
# file length, no unfinished work, names at the top level, executable bits, white space.
set -euo pipefail
cd "$(dirname "$0")/.."

MAX_LINES=600
TOP_LEVEL=" bpf kmod user include tests tools Makefile README.md LICENSE build "
CLANG_FORMAT_MAJOR=14

found=0
cases=0

# finding FILE:LINE MESSAGE
finding() {
	echo "# $1: $2"
	found=$((found + 1))
}

# findings: each line of stdin is one.
findings() {
	local line
	while IFS= read -r line; do
		echo "# $line"
		found=$((found + 1))
	done
}

# verdict SENTENCE: the result of what was found since the last one.
verdict() {
	cases=$((cases + 1))
	if [ "$found" -eq 0 ]; then
		echo "ok $cases - $1"
	else
		echo "not ok $cases - $1"
		failed=1
	fi
	found=0
}

# have TOOL: a missing tool is a finding, never a skip.
have() {
	command -v "$1" >/dev/null && return 0
	finding "$1" "is not installed; tools/deps.sh installs it"
	return 1
}

# ---- what there is -----------------------------------------------------------

# All files of the tree, generated ones and other people's dot directories left out.
list_tree() {
	find . \( -path ./.git -o -path ./build \) -prune -o -type f -printf '%P\n' | LC_ALL=C sort
}

is_script() {
	local first=
	IFS= read -r -n 128 first <"$1" || true
	[[ $first == '#!'* ]]
}

sort_files() {
	local file
	tree=() c_files=() bash_files=() perl_files=() python_files=() source_files=() text_files=()
	mapfile -t tree < <(list_tree)
	for file in "${tree[@]}"; do
		# Inputs of tests are data: they may be malformed on purpose.
		[[ $file == tests/*/corpus/* || $file == tests/*/data/* ]] && continue
		case $file in
		*.png | *.svg | *.gz) continue ;;
		esac
		text_files+=("$file")
		case $file in
		*.c | *.h)
			c_files+=("$file") source_files+=("$file")
			;;
		*.sh | *.bash)
			bash_files+=("$file") source_files+=("$file")
			;;
		*.py)
			python_files+=("$file") source_files+=("$file")
			;;
		*.pl | *.pm)
			perl_files+=("$file") source_files+=("$file")
			;;
		*.gp | *.awk | *.8 | Makefile | */Makefile | */Kbuild | */dkms.conf | .clang-format)
			source_files+=("$file")
			;;
		*)
			is_script "$file" || continue
			source_files+=("$file")
			case $(head -n 1 "$file") in
			*bash | */sh) bash_files+=("$file") ;;
			*perl*) perl_files+=("$file") ;;
			*python*) python_files+=("$file") ;;
			esac
			;;
		esac
	done
}

# ---- tools -------------------------------------------------------------------

clang_format() {
	local tool
	for tool in "clang-format-$CLANG_FORMAT_MAJOR" clang-format; do
		if "$tool" --version 2>/dev/null | grep -q "version $CLANG_FORMAT_MAJOR\."; then
			echo "$tool"
			break
		fi
	done
}

check_format() {
	local name="C is formatted as .clang-format says" tool
	tool=$(clang_format)
	if [ -z "$tool" ]; then
		# Another version formats differently: its opinion would be no finding.
		if command -v clang-format >/dev/null; then
			cases=$((cases + 1))
			echo "ok $cases - $name # SKIP needs clang-format $CLANG_FORMAT_MAJOR"
			return
		fi
		have "clang-format"
	elif [ ${#c_files[@]} -gt 0 ]; then
		# One finding a line is noise where a whole block is off: the first of each file is named.
		findings < <(printf '%s\0' "${c_files[@]}" |
			xargs -0 "$tool" --dry-run --style=file 2>&1 |
			sed -nE 's/^([^: ]+:[0-9]+):[0-9]+: warning: .*/\1/p' | awk -F: '!seen[$1]++' |
			sed 's/$/: is not formatted; tools\/check.sh --fix formats it/')
	fi
	verdict "$name"
}

# Not asked: whether a function is ever called (SC2317), which goes wrong on those of traps.
check_scripts() {
	local file
	if have shellcheck && [ ${#bash_files[@]} -gt 0 ]; then
		findings < <(printf '%s\0' "${bash_files[@]}" |
			xargs -0 shellcheck -x -e SC2317 -s bash -f gcc 2>&1)
	fi
	for file in "${bash_files[@]}"; do
		is_script "$file" || continue
		head -n 1 "$file" | grep -qx '#!/usr/bin/env bash' ||
			finding "$file:1" "expected #!/usr/bin/env bash"
		grep -qx 'set -euo pipefail' "$file" || finding "$file:1" "does not set -euo pipefail"
	done
	for file in "${perl_files[@]}"; do
		findings < <(perl -wc "$file" 2>&1 | grep -v 'syntax OK$')
	done
	for file in "${python_files[@]}"; do
		findings < <(python3 -c 'import ast, sys
name = sys.argv[1]
try:
    ast.parse(open(name).read(), name)
except SyntaxError as error:
    print(f"{name}:{error.lineno}: {error.msg}")' "$file" 2>&1)
	done
	verdict "scripts pass shellcheck, and their interpreters' own check"
}

# cppcheck does not know what BPF programs and the kernel are made of; the compiler's warnings and
# the verifier look at those. Suppressed: headers that are not ours or are generated, macros of
# libraries whose headers it does not read, what is called through pointers only, null pointers
# across files (it does not see that an allocator which ends the process never returns one), and
# two variables that begin with the same value.
check_c() {
	local files=() file
	for file in "${c_files[@]}"; do
		case $file in
		bpf/* | kmod/* | *.h) ;;
		*) files+=("$file") ;;
		esac
	done
	if have cppcheck && [ ${#files[@]} -gt 0 ]; then
		mkdir -p build/cppcheck
		findings < <(cppcheck -q -j 2 --std=c11 --enable=warning,performance,portability \
			--cppcheck-build-dir=build/cppcheck --inline-suppr --max-configs=1 \
			--suppress=missingInclude --suppress=missingIncludeSystem \
			--suppress=unknownMacro --suppress=unusedFunction \
			--suppress=ctunullpointer --suppress=duplicateAssignExpression \
			-D_GNU_SOURCE -DPD_VERSION='""' -Iinclude -Iuser/pdload \
			--template='{file}:{line}: {message} ({id})' "${files[@]}" 2>&1)
	fi
	verdict "C passes cppcheck"
}

# ---- rules of this tree ------------------------------------------------------

# May a file of folder $1 include $2, a header of ours that lies in folder $3?
may_include() {
	case $1 in
	include) [[ $3 == include ]] ;;
	bpf) [[ $3 == bpf || $3 == include ]] ;;
	kmod) [[ $3 == kmod || $2 == uapi/* ]] ;;
	user) [[ $3 == user || $3 == include ]] ;;
	tests) [[ $3 != kmod || $2 == pool.h || $2 == rbt.h ]] ;; # tests/unit runs these two natively
	*) [[ $3 != kmod ]] ;;
	esac
}

# kmod/ and bpf/ know nothing of user/; kmod/ does not know the maps; user/ knows the kernel's
# side by include/ and by skeletons only.
check_includes() {
	local file line text name base folder header homes home
	declare -A homes=()
	for file in "${c_files[@]}"; do
		[[ $file == *.h ]] || continue
		base=${file##*/}
		homes[$base]+="${file%%/*} "
	done
	while IFS=: read -r file line text; do
		[[ $text =~ ^[[:space:]]*#[[:space:]]*include[[:space:]]*([\"\<])([^\">]+)[\"\>] ]] || continue
		header=${BASH_REMATCH[2]}
		folder=${file%%/*}
		base=${header##*/}
		if [[ $header == ../* || $header == */../* ]]; then
			finding "$file:$line" "includes $header: name it from its include directory, without .."
		elif [[ $header == *.skel.h ]]; then
			[[ $folder == user || $folder == tests || $folder == tools ]] ||
				finding "$file:$line" "includes $header: $folder/ must not use a BPF skeleton"
		elif [[ ${BASH_REMATCH[1]} == '<' && $header == */* && $header != uapi/* ]]; then
			: # of the system, such as <linux/types.h>
		elif [[ -n ${homes[$base]:-} ]]; then
			name=
			for home in ${homes[$base]}; do
				may_include "$folder" "$header" "$home" && name=$home
			done
			[[ -n $name ]] || finding "$file:$line" \
				"includes $header of ${homes[$base]% }/: $folder/ must not know it"
		elif [[ ${BASH_REMATCH[1]} == '"' && $header != vmlinux.h && $header != pipedevice.h ]]; then
			finding "$file:$line" "includes \"$header\", which is not in the tree"
		fi
	done < <(grep -nHE '^[[:space:]]*#[[:space:]]*include' "${c_files[@]}" || true)
	verdict "includes point from user/ and bpf/ and kmod/ to include/ only"
}

check_licences() {
	local file want line
	for file in "${source_files[@]}"; do
		want="GPL-2.0-only"
		[[ $file == include/* ]] && want="GPL-2.0-only OR MIT"
		line=$(head -n 2 "$file" | grep -m 1 -o 'SPDX-License-Identifier: .*' || true)
		line=${line#SPDX-License-Identifier: }
		line=${line% \*/}
		[[ $line == "$want" ]] || finding "$file:1" \
			"expected SPDX-License-Identifier: $want in its first two lines, found ${line:-none}"
	done
	verdict "every source file names the licence of its folder"
}

check_lengths() {
	findings < <(printf '%s\0' "${source_files[@]}" README.md | xargs -0 -n 1 wc -l 2>/dev/null |
		awk -v max="$MAX_LINES" '$1 > max { print $2 ":" $1 ": is over " max " lines: split it by its nouns" }')
	verdict "no file is over $MAX_LINES lines"
}

check_unfinished() {
	findings < <(grep -nHwE 'TO''DO|FIX''ME|XX''X' "${text_files[@]}" | grep -v '^LICENSE:' |
		sed -E 's/^([^:]+:[0-9]+):.*/\1: marks unfinished work/')
	verdict "nothing is marked as unfinished"
}

check_top_level() {
	local name
	while IFS= read -r name; do
		[[ $TOP_LEVEL == *" $name "* || $name == .* ]] ||
			finding "$name:1" "is not among the agreed names of the top level"
	done < <(find . -mindepth 1 -maxdepth 1 -printf '%f\n' | LC_ALL=C sort)
	for name in Makefile README.md LICENSE; do
		[ -f "$name" ] || finding "$name:1" "is missing"
	done
	verdict "only the agreed names stand at the top level"
}

check_modes() {
	local file
	for file in "${text_files[@]}"; do
		if is_script "$file"; then
			[ -x "$file" ] || finding "$file:1" "has a #! line but is not executable"
		elif [ -x "$file" ]; then
			finding "$file:1" "is executable but has no #! line"
		fi
	done
	verdict "what has a #! line is executable, and nothing else is"
}

check_white_space() {
	local file
	findings < <(grep -nHE '[[:space:]]+$' "${text_files[@]}" | grep -v '^LICENSE:' |
		sed -E 's/^([^:]+:[0-9]+):.*/\1: has white space at the end of the line/')
	findings < <(grep -nHP '^ +\t' "${c_files[@]}" "${bash_files[@]}" 2>/dev/null |
		sed -E 's/^([^:]+:[0-9]+):.*/\1: has a space before a tab/')
	for file in "${text_files[@]}"; do
		[[ ! -s $file || -z $(tail -c 1 "$file") ]] ||
			finding "$file:$(wc -l <"$file")" "has no newline at its end"
	done
	verdict "no white space at the end of lines, a newline at the end of files"
}

# ------------------------------------------------------------------------------

failed=0
sort_files
case ${1:-} in
'') ;;
--fix)
	tool=$(clang_format)
	[ -n "$tool" ] || {
		echo "can't format: clang-format $CLANG_FORMAT_MAJOR is not installed; run tools/deps.sh" >&2
		exit 1
	}
	printf '%s\0' "${c_files[@]}" | xargs -0 "$tool" -i --style=file
	exit 0
	;;
*)
	echo "usage: tools/check.sh [--fix]" >&2
	exit 2
	;;
esac

check_format
check_scripts
check_c
check_includes
check_licences
check_lengths
check_unfinished
check_top_level
check_modes
check_white_space
echo "1..$cases"
exit "$failed"
