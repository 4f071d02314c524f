/* SPDX-License-Identifier: GPL-2.0-only */
/* What the module says of its DMA engine: read, refused where it is malformed, and shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "engine_report.h"

#define HEAD "dma on\nchannels_wanted 0\ntimeout_ms 1000\n"
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const char good[] =
	"dma on\n"
	"channels_wanted 4\n"
	"timeout_ms 250\n"
	"channel dma0chan0 xilinx-zynqmp-dma -1 32 active 12 1572864 0 0\n"
	"channel dma1chan0 - 1 0 retired 18446744073709551615 18446744073709551615 7 3\n"
	"refused dma2chan0 ioatdma can't reach memory above 4 GiB\n"
	"refused dma3chan0 - busy\n"
	"threshold 0 65536\n"
	"threshold 1 never\n"
	"threshold_set 1 1048576\n"
	"threshold_huge 0 4096\n"
	"threshold_huge 1 never\n"
	"measured 0 4096 700 1500 2100\n"
	"measured 0 1048576 150000 141000 40000\n"
	"measured 1 4096 700 0 0\n"
	"measured_huge 0 4096 700 600 600\n"
	"measured_huge 1 1048576 150000 40000 0\n";

static int parse_bytes(const char *text, size_t len, struct pd_engines *engines,
		       char why[PD_ENGINE_WHY])
{
	FILE *file = fmemopen((char *)text, len, "r");
	int err;

	assert_non_null(file);
	err = pd_engine_file__parse(file, engines, why);
	fclose(file);
	return err;
}

static int parse(const char *text, struct pd_engines *engines, char why[PD_ENGINE_WHY])
{
	return parse_bytes(text, strlen(text), engines, why);
}

static void every_line_that_the_module_writes_is_read(void **state)
{
	struct pd_engines engines;
	char why[PD_ENGINE_WHY];

	assert_int_equal(parse(good, &engines, why), 0);
	assert_true(engines.on);
	assert_true(engines.wanted == 4);
	assert_true(engines.timeout_ms == 250);

	assert_int_equal(engines.nr_channels, 2);
	assert_string_equal(engines.channels[0].name, "dma0chan0");
	assert_string_equal(engines.channels[0].driver, "xilinx-zynqmp-dma");
	assert_int_equal(engines.channels[0].node, -1);
	assert_true(engines.channels[0].depth == 32);
	assert_string_equal(engines.channels[0].state, "active");
	assert_true(engines.channels[0].copies == 12);
	assert_true(engines.channels[0].bytes == 1572864);
	assert_string_equal(engines.channels[1].driver, "");
	assert_int_equal(engines.channels[1].node, 1);
	assert_true(engines.channels[1].depth == 0);
	assert_string_equal(engines.channels[1].state, "retired");
	assert_true(engines.channels[1].copies == UINT64_MAX);
	assert_true(engines.channels[1].bytes == UINT64_MAX);
	assert_true(engines.channels[1].errors == 7);
	assert_true(engines.channels[1].timeouts == 3);
	assert_int_equal(pd_engine_report__active(&engines), 1);

	assert_int_equal(engines.nr_refused, 2);
	assert_string_equal(engines.refused[0].name, "dma2chan0");
	assert_string_equal(engines.refused[0].driver, "ioatdma");
	assert_string_equal(engines.refused[0].reason, "can't reach memory above 4 GiB");
	assert_string_equal(engines.refused[1].driver, "");
	assert_string_equal(engines.refused[1].reason, "busy");

	assert_int_equal(engines.nr_thresholds, 2);
	assert_true(engines.thresholds[0].bytes == 65536);
	assert_true(engines.thresholds[0].huge_bytes == 4096);
	assert_true(engines.thresholds[1].bytes == 1048576);
	assert_true(engines.thresholds[1].huge_bytes == PD_ENGINE_NEVER);

	assert_int_equal(engines.nr_measured, 5);
	assert_true(engines.measured[1].size == 1048576);
	assert_true(engines.measured[1].cpu_ns == 150000);
	assert_true(engines.measured[1].one_ns == 141000);
	assert_true(engines.measured[1].all_ns == 40000);
	assert_int_equal(engines.measured[2].node, 1);
	assert_false(engines.measured[2].huge);
	assert_true(engines.measured[3].huge);
	assert_true(engines.measured[4].huge);
	assert_int_equal(engines.measured[4].node, 1);
	assert_true(engines.measured[4].one_ns == 40000);
	pd_engine_file__free(&engines);
}

static void threshold_set_by_hand_is_in_force_whichever_line_comes_first(void **state)
{
	static const char *const texts[] = {
		HEAD "threshold 0 4096\nthreshold_set 0 never\nthreshold 1 8192\n",
		HEAD "threshold_set 0 never\nthreshold 0 4096\nthreshold 1 8192\n",
		HEAD "threshold_set 0 never\nthreshold 1 8192\n",
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct pd_engines engines;
		char why[PD_ENGINE_WHY];

		assert_int_equal(parse(texts[i], &engines, why), 0);
		assert_int_equal(engines.nr_thresholds, 2);
		assert_int_equal(engines.thresholds[0].node, 0);
		assert_true(engines.thresholds[0].by_hand);
		assert_true(engines.thresholds[0].bytes == PD_ENGINE_NEVER);
		assert_int_equal(engines.thresholds[1].node, 1);
		assert_false(engines.thresholds[1].by_hand);
		assert_true(engines.thresholds[1].bytes == 8192);
		pd_engine_file__free(&engines);
	}
}

static void threshold_of_huge_pages_stands_by_the_other_whichever_line_comes_first(void **state)
{
	static const char *const texts[] = {
		HEAD "threshold 0 4096\nthreshold_huge 0 8192\n",
		HEAD "threshold_huge 0 8192\nthreshold 0 4096\n",
		HEAD "threshold_huge 0 8192\nthreshold_set 0 4096\nthreshold 0 1\n",
		HEAD "threshold 0 1\nthreshold_huge 0 8192\nthreshold_set 0 4096\n",
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct pd_engines engines;
		char why[PD_ENGINE_WHY];

		assert_int_equal(parse(texts[i], &engines, why), 0);
		assert_int_equal(engines.nr_thresholds, 1);
		assert_true(engines.thresholds[0].by_hand == (i > 1));
		assert_true(engines.thresholds[0].bytes == 4096);
		assert_true(engines.thresholds[0].huge_bytes == 8192);
		pd_engine_file__free(&engines);
	}
}

static void threshold_of_an_older_module_is_that_of_huge_pages_too(void **state)
{
	struct pd_engines engines;
	char why[PD_ENGINE_WHY];

	assert_int_equal(parse(HEAD "threshold 0 4096\nthreshold 1 never\nthreshold_set 1 1\n",
			       &engines, why),
			 0);
	assert_true(engines.thresholds[0].huge_bytes == 4096);
	assert_true(engines.thresholds[1].huge_bytes == 1);
	pd_engine_file__free(&engines);
}

static void module_without_channels_and_lines_of_a_newer_one_are_read(void **state)
{
	struct pd_engines engines;
	char why[PD_ENGINE_WHY];

	assert_int_equal(parse("timeout_ms 60000\ndma off\nbatch 16 of 32\ncolour\n"
			       "channels_wanted 0\n",
			       &engines, why),
			 0);
	assert_false(engines.on);
	assert_true(engines.timeout_ms == 60000);
	assert_int_equal(engines.nr_channels, 0);
	assert_int_equal(pd_engine_report__active(&engines), 0);
	pd_engine_file__free(&engines);
}

static void malformed_line_is_refused_and_named(void **state)
{
	static const char *const lines[] = {
		"\n",
		" dma on\n",
		"dma on\n", /* again */
		"timeout_ms 5\n",
		"channels_wanted 5\n",
		"channel\n",
		"channel dma0chan0\n",
		"channel dma0chan0 x 0 32 active 1 2 3\n",
		"channel dma0chan0 x 0 32 active 1 2 3 4 5\n",
		"channel dma0chan0 x 0 32 active 1 2 3 4 \n",
		"channel dma0chan0  0 32 active 1 2 3 4\n",
		"channel dma0chan0 x  0 32 active 1 2 3 4\n",
		"channel dma0chan0 x 0\t32 active 1 2 3 4\n",
		"channel dma0chan0 x zero 32 active 1 2 3 4\n",
		"channel dma0chan0 x -2 32 active 1 2 3 4\n",
		"channel dma0chan0 x 4294967296 32 active 1 2 3 4\n",
		"channel dma0chan0 x 0 -1 active 1 2 3 4\n",
		"channel dma0chan0 x 0 32 active 1 18446744073709551616 3 4\n",
		"channel dma0chan0 x 0 32 active 1 2 3 4x\n",
		"channel dma0chan0 x 0 32 active 0x1 2 3 4\n",
		"channel dma0chan0 x 0 32 overlong-for-a-state 1 2 3 4\n",
		"channel an-overlong-name-for-a-dma-channel x 0 32 active 1 2 3 4\n",
		"refused dma0chan0 x\n",
		"refused dma0chan0 x \n",
		"threshold 0\n",
		"threshold all 4096\n",
		"threshold 0 4K\n",
		"threshold 0 Never\n",
		"threshold 0 4096 8192\n",
		"threshold_set 0 \n",
		"threshold 0 4096\nthreshold 0 8192\n",
		"threshold_set 0 4096\nthreshold_set 0 4096\n",
		"threshold_huge\n",
		"threshold_huge 0\n",
		"threshold_huge all 4096\n",
		"threshold_huge 0 4K\n",
		"threshold_huge 0 4096 8192\n",
		"threshold 0 1\nthreshold_huge 0 4096\nthreshold_huge 0 4096\n",
		"measured 0 4096 1 2\n",
		"measured 0 4096 1 2 -3\n",
		"measured 0 4096 1 2 3 4\n",
		"measured_huge 0 4096 1 2\n",
		"measured_huge 0 4096 1 2 3 4\n",
		"measured_huge 0 4096 1 2 -3\n",
		"measured 0 4096 1 2 3", /* cut off: 3 may be the beginning of 34 */
	};

	for (size_t i = 0; i < COUNT(lines); i++) {
		char text[512], why[PD_ENGINE_WHY] = "";
		struct pd_engines engines;

		snprintf(text, sizeof(text), HEAD "%s", lines[i]);
		if (parse(text, &engines, why) != -EPROTO)
			fail_msg("accepted: %s", lines[i]);
		if (strncmp(why, "line ", 5) || why[5] < '4' || why[5] > '6')
			fail_msg("%s: %s", lines[i], why);
		assert_null(engines.channels);
		assert_null(engines.thresholds);
		assert_null(engines.measured);
	}
}

