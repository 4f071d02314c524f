# SPDX-License-Identifier: GPL-2.0-only
# DIR has ring-BUFFERS-ENGINE.tsv of ranks and how many times fewer instructions than TCP, and mpi.tsv
# of ranks and how many times faster than TCP: median, least, most. note2 is of the third panel.

set terminal svg size 1300,620 dynamic font "sans-serif,13" background "white"
load here."/style.gp"
set multiplot layout 1,3 title title font ",16" offset 0,-0.5 \
	margins 0.065,0.985,0.10,0.69 spacing 0.06,0.1

set xrange [1.5:8.5]
set xlabel "processes" offset 0,0.5
set xtics 2,2,8
set key top left maxrows 2
set yrange [0:top * 1.3]
set ylabel "instructions of TCP / instructions" font ",11" offset 0.5
set label 1 "the paper's baidu-allreduce: 2.2" at 8.4,2.2 right offset 0,0.6 font ",10" tc rgb "#808080"
file(pages, engine) = sprintf("%s/ring-%s-%s.tsv", data, pages, engine)
do for [pages in "pages huge"] {
	set title "Our C ring, buffers in ".(pages eq "pages" ? "4 KiB" : "huge")." pages" font ",13"
	plot for [engine in pages eq "pages" ? "sockmap cpu dma auto" : "cpu dma auto"] file(pages, engine) using 1:2 with linespoints ls style(engine) title engine, \
		2.2 with lines ls 10 notitle, 1 with lines ls 9 notitle
}
set ylabel "time on TCP / time" font ",11" offset 0.5
set title "OpenMPI over its TCP transport, time" font ",13"
plot data."/mpi.tsv" using 1:2:3:4 with yerrorbars ls 4 title "cpu: median, and all runs", \
	"" using 1:2 with lines ls 4 notitle, 2.2 with lines ls 10 notitle, 1 with lines ls 9 notitle
unset multiplot
