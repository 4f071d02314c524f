# SPDX-License-Identifier: GPL-2.0-only
# gnuplot -e "data='DIR'; out='FILE'; note='...'" plot.gp
# DIR has TEST-READER-ENGINE.tsv of size and ratio, life.tsv of engine and ratio, and
# rr-target.tsv and stream-target.tsv of what cpu should reach.

set terminal svg size 1100,1000 dynamic font "sans-serif,13" background "white"
set output out
set multiplot layout 3,2 title "Instructions executed, over those of plain TCP (veth)\n{/*0.75 ".note."}" \
	font ",16" offset 0,-0.5 margins 0.07,0.98,0.05,0.88 spacing 0.07,0.09

set style line 1 lc rgb "#4393c3" lw 1.5 dt 2 pt 6 ps 0.7
set style line 2 lc rgb "#ef8a62" lw 2 pt 5 ps 0.7
set style line 3 lc rgb "#b2182b" lw 2.5 pt 7 ps 0.8
set style line 8 lc rgb "#404040" pt 1 ps 1.3 lw 2
set style line 9 lc rgb "#404040" lw 1.5
set grid y lc rgb "#dddddd"
set border 3 lc rgb "#808080"
set tics nomirror
set logscale x 2
set key bottom right font ",10" samplen 2 maxrows 2
set yrange [0:1.3]
set xlabel "message size" offset 0,0.5
set ylabel "instructions / those of TCP" font ",11" offset 1.5
set xtics ("64 B" 64, "256 B" 256, "1 K" 1024, "4 K" 4096, "16 K" 16384, "64 K" 65536, "256 K" 262144, "1 M" 1048576)

engines = "unix sockmap cpu"
names = "Unix sockmap cpu"
do for [test in "rr stream"] {
	if (test eq "rr") { set xrange [45:93000]; label = "Request/response" } \
	else { set xrange [720:1500000]; label = "Stream" }
	do for [reader in "blocking epoll"] {
		set title label.", ".reader." reader (lower is better)" font ",13"
		plot for [e = 1:3] sprintf("%s/%s-%s-%s.tsv", data, test, reader, word(engines, e)) \
			using 1:2 with linespoints ls e title word(names, e), \
			sprintf("%s/%s-target.tsv", data, test) using 1:2 with points ls 8 title "target of cpu", \
			1 with lines ls 9 notitle
	}
}

unset logscale x
set xtics auto
set xrange [-0.6:2.6]
set yrange [0:*]
set xlabel ""
set boxwidth 0.5
set style fill solid 0.9 noborder
set key top left
set title "Connect, 64 B each way, close (lower is better)" font ",13"
plot data."/life.tsv" using 0:2:xtic(1) with boxes lc rgb "#b2182b" notitle, \
	1.1 with lines lc rgb "#404040" dt 2 title "target of cpu", 1 with lines ls 9 notitle
unset multiplot
