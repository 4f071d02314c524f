/* SPDX-License-Identifier: GPL-2.0-only */
/* How things are written: names, addresses, sizes, times, tables, JSON. */
#include <arpa/inet.h>
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format.h"
#include "json.h"

static struct pd_addr addr_of(int family, const char *ip, __u16 port)
{
	struct pd_addr addr = { .port = port, .family = family };

	if (family == AF_INET) {
		addr.ip[2] = htonl(0xffff);
		assert_int_equal(inet_pton(AF_INET, ip, &addr.ip[3]), 1);
	} else {
		assert_int_equal(inet_pton(AF_INET6, ip, addr.ip), 1);
	}
	return addr;
}

static void addresses_are_written_as_users_know_them(void **state)
{
	static const struct {
		int family;
		const char *ip;
		__u16 port;
		const char *alone;
		const char *with_port;
	} cases[] = {
		{ AF_INET, "10.88.0.2", 6379, "10.88.0.2", "10.88.0.2:6379" },
		{ AF_INET, "0.0.0.0", 0, "0.0.0.0", "0.0.0.0:0" },
		{ AF_INET, "255.255.255.255", 65535, "255.255.255.255", "255.255.255.255:65535" },
		{ AF_INET6, "fd00::1", 80, "fd00::1", "[fd00::1]:80" },
		{ AF_INET6, "::1", 8080, "::1", "[::1]:8080" },
		{ AF_INET6, "::", 1, "::", "[::]:1" },
		{ AF_INET6, "2001:db8:1111:2222:3333:4444:5555:6666", 65535,
		  "2001:db8:1111:2222:3333:4444:5555:6666",
		  "[2001:db8:1111:2222:3333:4444:5555:6666]:65535" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pd_addr addr = addr_of(cases[i].family, cases[i].ip, cases[i].port);
		char text[PD_ADDR_TEXT];

		assert_string_equal(pd_format__ip(text, &addr), cases[i].alone);
		assert_string_equal(pd_format__addr(text, &addr), cases[i].with_port);
	}
}

static void mapped_address_of_an_ipv6_socket_is_written_as_ipv4(void **state)
{
	struct pd_addr addr = addr_of(AF_INET6, "::ffff:192.0.2.7", 443);
	char text[PD_ADDR_TEXT];

	assert_string_equal(pd_format__addr(text, &addr), "192.0.2.7:443");
	addr = addr_of(AF_INET6, "::fffe:192.0.2.7", 443);
	assert_string_equal(pd_format__addr(text, &addr), "[::fffe:c000:207]:443");
}

static void bytes_are_rounded_down_to_two_digits_or_more(void **state)
{
	static const struct {
		__u64 bytes;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 1, "1" },
		{ 1023, "1023" },
		{ 1024, "1K" },
		{ 1535, "1.4K" },
		{ 1536, "1.5K" },
		{ 10239, "9.9K" },
		{ 10240, "10K" },
		{ 65536, "64K" },
		{ 1048575, "1023K" },
		{ 1048576, "1M" },
		{ 4U << 20, "4M" },
		{ 5368709120ULL, "5G" },
		{ 1ULL << 40, "1T" },
		{ 1ULL << 50, "1P" },
		{ 1ULL << 60, "1E" },
		{ UINT64_MAX, "15E" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[PD_BYTES_TEXT];

		assert_string_equal(pd_format__bytes(text, cases[i].bytes), cases[i].text);
	}
}

static void ages_have_two_units(void **state)
{
	static const struct {
		__u64 seconds;
		const char *text;
	} cases[] = {
		{ 0, "0s" },	     { 59, "59s" },	 { 60, "1m00s" },
		{ 185, "3m05s" },    { 3599, "59m59s" }, { 3600, "1h00m" },
		{ 86399, "23h59m" }, { 86400, "1d00h" }, { 200000, "2d07h" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[PD_AGE_TEXT];

		assert_string_equal(pd_format__age(text, cases[i].seconds), cases[i].text);
	}
	/* The largest fits. */
	assert_true(strlen(pd_format__age((char[PD_AGE_TEXT]){ 0 }, UINT64_MAX)) > 0);
}

static void time_of_an_event_is_utc_with_microseconds(void **state)
{
	char text[PD_TIME_TEXT], today[PD_TIME_TEXT];
	time_t before;
	int end = 0;

	/* Again if midnight came in between. */
	do {
		before = time(NULL);
		pd_format__time(text, pd_time__now());
	} while (time(NULL) / 86400 != before / 86400);
	strftime(today, sizeof(today), "%Y-%m-%d", gmtime(&before));
	assert_memory_equal(text, today, 10);
	assert_int_equal(sscanf(text, "%*4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*6dZ%n", &end), 0);
	assert_int_equal(strlen(text), strlen("2026-01-31T12:00:00.123456Z"));
}

static void each_reason_has_one_word_of_its_own(void **state)
{
	for (__u32 i = 0; i < PD_REASON_MAX; i++) {
		const char *name = pd_name__reason(i);

		assert_string_not_equal(name, "unknown");
		for (const char *c = name; *c; c++)
			assert_true(islower(*c) || *c == '_');
		for (__u32 j = 0; j < i; j++)
			assert_string_not_equal(name, pd_name__reason(j));
	}
	assert_string_equal(pd_name__reason(PD_REASON_MAX), "unknown");
	assert_string_equal(pd_name__reason(UINT32_MAX), "unknown");
}

static void words_users_and_scripts_rely_on(void **state)
{
	assert_string_equal(pd_name__reason(PD_REASON_OFF_HOST), "off_host");
	assert_string_equal(pd_name__reason(PD_REASON_MAP_FULL), "map_full");
	assert_string_equal(pd_name__state(PD_STATE_PAIRED), "paired");
	assert_string_equal(pd_name__path(PD_PATH_REDIRECTED), "redirected");
	assert_string_equal(pd_name__path(PD_PATH_TCP), "tcp");
	assert_string_equal(pd_name__engine(PD_ENGINE_TCP), "tcp");
	assert_string_equal(pd_name__engine(PD_ENGINE_SOCKMAP), "sockmap");
	assert_string_equal(pd_name__action(PD_ACTION_BYPASS), "bypass");
	assert_string_equal(pd_name__action(PD_ACTION_ACCELERATE), "accelerate");
	assert_string_equal(pd_name__event(PD_EVENT_DECLINE), "decline");
	assert_string_equal(pd_name__event(0), "unknown");
	assert_string_equal(pd_name__tcp_state(1), "estab");
}

static void reasons_of_a_direction_are_told_from_those_of_a_connection(void **state)
{
	assert_true(pd_reason__of_direction(PD_REASON_RACED));
	assert_true(pd_reason__of_direction(PD_REASON_OVERFLOW));
	assert_false(pd_reason__of_direction(PD_REASON_NONE));
	assert_false(pd_reason__of_direction(PD_REASON_OFF_HOST));
	assert_false(pd_reason__of_direction(PD_REASON_RELEASED));
	assert_false(pd_reason__of_direction(PD_REASON_MAX));
}

/* What pd_table__print() writes; to free. */
static char *printed(const struct pd_table *table, int indent)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	pd_table__print(table, out, indent);
	fclose(out);
	return text;
}

static void table_columns_are_aligned_and_lines_have_no_trailing_blank(void **state)
{
	struct pd_table *table = pd_table__new("NAME|>BYTES|WHY");
	char *text;

	pd_table__cell(table, "%s", "a");
	pd_table__cell(table, "%d", 12345678);
	pd_table__cell(table, "%s", "short");
	pd_table__cell(table, "%s", "longer name");
	pd_table__cell(table, "%d", 1);
	pd_table__cell(table, "%s", "");
	text = printed(table, 2);
	assert_string_equal(text, "  NAME            BYTES  WHY\n"
				  "  a            12345678  short\n"
				  "  longer name         1  -\n");
	free(text);
	pd_table__free(table);
}

static void table_without_rows_is_its_headings(void **state)
{
	struct pd_table *table = pd_table__new("ONE|>TWO");
	char *text = printed(table, 0);

	assert_string_equal(text, "ONE  TWO\n");
	free(text);
	pd_table__free(table);
	pd_table__free(NULL);
}

static void table_of_many_rows_grows(void **state)
{
	struct pd_table *table = pd_table__new(">N");
	size_t lines = 0;
	char *text;

	for (int i = 0; i < 10000; i++)
		pd_table__cell(table, "%d", i);
	text = printed(table, 0);
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 10001);
	free(text);
	pd_table__free(table);
}

