# SPDX-License-Identifier: GPL-2.0-only
# make demo     two containers, plain and accelerated, one table
# make demo-vm  the same over the module, in an emulated machine (KERNEL=6.12)
# make check    the native tests, the cheapest failure first, then the module on Debian's Linux 6.12 and
#               6.1, emulated, over a real driver of DMA channels, and the count of instructions;
#               `make check-TOPIC` runs one topic
#               (TOPIC: lint, unit, net, vm-6.12, insn, ...), `make check-native` the native ones
# make check-vm all tests of the module on 6.12 and 6.1, those that take long, too
# make check-debug what `make check` runs of the module, on the debug kernel (KASAN, lockdep, kmemleak)
# make bench    native figures and a picture in build/bench/
# make bench-insn  instructions of each engine on an emulated arm64 machine, and a picture, in
#               build/bench/; PROFILE="cpu rr 64 blocking" says which functions execute them
# make paper-figures  the figures of the paper from our own runs, counted and timed on emulated
#               machines, in build/paper/; FIGURES="sizes connections ring mpi" are those to run
# make vm-6.1   all tests of the module on one kernel; vm-6.12 and vm-debug likewise;
#               `make vm-shell KERNEL=6.12` gives a prompt there
# make vm-arm64 the suite of sockets over DMA channels of a real driver, on emulated arm64, and one that hangs
# make fuzz     the policy parser for FUZZ_SECONDS
# make install  pdload, its man page and completion under PREFIX
# SAN=1 builds with AddressSanitizer and UndefinedBehaviorSanitizer in build/san.

PREFIX ?= /usr/local
CC = gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
BUILD := build$(if $(SAN),/san)
FUZZ_SECONDS ?= 60
VERSION := 0.1.0
DKMS_SOURCE = /usr/src/pipedevice-$(VERSION)

