/* SPDX-License-Identifier: GPL-2.0-only */
/* The self-tests behind pd_defects[], each a pd_trial_fn of that pair only. */
#ifndef PD_DEFECT_TESTS_H
#define PD_DEFECT_TESTS_H

#include "trial.h"

void pd_test_splice(struct pd_trial *t);
void pd_test_fionread(struct pd_trial *t);
void pd_test_order(struct pd_trial *t);
void pd_test_charge(struct pd_trial *t);
void pd_test_rcvlowat(struct pd_trial *t);
void pd_test_reset(struct pd_trial *t);
void pd_test_backpressure(struct pd_trial *t);
void pd_test_shutdown(struct pd_trial *t);
void pd_test_two_readers(struct pd_trial *t);
void pd_test_half_close(struct pd_trial *t);
void pd_test_waiting_reader(struct pd_trial *t);
void pd_test_oob(struct pd_trial *t);
void pd_test_inq(struct pd_trial *t);
void pd_test_peek_off(struct pd_trial *t);
void pd_test_timestamps(struct pd_trial *t);
void pd_test_trunc(struct pd_trial *t);
void pd_test_zerocopy_receive(struct pd_trial *t);
void pd_test_msg_more(struct pd_trial *t);
void pd_test_waitall(struct pd_trial *t);
void pd_test_zerocopy_send(struct pd_trial *t);
/* defect_faults.c */
void pd_test_reader_faults(struct pd_trial *t);
void pd_test_late_reset(struct pd_trial *t);
/* defect_ring.c */
void pd_test_send_zc(struct pd_trial *t);
/* defect_stream.c */
void pd_test_small_stream(struct pd_trial *t);

#endif /* PD_DEFECT_TESTS_H */
