# SPDX-License-Identifier: GPL-2.0-only
# What the pictures have in common. -e "here='DIR'; data='DIR'; out='FILE'; title='...'": data has the
# rows, here this file; the title says what was counted, too, and on which machine.

set output out
set style line 1 lc rgb "#404040" lw 2.5 pt 13 ps 0.9
set style line 2 lc rgb "#4393c3" lw 1.5 dt 2 pt 6 ps 0.7
set style line 3 lc rgb "#ef8a62" lw 2 pt 5 ps 0.7
set style line 4 lc rgb "#b2182b" lw 2.5 pt 7 ps 0.8
set style line 5 lc rgb "#1b7837" lw 2.5 pt 9 ps 1.0
set style line 6 lc rgb "#762a83" lw 1.5 dt 3 pt 4 ps 1.1
set style line 9 lc rgb "#404040" lw 1
set style line 10 lc rgb "#808080" lw 1.5 dt 2
set grid y lc rgb "#dddddd"
set border 3 lc rgb "#808080"
set tics nomirror
set key font ",10" samplen 2

style(engine) = engine eq "tcp" ? 1 : engine eq "unix" ? 2 : engine eq "sockmap" ? 3 : engine eq "cpu" ? 4 : engine eq "dma" ? 5 : 6
name(engine) = engine eq "tcp" ? "TCP over veth" : engine eq "unix" ? "Unix sockets" : engine