static void text_without_a_line_that_must_be_there_is_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "\n", "line 1 is not understood: ''" },
		{ "dma maybe\n", "line 1 is not understood: 'dma maybe'" },
		{ "dma\n", "line 1 is not understood: 'dma'" },
		{ "channels_wanted 0\ntimeout_ms 1\n", "it has no line dma" },
		{ "dma on\ntimeout_ms 1\n", "it has no line channels_wanted" },
		{ "dma on\nchannels_wanted 0\n", "it has no line timeout_ms" },
		{ "unknown\n", "it has no line dma" },
		{ HEAD "threshold 0 1\nthreshold_huge 1 1\n",
		  "it has a line threshold_huge 1 and no line threshold 1" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char why[PD_ENGINE_WHY] = "";
		struct pd_engines engines;

		assert_int_equal(parse(cases[i].text, &engines, why), -EPROTO);
		assert_string_equal(why, cases[i].why);
	}
}

static void nul_byte_in_a_line_is_refused(void **state)
{
	static const char text[] = "dma on\0 or off\nchannels_wanted 0\ntimeout_ms 1\n";
	char why[PD_ENGINE_WHY] = "";
	struct pd_engines engines;

	assert_int_equal(parse_bytes(text, sizeof(text) - 1, &engines, why), -EPROTO);
	assert_string_equal(why, "line 1 is not understood: 'dma on'");
}

