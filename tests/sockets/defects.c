// SPDX-License-Identifier: GPL-2.0-only
/* What the engines are known to do differently from TCP. A case that is named
 * here has to fail, so that an entry goes when its defect does.
 */
#include "run.h"

/* ---- sockmap, on every kernel ------------------------------------------------- */

#define SPLICE "splice() does not see redirected bytes: it waits, or says EAGAIN or end of file"
#define WAITALL "MSG_WAITALL is ignored"
#define NO_DATA "a blocking recv() that is woken without data returns EAGAIN"
#define AT_TIMES "a blocking recv() woken without data returns EAGAIN: if it sleeps at that moment"
#define NOTHING "recv() of no bytes returns 0 without looking"
#define TRUNC "recv(MSG_TRUNC) copies into the buffer instead of discarding"
#define EFAULT_LOST "send() from a bad pointer returns 0: on 6.18, not on 6.12"
#define MORE "MSG_MORE and TCP_CORK hold nothing back"
#define PEEK_OFF "SO_PEEK_OFF is ignored"
#define LOWAT "SO_RCVLOWAT is ignored"
#define LOWAT_RACE "SO_RCVLOWAT is ignored: seen if the reader is quicker than the sender"
#define BUFFERS "the bound counts, not SO_RCVBUF and SO_SNDBUF"
#define DROPPED \
	"redirected bytes fill the receive buffer: TCP drops what follows, and repeats it later"
#define UNREAD "close() with unread data sends FIN, not RST"
#define NOBODY "data for a socket that receives no more is queued, not answered by RST"
#define HELD "send() waits while the reader copies: for ever if a page of its buffer never comes"
#define FORGOTTEN "the error that cuts a send short is forgotten, the next says EPIPE"
#define STALE "unread data outlives connect(AF_UNSPEC)"
#define LOST_RESET "a reset is lost: if it comes while the reader is inside recv() with much unread"
#define UNCONNECTED "recv() on a socket without a connection waits: if it did not sleep before"
#define OOB "urgent data is lost or ordinary, recv(MSG_OOB) waits for ordinary data"
#define COMPLETION "the completion of MSG_ZEROCOPY never comes"
#define ZEROCOPY_RECEIVE "TCP_ZEROCOPY_RECEIVE does not see the data"
#define INQ "TCP_INQ does not come"
#define STAMPS "neither received nor sent data is stamped"
#define SEND_ZC "SEND_ZC of io_uring gives EOPNOTSUPP"
#define HOLE "bytes are lost: io_uring goes on behind what a partial send took, not what it sent"

