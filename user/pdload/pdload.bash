# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Completion of pdload(8) for bash.

_pdload() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev="" verb="" sub="" i
	local verbs="up down flush status conns policy watch engines probe version help"
	local options="--json --help" words=""

	[ "$COMP_CWORD" -gt 0 ] && prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-*) ;;
		*)
			if [ -z "$verb" ]; then
				verb=${COMP_WORDS[i]}
			elif [ -z "$sub" ]; then
				sub=${COMP_WORDS[i]}
			fi
			;;
		esac
	done

	# What an option takes, in both spellings: --option VALUE and --option=VALUE,
	# which bash hands over as three words.
	[ "$cur" = "=" ] && cur=
	[ "$prev" = "=" ] && [ "$COMP_CWORD" -gt 1 ] && prev=${COMP_WORDS[COMP_CWORD - 2]}
	case $prev in
	--policy)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--cgroup)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	--engine)
		mapfile -t COMPREPLY < <(compgen -W "auto sockmap cpu dma" -- "$cur")
		return
		;;
	--bound)
		mapfile -t COMPREPLY < <(compgen -W "64K 256K 1M 4M 16M" -- "$cur")
		return
		;;
	--threshold)
		mapfile -t COMPREPLY < <(compgen -W "never measured 64K 256K 1M" -- "$cur")
		return
		;;
	--drain | --node | --timeout | --max-connections | --max-handshakes | --count | --seconds)
		return
		;;
	esac

	case $verb in
	"")
		options+=" --version"
		words=$verbs
		;;
	up)
		options+=" --all --policy --engine --cgroup --bound --max-connections"
		options+=" --max-handshakes"
		;;
	down | flush) options+=" --drain" ;;
	engines) options+=" --threshold --node --calibrate --reset --timeout" ;;
	watch) options+=" --count --seconds" ;;
	help) [ -z "$sub" ] && words=$verbs ;;
	policy)
		case $sub in
		"") words="show check apply" ;;
		check | apply)
			if [[ $cur != -* ]]; then
				compopt -o filenames
				mapfile -t COMPREPLY < <(compgen -f -- "$cur")
				return
			fi
			;;
		esac
		;;
	esac
	# Options where one has been begun, or where nothing else can stand.
	if [[ $cur != -* && -n $words ]]; then
		options=$words
	fi
	mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
}
complete -F _pdload pdload