comma := ,
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Werror -Wno-unused-parameter -Wmissing-prototypes -Wstrict-prototypes
SANFLAGS := $(if $(SAN),-fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
PKGS := libbpf libcjson libkmod yaml-0.1 numa
ALL_CFLAGS = -std=gnu11 $(CFLAGS) $(WARN) $(SANFLAGS) -D_GNU_SOURCE -DPD_VERSION='"$(VERSION)"' \
	-Iinclude -I$(BUILD)/bpf -iquote $(QUOTED) -MMD -MP
QUOTED := user/pdload
LIBS = $(shell pkg-config --libs $(PKGS)) -lelf -lz -lpthread
TRIPLET := $(shell $(CC) -print-multiarch)
BPF_CFLAGS := -std=gnu11 -O2 -g -target bpf -mcpu=v3 -Wall -Werror -Iinclude -Ibpf -isystem /usr/include/$(TRIPLET)

# Programs that share maps are linked into one object; the others stand alone.
BPF_MAIN := detect verdict inspect guard
BPF_ALONE := $(filter-out $(BPF_MAIN),$(patsubst bpf/%.bpf.c,%,$(wildcard bpf/*.bpf.c)))
SKELS := $(BUILD)/bpf/pipedevice.skel.h $(BPF_ALONE:%=$(BUILD)/bpf/%.skel.h)

PDLOAD_SRC := $(wildcard user/pdload/*.c)
PDLOAD_OBJ := $(PDLOAD_SRC:%.c=$(BUILD)/%.o)
PDLOAD_LIB := $(BUILD)/libpdload.a
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
# What of the module runs in user space, too.
KMOD_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_pool*.c tests/unit/test_rbt*.c))
KMOD_OBJ := $(patsubst %.c,$(BUILD)/%.o,kmod/pool.c kmod/rbt.c $(wildcard tests/unit/kernel/*.c))
NET_PROGS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/net/*.c))
FAULT_PROGS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/faults/*.c))
SOCKETS := $(BUILD)/tests/sockets/sockets
SOCKETS_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/sockets/*.c))
BENCH_PROGS := $(BUILD)/tools/bench/netbench $(BUILD)/tools/bench/pinned
INSN_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(addprefix tools/bench/insn/,main.c end.c counter.c))
PAPER_PROGS := $(BUILD)/streams $(BUILD)/ring
PAPER_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(addprefix tools/bench/paper/,buffer.c process.c moved.c) tools/bench/insn/counter.c)
NETBENCH_OBJ := $(patsubst %,$(BUILD)/tools/bench/%.o,server client run payload)
DEMO_PROGS := $(patsubst %.c,$(BUILD)/%,$(wildcard tools/demo/*.c))
VM_KERNELS := 6.1 6.12 debug
KERNEL ?= 6.12
# The cheapest failure first.
TOPICS := lint unit cli sockets net programs
VM_CHECKS := 6.12 6.1

.PHONY: all deps bpf pdload tests check $(TOPICS:%=check-%) $(VM_KERNELS:%=vm-%) $(VM_KERNELS:%=check-vm-%) \
	vm-5.10 vm-arm64 check-vm-arm64 vm-shell check-debug check-vm check-native check-insn demo demo-vm bench bench-insn \
	paper-figures fuzz install dkms-install clean
.DELETE_ON_ERROR:

all: pdload

pdload: $(BUILD)/pdload

bpf: $(SKELS)

tests: pdload $(UNIT_TESTS) $(NET_PROGS) $(FAULT_PROGS) $(SOCKETS) $(DEMO_PROGS)

deps:
	tools/deps.sh

# Dependencies come first: what follows asks pkg-config for them. Everything is built before anything is
# tested.
# tools/deps.sh arm64 has what `deps` and emulated machines need, too.
check:
	tools/deps.sh arm64
	$(MAKE) --no-print-directory all tests
	$(MAKE) --no-print-directory all tests SAN=1
	set -e; for kernel in $(VM_CHECKS); do \
		tools/vm/kernel.sh $$kernel; tools/vm/module.sh $$kernel; tools/vm/module.sh $$kernel tests/kmod; done
	tools/bench/insn/insn.sh --build
	tools/vm/arm64-test.sh --build
	tools/run-tests $(TOPICS) $(VM_CHECKS:%=vm-%) vm-arm64 insn

check-native: deps
	$(MAKE) --no-print-directory all tests
	$(MAKE) --no-print-directory all tests SAN=1
	tools/run-tests $(TOPICS)

$(TOPICS:%=check-%): check-%: deps
	$(MAKE) --no-print-directory all tests
	$(MAKE) --no-print-directory all tests SAN=1
	tools/run-tests $*

# On the machine: what `make check` runs there (check-vm-KERNEL), or all (vm-KERNEL).
$(VM_KERNELS:%=check-vm-%): check-vm-%: deps
	tools/deps.sh vm
	$(MAKE) --no-print-directory all tests
	tools/vm/module.sh $*
	tools/vm/module.sh $* tests/kmod
	tools/run-tests vm-$*

$(VM_KERNELS:%=vm-%): vm-%: deps
	tools/deps.sh vm
	$(MAKE) --no-print-directory all tests
	tools/vm/module.sh $*
	tools/vm/module.sh $* tests/kmod
	tools/run-tests vm-$* vm-long-$*

# Not what `make check` runs: Debian's mirrors will not have that release for ever.
vm-5.10: deps
	tools/deps.sh vm
	$(MAKE) --no-print-directory all tests
	tools/run-tests $@

check-vm-arm64: TOPICS_HERE := vm-arm64
vm-arm64: TOPICS_HERE := vm-arm64 vm-long-arm64
check-vm-arm64 vm-arm64:
	tools/deps.sh arm64
	$(MAKE) --no-print-directory all
	tools/vm/arm64-test.sh --build
	tools/run-tests $(TOPICS_HERE)

# Under KASAN and lockdep a case takes ten times as long.
check-vm-debug vm-debug: export TEST_SECONDS = 3600
check-vm-debug vm-debug: export LIMIT = 60000
check-vm-debug vm-debug: export PATIENCE = 10
# The suite of sockets in its six ways takes two minutes for each, 200 times up and down took 29.
vm-6.1 vm-6.12 vm-debug: export VM_THREADS = multi
vm-6.1 vm-6.12 vm-arm64: export TEST_SECONDS = 3600
vm-6.1 vm-6.12 vm-arm64: export VM_SECONDS = 3500

check-debug: check-vm-debug

check-vm: vm-6.12 vm-6.1

vm-shell:
	tools/deps.sh vm
	tools/vm/module.sh $(KERNEL)
	tools/vm/module.sh $(KERNEL) tests/kmod
	tools/vm/run.sh $(KERNEL)

demo: deps
	$(MAKE) --no-print-directory all $(DEMO_PROGS)
	tools/demo/demo.sh

demo-vm: deps
	tools/deps.sh vm
	$(MAKE) --no-print-directory all $(DEMO_PROGS)
	tools/vm/module.sh $(KERNEL)
	tools/rootfs.sh >/dev/null
	tools/vm/run.sh $(KERNEL) tools/demo/vm.sh

bench: deps
	$(MAKE) --no-print-directory all $(BENCH_PROGS)
	tools/bench/bench.sh

bench-insn:
	tools/deps.sh arm64
	tools/bench/insn/insn.sh $(if $(PROFILE),--profile $(PROFILE))

paper-figures:
	tools/deps.sh paper
	$(MAKE) --no-print-directory all
	tools/bench/paper/paper.sh $(FIGURES)

# Fails when a ratio is more than 5 % worse than the committed one (some rows 10 %, see tests/insn/ratios.sh).
check-insn:
	tools/deps.sh arm64
	@mkdir -p $(BUILD)
	tools/run-tests insn

fuzz: deps
	$(MAKE) --no-print-directory $(BUILD)/tests/fuzz/policy
	tests/fuzz/run.sh $(FUZZ_SECONDS)

install: $(BUILD)/pdload
	install -D -m 755 $(BUILD)/pdload $(DESTDIR)$(PREFIX)/sbin/pdload
	install -D -m 644 user/pdload/pdload.8 $(DESTDIR)$(PREFIX)/share/man/man8/pdload.8
	install -D -m 644 user/pdload/pdload.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/pdload

# As DKMS wants it: the sources with their version, built for the running kernel and for later ones.
dkms-install:
	@command -v dkms >/dev/null || { echo "dkms is not there: apt install dkms linux-headers-$$(uname -r)" >&2; exit 1; }
	@# A version that is there already would stay as it is.
	if dkms status pipedevice/$(VERSION) | grep -q .; then dkms remove pipedevice/$(VERSION) --all; fi
	rm -rf $(DKMS_SOURCE)
	install -d $(DKMS_SOURCE)/kmod $(DKMS_SOURCE)/include/uapi
	install -m 644 kmod/*.[ch] kmod/Kbuild $(DKMS_SOURCE)/kmod
	install -m 644 include/uapi/*.h $(DKMS_SOURCE)/include/uapi
	sed 's/@VERSION@/$(VERSION)/' kmod/dkms.conf > $(DKMS_SOURCE)/dkms.conf
	dkms install pipedevice/$(VERSION)

clean:
	rm -rf build

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h include/*.h include/uapi/*.h)
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/bpf/pipedevice.o: $(BPF_MAIN:%=$(BUILD)/bpf/%.bpf.o)
	$(BPFTOOL) gen object $@ $^

$(BUILD)/bpf/pipedevice.skel.h: $(BUILD)/bpf/pipedevice.o
	$(BPFTOOL) gen skeleton $< name pipedevice > $@

$(BPF_ALONE:%=$(BUILD)/bpf/%.skel.h): $(BUILD)/bpf/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(BPFTOOL) gen skeleton $< name $* > $@

# Which objects include a skeleton is known once they have been compiled (-MMD):
# then it is their prerequisite like any other header.
$(BUILD)/%.o: %.c | $(SKELS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c $< -o $@

$(PDLOAD_LIB): $(filter-out %/main.o,$(PDLOAD_OBJ))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/pdload: $(BUILD)/user/pdload/main.o $(PDLOAD_LIB)
	$(CC) $(CFLAGS) $(SANFLAGS) -o $@ $^ $(LIBS)

# Rules for programs name their objects, as make takes what only a pattern asks
# for as intermediate: to be removed, or not missed.
$(UNIT_TESTS): %: %.o $(PDLOAD_LIB)
	$(CC) $(CFLAGS) $(SANFLAGS) -o $@ $^ -lcmocka $(LIBS)

$(KMOD_TESTS): $(KMOD_OBJ)

# As the kernel is compiled, which compares signed with unsigned.
$(KMOD_TESTS:%=%.o) $(KMOD_OBJ): QUOTED := kmod
$(KMOD_TESTS:%=%.o) $(KMOD_OBJ): ALL_CFLAGS += -Itests/unit/kernel -Wno-sign-compare

$(BUILD)/tests/net/traffic: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/net/streams/*.c))

$(FAULT_PROGS): $(BUILD)/tests/net/streams/pattern.o

$(FAULT_PROGS:%=%.o): ALL_CFLAGS += -iquote tests/net/streams

$(NET_PROGS) $(FAULT_PROGS): %: %.o
	$(CC) $(CFLAGS) $(SANFLAGS) -o $@ $^ -lpthread

$(BUILD)/tests/sockets/%.o: tests/sockets/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c $< -o $@

$(SOCKETS): $(SOCKETS_OBJ)
	$(CC) $(CFLAGS) $(SANFLAGS) -o $@ $^ -lcmocka -luring -lpthread

$(BUILD)/tools/bench/%.o: tools/bench/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c $< -o $@

$(BUILD)/tools/bench/netbench: $(NETBENCH_OBJ)

$(BENCH_PROGS): %: %.o
	$(CC) $(CFLAGS) $(SANFLAGS) -o $@ $^ -lpthread -lnuma -lm

# Runs on the machine of tools/vm/arm64.sh.
$(BUILD)/insn: $(INSN_OBJ)
	$(CC) $(CFLAGS) -static -o $@ $^

# Likewise.
$(BUILD)/tools/bench/paper/%.o: QUOTED := tools/bench/insn
$(PAPER_PROGS): $(BUILD)/%: $(BUILD)/tools/bench/paper/%.o $(PAPER_OBJ)
	$(CC) $(CFLAGS) -static -o $@ $^

# A plugin for QEMU.
$(BUILD)/profile.so: tools/bench/insn/profile.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(CFLAGS) $(WARN) -shared -fPIC -fvisibility=hidden -o $@ $<

# Runs in containers, whatever their C library.
$(DEMO_PROGS): %: %.o
	$(CC) $(CFLAGS) $(SANFLAGS) $(if $(SAN),,-static) -o $@ $^

tests: $(if $(SAN),,$(BUILD)/tests/fuzz/policy $(BUILD)/tests/programs/proxy)

# Only what is installed: nothing is fetched.
$(BUILD)/tests/programs/proxy: tests/programs/proxy.go
	GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local CGO_ENABLED=0 GOCACHE=$(abspath $(BUILD))/go-cache go build -o $@ $<

# Not from the library: clang instruments what is fuzzed.
FUZZ_SRC := tests/fuzz/policy.c user/pdload/container.c \
	$(addprefix user/pdload/policy_,parse.c match.c yaml.c glob.c)

$(BUILD)/tests/fuzz/policy: $(FUZZ_SRC) $(wildcard user/pdload/*.h include/*.h)
	@mkdir -p $(@D)
	$(CLANG) -std=gnu11 -O1 -g $(WARN) -D_GNU_SOURCE -Iinclude -iquote user/pdload \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
		-o $@ $(FUZZ_SRC) $(shell pkg-config --libs yaml-0.1 libcjson)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
