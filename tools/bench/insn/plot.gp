# SPDX-License-Identifier: GPL-2.0-only
# gnuplot -e "data='DIR'; out='FILE'; note='...'" plot.gp
# DIR has TEST-READER-ENGINE.tsv of size and ratio, READER being huge for buffers in huge pages,
# life.tsv of engine and ratio, and TEST-target.tsv, stream-dma-target.tsv and
# stream-huge-target.tsv of what is to be reached.

set terminal svg size 1100,1400 dynamic font "sans-serif,13" background "white"
set output out
set multiplot layout 4,2 title "Instructions executed, over those of plain TCP (veth): lower is better\n{/*0.75 ".note."}" \
	font ",16" offset 0,-0.5 margins 0.07,0.98,0.04,0.915 spacing 0.07,0.07

set style line 1 lc rgb "#4393c3" lw 1.5 dt 2 pt 6 ps 0.7
set style line 2 lc rgb "#ef8a62" lw 2 pt 5 ps 0.7
set style line 3 lc rgb "#b2182b" lw 2.5 pt 7 ps 0.8
set style line 4 lc rgb "#1b7837" lw 2 pt 9 ps 0.9
set style line 5 lc rgb "#762a83" lw 1.5 dt 3 pt 11 ps 0.9
set style line 8 lc rgb "#b2182b" pt 1 ps 1.3 lw 2
set style line 7 lc rgb "#1b7837" pt 2 ps 1.3 lw 2
set style line 9 lc rgb "#404040" lw 1.5
set grid y lc rgb "#dddddd"
set border 3 lc rgb "#808080"
set tics nomirror
set logscale x 2
set key top right font ",10" samplen 2 maxrows 3
set yrange [0:1.5]
set xlabel "message size" offset 0,0.5
set ylabel "instructions / those of TCP" font ",11" offset 1.5
set xtics ("64 B" 64, "256 B" 256, "1 K" 1024, "4 K" 4096, "16 K" 16384, "64 K" 65536, "256 K" 262144, "1 M" 1048576)

engines = "unix sockmap cpu dma auto"
file(test, reader, engine) = sprintf("%s/%s-%s-%s.tsv", data, test, reader, engine)
do for [reader in "blocking epoll huge"] {
	# Huge ones have no column of Unix and sockmap.
	first = reader eq "huge" ? 3 : 1
	how = reader eq "huge" ? "blocking reader, buffers in huge pages" : reader." reader, pages of 4 KiB"
	do for [test in "rr stream"] {
		if (test eq "rr") { set xrange [45:93000]; label = "Request/response" } \
		else { set xrange [720:1500000]; label = "Stream" }
		set title label.", ".how font ",12"
		if (reader eq "huge" && test eq "stream") {
			plot for [e = first:5] file(test, reader, word(engines, e)) using 1:2 with linespoints ls e title word(engines, e), \
				data."/stream-huge-target.tsv" using 1:2 with points ls 7 title "dma: target", 1 with lines ls 9 notitle
		} else { if (reader eq "huge") {
			plot for [e = first:5] file(test, reader, word(engines, e)) using 1:2 with linespoints ls e title word(engines, e), \
				1 with lines ls 9 notitle
		} else { if (test eq "stream") {
			plot for [e = first:5] file(test, reader, word(engines, e)) using 1:2 with linespoints ls e title word(engines, e), \
				data."/stream-target.tsv" using 1:2 with points ls 8 title "cpu: target", \
				data."/stream-dma-target.tsv" using 1:2 with points ls 7 title "dma: target", 1 with lines ls 9 notitle
		} else {
			plot for [e = first:5] file(test, reader, word(engines, e)) using 1:2 with linespoints ls e title word(engines, e), \
				data."/rr-target.tsv" using 1:2 with points ls 8 title "cpu: target", 1 with lines ls 9 notitle
		} } }
	}
}

unset logscale x
set xtics auto
set xrange [-0.6:4.6]
set yrange [0:*]
set xlabel ""
set boxwidth 0.5
set style fill solid 0.9 noborder
set key top left
set title "Connect, 64 B each way, close" font ",12"
plot data."/life.tsv" using 0:2:xtic(1) with boxes lc rgb "#b2182b" notitle, \
	1.1 with lines lc rgb "#404040" dt 2 title "cpu: target", 1 with lines ls 9 notitle
unset multiplot