static void file_that_cannot_be_read_says_so(void **state)
{
	FILE *file = fopen("/", "re");
	char why[PD_ENGINE_WHY] = "";
	struct pd_engines engines;

	assert_non_null(file);
	assert_int_equal(pd_engine_file__parse(file, &engines, why), -EISDIR);
	assert_string_equal(why, strerror(EISDIR));
	fclose(file);
}

/* Every prefix is read or refused, and nothing is read beyond it: for the sanitizers. */
static void text_cut_off_anywhere_is_never_half_read(void **state)
{
	for (size_t len = 1; len < sizeof(good) - 1; len++) {
		char *copy = malloc(len), why[PD_ENGINE_WHY];
		struct pd_engines engines;
		int err;

		assert_non_null(copy);
		memcpy(copy, good, len);
		err = parse_bytes(copy, len, &engines, why);
		if (!err && copy[len - 1] != '\n')
			fail_msg("accepted without its end: %zu bytes", len);
		if (!err)
			pd_engine_file__free(&engines);
		free(copy);
	}
}

static void times_and_rates_have_three_digits_and_a_unit(void **state)
{
	static const struct {
		__u64 ns;
		const char *text;
	} times[] = {
		{ 0, "" },
		{ 1, "1 ns" },
		{ 999, "999 ns" },
		{ 1000, "1.00 us" },
		{ 9994, "9.99 us" },
		{ 9996, "10.0 us" },
		{ 12345, "12.3 us" },
		{ 150000, "150 us" },
		{ 999499, "999 us" },
		{ 999500, "1.00 ms" },
		{ 1234567, "1.23 ms" },
		{ 2000000000, "2.00 s" },
		{ 5000000000000, "5000 s" },
	};
	static const struct {
		__u64 bytes, ns;
		const char *text;
	} rates[] = {
		{ 4096, 0, "" },	{ 0, 5, "0.000" },	    { 4096, 80000, "0.051" },
		{ 4096, 1000, "4.10" }, { 1048576, 40000, "26.2" }, { 1000, 1, "1000" },
	};
	char text[PD_NS_TEXT];

	for (size_t i = 0; i < COUNT(times); i++)
		assert_string_equal(pd_engine_report__ns(text, times[i].ns), times[i].text);
	for (size_t i = 0; i < COUNT(rates); i++)
		assert_string_equal(pd_engine_report__rate(text, rates[i].bytes, rates[i].ns),
				    rates[i].text);
}

