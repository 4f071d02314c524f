/* SPDX-License-Identifier: GPL-2.0-only */
/* Cgroups by id, and containers as two runtimes made for this test list them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cgroup.h"

#define A16 "aaaaaaaaaaaaaaaa"
#define ID_WEB A16 A16 A16 A16
#define ID_CACHE "0123456789abcdef" A16 A16 A16
#define ID_SIDE "bbbbbbbbbbbbbbbb" A16 A16 A16
#define ID_NONE "cccccccccccccccc" A16 A16 A16

static char dir[] = "/tmp/pd_test_cgroup_XXXXXX";

static int make_dir(void **state)
{
	return !mkdtemp(dir);
}

static int remove_dir(void **state)
{
	static const char *const names[] = { "podman", "docker", "asked" };
	char path[256];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		remove(path);
	}
	return rmdir(dir);
}

/* A runtime @name of which a line is added to the file "asked" at each start. */
static void make_runtime(const char *name, const char *body)
{
	char path[256];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	out = fopen(path, "we");
	assert_non_null(out);
	fprintf(out, "#!/bin/sh\necho %s >>%s/asked\n%s\n", name, dir, body);
	fclose(out);
	assert_int_equal(chmod(path, 0700), 0);
}

/* What the file "asked" holds, and remove it. */
static void assert_asked(const char *expected)
{
	char path[256], text[256] = "";
	FILE *in;

	snprintf(path, sizeof(path), "%s/asked", dir);
	in = fopen(path, "re");
	if (in) {
		text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
		fclose(in);
		remove(path);
	}
	assert_string_equal(text, expected);
}

/* Runtimes are asked once per process: each test is one of its own, in which
 * only the runtimes of this test are found.
 */
static void in_child(void (*test)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		setenv("PATH", dir, 1);
		test();
		/* Let LeakSanitizer have its look. */
		exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void expect(bool holds, int line)
{
	if (holds)
		return;
	fprintf(stderr, "test_cgroup.c:%d does not hold\n", line);
	_exit(1);
}
#define EXPECT(holds) expect(holds, __LINE__)

static bool is_name(const char *path, const char *name)
{
	const char *found = pd_container__name(path);

	return name ? found && !strcmp(found, name) : !found;
}

static bool has_id(const char *name, const char *id)
{
	char found[65];

	return !pd_container__id(name, found) && !strcmp(found, id);
}

static const char podman[] =
	"echo '[{\"Id\": \"" ID_WEB "\", \"Names\": [\"web\"]},'\n"
	"echo ' {\"Id\": \"" ID_CACHE "\", \"Names\": [\"cache\", \"alias\"]},'\n"
	"echo ' {\"Id\": \"short\", \"Names\": [\"odd\"]}, {\"Names\": [\"noid\"]}, 7,'\n"
	"echo ' {\"Id\": \"" ID_NONE "\", \"Names\": null}]'";
static const char docker[] = "echo '{\"ID\":\"" ID_SIDE "\",\"Names\":\"side,other/x\"}'\n"
			     "echo '{\"ID\":\"" ID_NONE "\",\"Names\":\"\"}'";

static void check_names(void)
{
	EXPECT(is_name("/", NULL));
	EXPECT(is_name("/system.slice/ssh.service", NULL));
	EXPECT(is_name("/machine.slice/libpod-" A16 ".scope", NULL));
	EXPECT(is_name("/x/" ID_WEB "a", NULL));
	EXPECT(access("asked", F_OK) && errno == ENOENT);
	EXPECT(is_name("/libpod_parent/libpod-" ID_WEB, "web"));
	EXPECT(is_name("/machine.slice/libpod-" ID_CACHE ".scope/container/init", "cache"));
	EXPECT(is_name("/docker/" ID_SIDE, "side"));
	EXPECT(is_name("/docker/" ID_NONE, NULL));
	/* One container in another belongs to the inner one. */
	EXPECT(is_name("/docker/" ID_SIDE "/libpod_parent/libpod-" ID_WEB, "web"));
	EXPECT(is_name("/docker/" ID_SIDE "/libpod_parent/libpod-" ID_NONE, "side"));
}

static void a_container_is_found_by_the_id_in_a_path(void **state)
{
	make_runtime("podman", podman);
	make_runtime("docker", docker);
	assert_int_equal(chdir(dir), 0);
	in_child(check_names);
	assert_asked("podman\ndocker\n");
}

static void check_ids(void)
{
	char id[65];

	EXPECT(has_id("web", ID_WEB));
	EXPECT(has_id("cache", ID_CACHE));
	EXPECT(has_id("alias", ID_CACHE));
	EXPECT(has_id("side", ID_SIDE));
	EXPECT(has_id("other/x", ID_SIDE));
	EXPECT(pd_container__id("odd", id) == -ENOENT);
	EXPECT(pd_container__id("", id) == -ENOENT);
	EXPECT(pd_container__id("nosuch", id) == -ENOENT);
}

static void a_container_is_found_by_its_name_and_runtimes_are_asked_once(void **state)
{
	make_runtime("podman", podman);
	make_runtime("docker", docker);
	in_child(check_ids);
	assert_asked("podman\ndocker\n");
}

static void check_first_only(void)
{
	EXPECT(has_id("web", ID_WEB));
}

static void the_second_runtime_is_left_alone_if_the_first_knows(void **state)
{
	make_runtime("podman", podman);
	make_runtime("docker", docker);
	in_child(check_first_only);
	assert_asked("podman\n");
}

static void check_one_broken(void)
{
	char id[65];

	EXPECT(has_id("web", ID_WEB));
	EXPECT(pd_container__id("nosuch", id) == -ENOENT);
}

static void a_runtime_that_fails_does_not_hide_the_other(void **state)
{
	make_runtime("podman", podman);
	make_runtime("docker", "echo no daemon >&2; exit 1");
	in_child(check_one_broken);
	assert_asked("podman\ndocker\n");
}

static void check_all_broken(void)
{
	char id[65];

	EXPECT(pd_container__id("web", id) == -EPROTO);
	EXPECT(is_name("/libpod_parent/libpod-" ID_WEB, NULL));
}

static void runtimes_that_all_fail_are_no_proof_of_absence(void **state)
{
	make_runtime("podman", "echo '[{\"Id\": '");
	make_runtime("docker", "exit 1");
	in_child(check_all_broken);
	assert_asked("podman\ndocker\n");
}

static void check_none_installed(void)
{
	char id[65];

	EXPECT(pd_container__id("web", id) == -ENOENT);
	EXPECT(is_name("/libpod_parent/libpod-" ID_WEB, NULL));
}

static void without_a_runtime_no_container_is_known(void **state)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/podman", dir);
	remove(path);
	snprintf(path, sizeof(path), "%s/docker", dir);
	remove(path);
	in_child(check_none_installed);
	assert_asked("");
}

