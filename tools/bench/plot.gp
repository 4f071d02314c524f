# SPDX-License-Identifier: GPL-2.0-only
# gnuplot -e "data='DIR'; out='FILE'; heading='...'; note='...'; programs=N; low=Y; high=Y" plot.gp
# DIR has TEST-METRIC-PLACEMENT-ENGINE-CONNECTIONS.tsv of size and ratio, and
# programs-PLACEMENT.tsv of name, ratio of Unix sockets, ratio of sockmap: as
# many lines as "programs" says.

set terminal svg size 1100,1500 dynamic font "sans-serif,13" background "white"
set output out
set multiplot layout 4,2 title heading."\n{/*0.75 ".note."}" font ",16" offset 0,-0.5 \
	margins 0.07,0.98,0.05,0.90 spacing 0.07,0.065

file(test, metric, place, engine, conns) = sprintf("%s/%s-%s-%s-%s-%d.tsv", data, test, metric, place, engine, conns)
where(place) = place eq "same_core" ? "one core" : "two cores"

set style line 1 lc rgb "#b2182b" lw 2.5 pt 7 ps 0.7
set style line 2 lc rgb "#ef8a62" lw 2.5 pt 5 ps 0.7
set style line 3 lc rgb "#67001f" lw 2.5 pt 9 ps 0.8
set style line 4 lc rgb "#4393c3" lw 1.3 dt 2 pt 6 ps 0.6
set style line 5 lc rgb "#92c5de" lw 1.3 dt 2 pt 4 ps 0.6
set style line 6 lc rgb "#053061" lw 1.3 dt 2 pt 8 ps 0.7
set style line 9 lc rgb "#404040" lw 1.5
set grid y lc rgb "#dddddd"
set border 3 lc rgb "#808080"
set tics nomirror
set logscale x 2
set logscale y 2
set key top left font ",10" samplen 2 maxrows 3
set xlabel "message size" offset 0,0.5
set yrange [low:high]
set ytics ("1/16" 0.0625, "1/8" 0.125, "1/4" 0.25, "1/2" 0.5, "0.75" 0.75, "1" 1, "1.5" 1.5, "2" 2, "3" 3, "4" 4, "6" 6, "8" 8, "16" 16, "32" 32, "64" 64)
set xtics ("64 B" 64, "256 B" 256, "1 K" 1024, "4 K" 4096, "16 K" 16384, "64 K" 65536, "256 K" 262144, "1 M" 1048576)

engines = "sockmap unix"
names = "sockmap Unix"
conns = "1 16 256"
tests = "rr stream stream"
metrics = "rate rate cpu_per_gb"
ylabels = "'rate / rate of TCP' 'rate / rate of TCP' 'CPU / CPU of TCP'"
labels = "'Request/response rate (higher is better)' 'Stream rate (higher is better)' 'Stream, CPU time per GB (lower is better)'"

do for [p = 1:3] {
	do for [place in "same_core two_cores"] {
		test = word(tests, p)
		metric = word(metrics, p)
		set title word(labels, p).", ".where(place) font ",13"
		set ylabel word(ylabels, p) font ",11" offset 1.5
		if (test eq "rr") { set xrange [45:93000] } else { set xrange [720:1500000] }
		plot for [e = 1:2] for [c = 1:3] file(test, metric, place, word(engines, e), int(word(conns, c))) \
			using 1:2 with linespoints ls (e - 1) * 3 + c \
			title sprintf("%s, %s conn.", word(names, e), word(conns, c)), \
			1 with lines ls 9 notitle
	}
}

unset logscale x
set xtics auto
set xtics rotate by -20 font ",10"
set xrange [-0.6:programs - 0.4]
set xlabel ""
set ylabel "rate / rate of TCP" font ",11" offset 1.5
set boxwidth 0.32
set style fill solid 0.9 noborder
do for [place in "same_core two_cores"] {
	set title "Programs, 16 connections (higher is better), ".where(place) font ",13"
	plot sprintf("%s/programs-%s.tsv", data, place) using ($0 - 0.17):3:xtic(1) with boxes lc rgb "#b2182b" title "sockmap", \
		"" using ($0 + 0.17):2 with boxes lc rgb "#4393c3" title "Unix", \
		1 with lines ls 9 notitle
}
unset multiplot