static void report_shows_channels_thresholds_and_what_was_measured(void **state)
{
	static const char expected[] =
		"DMA is on: 1 of 2 channels active (4 wanted); what a channel has not copied after "
		"250 ms the CPU copies\n"
		"\n"
		"DMA CHANNEL  DRIVER             NODE  DEPTH  STATE                  COPIES  BYTES  "
		"ERRORS  TIMEOUTS\n"
		"dma0chan0    xilinx-zynqmp-dma    -1     32  active                     12   1.5M  "
		"     0         0\n"
		"dma1chan0    -                     1      -  retired  18446744073709551615    15E  "
		"     7         3\n"
		"\n"
		"NOT USED   DRIVER   WHY\n"
		"dma2chan0  ioatdma  can't reach memory above 4 GiB\n"
		"dma3chan0  -        busy\n"
		"\n"
		"NODE  DMA FROM  IN HUGE PAGES  WHICH WAS\n"
		"   0       64K             4K  measured\n"
		"   1        1M          never  set by hand\n"
		"\n"
		"NODE  PAGES     COPY OF     CPU  GB/s  ONE CHANNEL  GB/s  ALL CHANNELS  GB/s  FASTER"
		"  COPIED BY\n"
		"   0  ordinary       4K  700 ns  5.85      1.50 us  2.73       2.10 us  1.95  cpu   "
		"  cpu\n"
		"   0  ordinary       1M  150 us  6.99       141 us  7.44       40.0 us  26.2  dma   "
		"  dma\n"
		"   1  ordinary       4K  700 ns  5.85            -     -             -     -  -     "
		"  cpu\n"
		"   0  huge           4K  700 ns  5.85       600 ns  6.83        600 ns  6.83  dma   "
		"  dma\n"
		"   1  huge           1M  150 us  6.99      40.0 us  26.2             -     -  dma   "
		"  cpu\n";
	struct pd_engines engines;
	char why[PD_ENGINE_WHY];
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_int_equal(parse(good, &engines, why), 0);
	pd_engine_report__text(&engines, out);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	pd_engine_file__free(&engines);
}

static const cJSON *item(const cJSON *doc, const char *list, int index, const char *key)
{
	const cJSON *found = cJSON_GetArrayItem(cJSON_GetObjectItem(doc, list), index);

	found = cJSON_GetObjectItem(found, key);
	if (!found)
		fail_msg("no %s[%d].%s", list, index, key);
	return found;
}

