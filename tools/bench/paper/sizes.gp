# SPDX-License-Identifier: GPL-2.0-only
# DIR has BUFFERS-ENGINE.tsv of size, instructions of a byte and their ratio to TCP's.

set terminal svg size 1100,1000 dynamic font "sans-serif,13" background "white"
load here."/style.gp"
set multiplot layout 2,2 title title font ",16" offset 0,-0.5 \
	margins 0.08,0.98,0.06,0.84 spacing 0.08,0.11

set logscale x 2
set xrange [45:6000000]
set xlabel "message size" offset 0,0.5
set xtics ("64 B" 64, "256 B" 256, "1 K" 1024, "4 K" 4096, "16 K" 16384, "64 K" 65536, "256 K" 262144, "1 M" 1048576, "4 M" 4194304)

engines(pages) = pages eq "pages" ? "tcp unix sockmap cpu dma auto" : "tcp cpu dma auto"
label(pages) = pages eq "pages" ? "buffers in 4 KiB pages" : "buffers in huge pages"
file(pages, engine) = sprintf("%s/%s-%s.tsv", data, pages, engine)

set logscale y 10
set yrange [0.03:300]
set ylabel "instructions / byte" font ",11" offset 1
set key top right
do for [pages in "pages huge"] {
	set title "CPU per byte, ".label(pages) font ",13"
	plot for [engine in engines(pages)] file(pages, engine) using 1:2 with linespoints ls style(engine) title name(engine)
}

unset logscale y
set yrange [0:1.35]
set ylabel "instructions / those of TCP" font ",11" offset 1
unset key
set label 1 "dashed: the paper's FPGA, 63.2 % less CPU than TCP" at 60,0.07 font ",10" tc rgb "#808080"
do for [pages in "pages huge"] {
	set title "As a part of TCP's, ".label(pages) font ",13"
	plot for [engine in engines(pages)] file(pages, engine) using 1:3 with linespoints ls style(engine) title name(engine), \
		0.368 with lines ls 10 notitle
}
unset multiplot