/* From its second start it knows the inner container, and many more before the outer one. */
static const char more_later[] = "echo '[{\"Id\": \"" ID_WEB "\", \"Names\": [\"web\"]}]'\n"
				 "{ read -r one; read -r two; } <asked\n"
				 "[ \"$two\" ] || exit 0\n"
				 "i=1000\n"
				 "while [ $i -lt 1200 ]; do\n"
				 "	echo '{\"Id\": \"" A16 A16 A16
				 "aaaaaaaaaaaa'$i'\", \"Names\": [\"n'$i'\"]}'\n"
				 "	i=$((i + 1))\n"
				 "done\n"
				 "echo '{\"Id\": \"" ID_SIDE "\", \"Names\": [\"side\"]}'";

static void check_asked_again(void)
{
	EXPECT(is_name("/libpod-" ID_WEB "/libpod-" ID_SIDE, "web"));
	usleep(5100 * 1000);
	/* Who ends soon does not ask again. */
	EXPECT(is_name("/libpod-" ID_WEB "/libpod-" ID_SIDE, "web"));
	pd_container__ask_again();
	/* What the first part of the path found stays what it was. */
	EXPECT(is_name("/libpod-" ID_WEB "/libpod-" ID_NONE, "web"));
	EXPECT(is_name("/libpod-" ID_WEB "/libpod-" ID_SIDE, "side"));
	EXPECT(is_name("/libpod-" ID_NONE, NULL));
}

static void a_runtime_is_asked_again_by_who_runs_for_long(void **state)
{
	make_runtime("podman", more_later);
	in_child(check_asked_again);
	assert_asked("podman\npodman\n");
}

/* ---- cgroups -------------------------------------------------------------- */

static __u64 inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_ino;
}

static void a_cgroup_is_found_by_its_id_also_after_it_has_gone(void **state)
{
	const char *mount = pd_cgroup__mount();
	char path[256], name[64], below[320];
	__u64 id, id_below;

	if (!mount) {
		print_message("needs cgroup v2\n");
		skip();
	}
	assert_string_equal(pd_cgroup__path(inode_of(mount)), "/");
	assert_null(pd_cgroup__path(~0ULL));

	/* Made after the first walk. */
	snprintf(name, sizeof(name), "/.pd_test_%d", getpid());
	snprintf(path, sizeof(path), "%s%s", mount, name);
	snprintf(below, sizeof(below), "%s/a", path);
	if (mkdir(path, 0755)) {
		print_message("needs a writable cgroup v2 tree\n");
		skip();
	}
	assert_int_equal(mkdir(below, 0755), 0);
	id = inode_of(path);
	id_below = inode_of(below);
	assert_string_equal(pd_cgroup__path(id), name);
	assert_string_equal(pd_cgroup__path(id_below), below + strlen(mount));
	assert_ptr_equal(pd_cgroup__path(id), pd_cgroup__path(id));
	assert_int_equal(rmdir(below), 0);
	assert_int_equal(rmdir(path), 0);
	assert_string_equal(pd_cgroup__path(id), name);
	assert_null(pd_cgroup__path(~0ULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_container_is_found_by_the_id_in_a_path),
		cmocka_unit_test(a_container_is_found_by_its_name_and_runtimes_are_asked_once),
		cmocka_unit_test(the_second_runtime_is_left_alone_if_the_first_knows),
		cmocka_unit_test(a_runtime_that_fails_does_not_hide_the_other),
		cmocka_unit_test(runtimes_that_all_fail_are_no_proof_of_absence),
		cmocka_unit_test(without_a_runtime_no_container_is_known),
		cmocka_unit_test(a_runtime_is_asked_again_by_who_runs_for_long),
		cmocka_unit_test(a_cgroup_is_found_by_its_id_also_after_it_has_gone),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