static void json_has_the_same_and_null_for_what_is_not_there(void **state)
{
	struct pd_engines engines;
	char why[PD_ENGINE_WHY];
	char *text;
	cJSON *doc;

	assert_int_equal(parse(good, &engines, why), 0);
	doc = pd_engine_report__json(&engines);
	text = cJSON_PrintUnformatted(doc);
	/* In full: a double would have lost its last digits. */
	assert_non_null(strstr(text, "\"copies\":18446744073709551615"));
	cJSON_Delete(doc);
	doc = cJSON_Parse(text);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(doc, "dma")));
	assert_int_equal(cJSON_GetObjectItem(doc, "channels_wanted")->valueint, 4);
	assert_int_equal(cJSON_GetObjectItem(doc, "timeout_ms")->valueint, 250);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "channels")), 2);
	assert_true(cJSON_IsNull(item(doc, "channels", 1, "driver")));
	assert_int_equal(item(doc, "channels", 0, "node")->valueint, -1);
	assert_string_equal(item(doc, "refused", 0, "reason")->valuestring,
			    "can't reach memory above 4 GiB");
	assert_int_equal(item(doc, "thresholds", 0, "bytes")->valueint, 65536);
	assert_string_equal(item(doc, "thresholds", 0, "by")->valuestring, "measured");
	assert_int_equal(item(doc, "thresholds", 1, "bytes")->valueint, 1048576);
	assert_string_equal(item(doc, "thresholds", 1, "by")->valuestring, "hand");
	assert_int_equal(item(doc, "thresholds", 0, "huge_bytes")->valueint, 4096);
	assert_true(cJSON_IsNull(item(doc, "thresholds", 1, "huge_bytes")));
	assert_string_equal(item(doc, "measured", 1, "pages")->valuestring, "ordinary");
	assert_string_equal(item(doc, "measured", 4, "pages")->valuestring, "huge");
	assert_string_equal(item(doc, "measured", 4, "copied_by")->valuestring, "cpu");
	assert_string_equal(item(doc, "measured", 1, "faster")->valuestring, "dma");
	assert_string_equal(item(doc, "measured", 1, "copied_by")->valuestring, "dma");
	assert_true(cJSON_IsNull(item(doc, "measured", 2, "one_ns")));
	assert_true(cJSON_IsNull(item(doc, "measured", 2, "faster")));
	cJSON_Delete(doc);
	free(text);
	pd_engine_file__free(&engines);
}

static void threshold_never_is_null_and_leaves_all_to_the_cpu(void **state)
{
	struct pd_engines engines;
	char why[PD_ENGINE_WHY];
	cJSON *doc;

	assert_int_equal(parse(HEAD "threshold 0 never\nmeasured 0 4096 9 5 5\n", &engines, why),
			 0);
	doc = pd_engine_report__json(&engines);
	assert_true(cJSON_IsNull(item(doc, "thresholds", 0, "bytes")));
	assert_string_equal(item(doc, "measured", 0, "faster")->valuestring, "dma");
	assert_string_equal(item(doc, "measured", 0, "copied_by")->valuestring, "cpu");
	cJSON_Delete(doc);
	pd_engine_file__free(&engines);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_that_the_module_writes_is_read),
		cmocka_unit_test(threshold_set_by_hand_is_in_force_whichever_line_comes_first),
		cmocka_unit_test(
			threshold_of_huge_pages_stands_by_the_other_whichever_line_comes_first),
		cmocka_unit_test(threshold_of_an_older_module_is_that_of_huge_pages_too),
		cmocka_unit_test(module_without_channels_and_lines_of_a_newer_one_are_read),
		cmocka_unit_test(malformed_line_is_refused_and_named),
		cmocka_unit_test(text_without_a_line_that_must_be_there_is_refused),
		cmocka_unit_test(nul_byte_in_a_line_is_refused),
		cmocka_unit_test(file_that_cannot_be_read_says_so),
		cmocka_unit_test(text_cut_off_anywhere_is_never_half_read),
		cmocka_unit_test(times_and_rates_have_three_digits_and_a_unit),
		cmocka_unit_test(report_shows_channels_thresholds_and_what_was_measured),
		cmocka_unit_test(json_has_the_same_and_null_for_what_is_not_there),
		cmocka_unit_test(threshold_never_is_null_and_leaves_all_to_the_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