static void table_cells_cannot_command_a_terminal(void **state)
{
	struct pd_table *table = pd_table__new("A|B");
	char *text;

	pd_table__cell(table, "%s", "\033[2Jx\n\x7f");
	/* Two columns wide, four bytes long. */
	pd_table__cell(table, "%s", "\xc3\xa9\xc3\xa9");
	pd_table__cell(table, "%s", "\xc3\xa9");
	pd_table__cell(table, "%s", "z");
	text = printed(table, 0);
	assert_string_equal(text, "A        B\n"
				  "?[2Jx??  \xc3\xa9\xc3\xa9\n"
				  "\xc3\xa9        z\n");
	free(text);
	pd_table__free(table);
}

static void json_has_all_digits_of_a_64_bit_number(void **state)
{
	cJSON *obj = cJSON_CreateObject();
	char *text;

	pd_json__u64(obj, "big", UINT64_MAX);
	pd_json__u64(obj, "odd", (1ULL << 53) + 1);
	pd_json__string(obj, "name", "web");
	pd_json__string(obj, "gone", NULL);
	text = cJSON_PrintUnformatted(obj);
	assert_string_equal(text, "{\"big\":18446744073709551615,\"odd\":9007199254740993,"
				  "\"name\":\"web\",\"gone\":null}");
	free(text);
	cJSON_Delete(obj);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_written_as_users_know_them),
		cmocka_unit_test(mapped_address_of_an_ipv6_socket_is_written_as_ipv4),
		cmocka_unit_test(bytes_are_rounded_down_to_two_digits_or_more),
		cmocka_unit_test(ages_have_two_units),
		cmocka_unit_test(time_of_an_event_is_utc_with_microseconds),
		cmocka_unit_test(each_reason_has_one_word_of_its_own),
		cmocka_unit_test(words_users_and_scripts_rely_on),
		cmocka_unit_test(reasons_of_a_direction_are_told_from_those_of_a_connection),
		cmocka_unit_test(table_columns_are_aligned_and_lines_have_no_trailing_blank),
		cmocka_unit_test(table_without_rows_is_its_headings),
		cmocka_unit_test(table_of_many_rows_grows),
		cmocka_unit_test(table_cells_cannot_command_a_terminal),
		cmocka_unit_test(json_has_all_digits_of_a_64_bit_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