static const struct defect sockmap_defects[] = {
	{ "splice_takes_what_is_there", SPLICE, false },
	{ "splice_waits_until_data_comes", SPLICE, false },
	{ "splice_gives_eagain_when_empty", SPLICE, false },
	{ "splice_gets_the_end_after_the_data", SPLICE, false },
	{ "splice_goes_on_after_recv", SPLICE, false },
	{ "splicing_proxy_carries_both_ways", SPLICE, false },
	{ "waitall_waits_for_all", WAITALL, false },
	{ "waitall_returns_what_came_before_the_end", WAITALL, false },
	{ "waitall_returns_what_came_before_a_signal", WAITALL, false },
	{ "waitall_may_ask_for_more_than_the_buffers_hold", WAITALL, false },
	{ "peek_of_all_waits_for_all", WAITALL, false },
	{ "peek_of_all_ends_with_its_timeout", WAITALL, false },
	{ "peek_of_all_waits_for_what_comes_in_turns", WAITALL, false },
	{ "recv_of_all_goes_on_after_release", WAITALL, false },
	{ "recv_of_all_that_drains_lets_release_end", WAITALL, false },
	{ "peek_of_all_goes_on_after_release", WAITALL, false },
	{ "tcp_inq_comes_once_for_a_call", WAITALL, false },
	{ "so_timestamp_comes_once_for_a_call", WAITALL, false },
	{ "so_timestamp_stays_when_the_end_comes", WAITALL, false },
	{ "shutdown_of_sending_leaves_a_blocked_reader_asleep", NO_DATA, false },
	{ "shutdown_of_receiving_wakes_a_blocked_reader", NO_DATA, false },
	{ "blocked_reader_is_told_of_a_reset", NO_DATA, false },
	{ "several_readers_get_each_byte_once", NO_DATA, false },
	{ "second_reader_sleeps_on_for_the_second_message", NO_DATA, false },
	{ "all_blocked_readers_get_the_end", NO_DATA, false },
	{ "several_processes_read_each_byte_once", NO_DATA, false },
	{ "signal_ends_a_blocked_recv_with_eintr", NO_DATA, false },
	{ "recv_is_restarted_if_asked_for", NO_DATA, false },
	{ "recv_with_a_timeout_is_not_restarted", NO_DATA, false },
	{ "stopped_and_continued_reader_reads_on", NO_DATA, false },
	{ "word_sent_to_a_stopped_reader_is_read_later", NO_DATA, false },
	{ "half_closed_end_waits_for_its_reply", AT_TIMES, true },
	{ "storm_of_signals_loses_nothing", AT_TIMES, true },
	{ "options_change_while_bytes_flow", AT_TIMES, true },
	{ "recv_of_nothing_gives_eagain_when_empty", NOTHING, false },
	{ "trunc_discards_without_a_buffer", TRUNC, false },
	{ "trunc_leaves_the_buffer_as_it_was", TRUNC, false },
	{ "peek_with_trunc_counts_without_a_buffer", TRUNC, false },
	{ "bad_source_gives_efault_and_sends_nothing", EFAULT_LOST, true },
	{ "msg_more_is_held_back_for_the_rest", MORE, false },
	{ "cork_holds_back_until_it_is_pulled", MORE, false },
	{ "siocoutqnsd_counts_what_is_corked", MORE, false },
	{ "peek_off_moves_with_each_peek", PEEK_OFF, false },
	{ "peek_off_moves_through_what_came_in_turns", PEEK_OFF, false },
	{ "peek_off_passes_over_the_urgent_byte", PEEK_OFF, false },
	{ "peek_off_moves_back_as_data_is_read", PEEK_OFF, false },
	{ "poll_waits_for_rcvlowat", LOWAT, false },
	{ "edge_comes_with_rcvlowat_only", LOWAT, false },
	{ "recv_waits_for_rcvlowat", LOWAT, false },
	{ "lower_rcvlowat_wakes_who_waits", LOWAT, false },
	{ "recv_wakes_whichever_way_the_rest_comes", LOWAT, false },
	{ "poll_wakes_whichever_way_the_rest_comes", LOWAT, false },
	{ "edge_comes_whichever_way_the_rest_comes", LOWAT, false },
	{ "sums_of_many_sizes_wake", LOWAT_RACE, true },
	{ "small_buffers_stop_a_sender_soon", BUFFERS, false },
	{ "blocked_sender_goes_on_when_read", DROPPED, true },
	{ "sendfile_to_a_full_socket_goes_on_later", DROPPED, true },
	{ "close_with_unread_data_resets_the_peer", UNREAD, false },
	{ "close_with_a_part_unread_resets_the_peer", UNREAD, false },
	{ "process_killed_with_unread_data_is_a_reset", UNREAD, false },
	{ "reader_that_waits_for_a_page_can_be_killed", UNREAD, false },
	{ "sender_does_not_wait_longer_for_a_reader_whose_page_never_comes", HELD, false },
	{ "sender_closes_while_a_reader_waits_for_a_page", HELD, false },
	{ "reset_that_cuts_a_send_short_is_told_of_next", FORGOTTEN, false },
	{ "data_after_shutdown_of_both_is_answered_by_a_reset", NOBODY, false },
	{ "disconnected_socket_has_no_peer", STALE, false },
	{ "reader_may_be_disconnected_in_a_stream", UNCONNECTED, true },
	{ "sender_may_be_disconnected_in_a_stream", LOST_RESET, true },
	{ "urgent_byte_is_read_apart", OOB, false },
	{ "recv_stops_at_the_mark", OOB, false },
	{ "recv_that_waits_for_all_stops_at_the_mark", OOB, false },
	{ "peek_of_all_stops_at_the_mark", OOB, false },
	{ "urgent_byte_inline_is_part_of_the_stream", OOB, false },
	{ "urgent_byte_raises_sigurg", OOB, false },
	{ "mark_comes_after_what_was_sent_before", OOB, false },
	{ "inline_mark_comes_after_what_was_sent_before", OOB, false },
	{ "without_urgent_data_oob_gives_einval", OOB, false },
	{ "zerocopy_send_arrives_and_completes", COMPLETION, false },
	{ "each_zerocopy_send_completes_once", COMPLETION, false },
	{ "zerocopy_and_other_sends_keep_their_order", COMPLETION, false },
	{ "zerocopy_receive_copies_what_is_small", ZEROCOPY_RECEIVE, false },
	{ "zerocopy_receive_loses_nothing_that_is_unread", ZEROCOPY_RECEIVE, false },
	{ "tcp_inq_tells_what_is_left", INQ, false },
	{ "tcp_inq_counts_what_is_there_already", INQ, false },
	{ "tcp_inq_is_not_0_before_the_end", INQ, false },
	{ "so_timestamp_stamps_data", STAMPS, false },
	{ "so_timestampns_stamps_data", STAMPS, false },
	{ "so_timestamping_stamps_received_data", STAMPS, false },
	{ "so_timestamping_stamps_what_is_acknowledged", STAMPS, false },
	{ "uring_zerocopy_send_arrives_and_completes", SEND_ZC, false },
	{ "uring_send_to_a_stalled_reader_completes_when_read", HOLE, false },
	{ "uring_send_goes_on_after_release", HOLE, false },
	{ 0 },
};

