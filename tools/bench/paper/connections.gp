# SPDX-License-Identifier: GPL-2.0-only
# DIR has ENGINE.tsv of the number of connections, instructions of a byte, and bytes
# completed in a second of the machine's time.

set terminal svg size 1100,580 dynamic font "sans-serif,13" background "white"
load here."/style.gp"
set multiplot layout 1,2 title title font ",16" offset 0,-0.5 \
	margins 0.07,0.98,0.11,0.71 spacing 0.09,0.1

set logscale x 10
set xrange [0.7:15000]
set xlabel "connections" offset 0,0.5
set xtics ("1" 1, "16" 16, "256" 256, "1,000" 1000, "10,000" 10000)
set key top left maxrows 1
engines = "tcp cpu dma"
file(engine) = sprintf("%s/%s.tsv", data, engine)

set yrange [0:top_cpu * 1.25]
set ylabel "instructions / byte" font ",11" offset 1
set title "CPU per byte (lower is better)" font ",13"
plot for [engine in engines] file(engine) using 1:2 with linespoints ls style(engine) title name(engine)

set yrange [0:top_rate / 1048576 * 1.25]
set ylabel "MiB / s of the machine's time" font ",11" offset 1
set title "Completed bytes (higher is better)" font ",13"
plot for [engine in engines] file(engine) using 1:($3 / 1048576) with linespoints ls style(engine) title name(engine)
unset multiplot
