// SPDX-License-Identifier: GPL-2.0-only
/* pinned: run a command on one CPU and say how long the CPUs were busy; or
 * choose the CPUs for that.
 *
 *   pinned cpus               two CPUs for client and server, e.g. "0 1"
 *   pinned run CPU OTHER FILE COMMAND...
 *                             COMMAND on CPU; FILE gets {"seconds", "busy_cpu_s",
 *                             "stolen_s"} of CPU and OTHER; ends as COMMAND does
 *   pinned exec CPU COMMAND... becomes COMMAND on CPU
 */
#include <stdlib.h>
#include <sys/wait.h>

#include "cpu.h"

static void __attribute__((noreturn)) fail(const char *what, const char *why)
{
	fprintf(stderr, "pinned: can't %s: %s\n", what, why);
	exit(126);
}

static int topology(int cpu, const char *name)
{
	char path[128];
	int value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, name);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%d", &value) != 1)
		value = -1;
	fclose(f);
	return value;
}

/* Two CPUs this process may use that are two cores of one NUMA node, so that
 * "two cores" is neither one core twice nor a trip between nodes.
 */
static int choose(void)
{
	struct bitmask *mine = numa_allocate_cpumask();
	int a, b, nr = numa_num_possible_cpus();

	if (numa_sched_getaffinity(0, mine) < 0)
		fail("ask which CPUs this process may use", strerror(errno));
	for (a = 0; a < nr; a++) {
		for (b = a + 1; b < nr; b++) {
			if (!numa_bitmask_isbitset(mine, (unsigned int)a) ||
			    !numa_bitmask_isbitset(mine, (unsigned int)b))
				continue;
			if (numa_node_of_cpu(a) != numa_node_of_cpu(b) ||
			    (topology(a, "core_id") == topology(b, "core_id") &&
			     topology(a, "physical_package_id") ==
				     topology(b, "physical_package_id")))
				continue;
			printf("%d %d\n", a, b);
			return 0;
		}
	}
	fail("choose CPUs", "no two cores of one NUMA node may be used");
}

static int cpu_number(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || *end || value < 0 || value > 65535)
		fail("read a CPU number", text);
	return (int)value;
}

static void become(int cpu, char **command)
{
	int err = cpu_pin(cpu);

	if (err)
		fail("run on that CPU", strerror(-err));
	execvp(command[0], command);
	fail(command[0], strerror(errno));
}

static int run(int cpu, int other, const char *file, char **command)
{
	struct cpu_mark from, to;
	int status;
	pid_t pid;
	FILE *f;

	if (cpu_mark(&from, cpu, other) < 0)
		fail("read /proc/stat", "one of the CPUs is not there");
	pid = fork();
	if (pid < 0)
		fail("fork", strerror(errno));
	if (!pid)
		become(cpu, command);
	if (waitpid(pid, &status, 0) < 0)
		fail("wait for the command", strerror(errno));
	cpu_mark(&to, cpu, other);
	f = fopen(file, "we");
	if (!f)
		fail(file, strerror(errno));
	fprintf(f, "{\"seconds\":%.6f,\"busy_cpu_s\":%.4f,\"stolen_s\":%.4f}\n",
		(double)(to.wall - from.wall) / 1e9, cpu_busy(&from, &to, cpu, other),
		to.steal - from.steal);
	if (fclose(f))
		fail(file, strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "cpus"))
		return choose();
	if (argc >= 6 && !strcmp(argv[1], "run"))
		return run(cpu_number(argv[2]), cpu_number(argv[3]), argv[4], argv + 5);
	if (argc >= 4 && !strcmp(argv[1], "exec"))
		become(cpu_number(argv[2]), argv + 3);
	fputs("usage: pinned cpus | pinned run CPU OTHER FILE COMMAND... | "
	      "pinned exec CPU COMMAND...\n",
	      stderr);
	return 2;
}