/* ---- cpu, if every byte is redirected ------------------------------------------- */

#define NO_SEGMENTS MORE ", as there are no segments to fill"
#define NO_QUEUE "redirected bytes are in the reader's buffer at once: none is unacknowledged"

static const struct defect module_differences[] = {
	{ "msg_more_is_held_back_for_the_rest", NO_SEGMENTS, false },
	{ "cork_holds_back_until_it_is_pulled", NO_SEGMENTS, false },
	{ "siocoutq_counts_what_a_full_socket_holds", NO_QUEUE, false },
	{ "siocoutqnsd_counts_what_is_corked", NO_SEGMENTS, false },
	{ 0 },
};

/* ---- all engines ----------------------------------------------------------------- */

static const struct defect never[] = {
	{ "socket_connected_to_itself_hears_itself", "both ends are one socket", false },
	{ 0 },
};

static const struct defect none[] = {
	{ 0 },
};

const struct defect *defects_of(const char *engine)
{
	if (!strcmp(engine, "sockmap"))
		return sockmap_defects;
	/* Else a first message goes over TCP, and with it what these cases send. */
	return strcmp(engine, "tcp") && place.poll_first ? module_differences : none;
}

static const struct defect *find(const struct defect *defect, const char *name)
{
	while (defect->name && strcmp(defect->name, name))
		defect++;
	return defect->name ? defect : NULL;
}

const struct defect *defect_of(const char *engine, const char *name)
{
	return find(defects_of(engine), name);
}

/* Once a bad buffer has cut recv() short on sockmap, the kernel goes on with pages that it has freed
 * (sk_msg_recvmsg() does not say that it is done with them; seen on 6.18).
 */
#define FREED "the kernel uses pages that it has freed once recv() into a bad buffer was cut short"

static const struct defect sockmap_harms[] = {
	{ "memory_may_be_unmapped_while_it_is_filled", FREED, false },
	{ "memory_may_be_moved_while_it_is_filled", FREED, false },
	{ "file_may_be_truncated_while_it_is_filled", FREED, false },
	{ 0 },
};

const char *harm_of(const char *engine, const char *name)
{
	const struct defect *found = strcmp(engine, "sockmap") ? NULL : find(sockmap_harms, name);

	return found ? found->reason : NULL;
}

const char *never_accelerated(const char *name)
{
	const struct defect *found = find(never, name);

	return found ? found->reason : NULL;
}
