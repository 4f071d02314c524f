/* SPDX-License-Identifier: GPL-2.0-only */
/* Switching the module's DMA engine on and off, for `pdload up`. */
#include <errno.h>
#include <string.h>

#include "dma.h"

/* Why there is no channel: what the module says of the first that it does not use. */
static void explain_none(char why[PD_ENGINE_WHY])
{
	struct pd_engines engines;
	char unread[PD_ENGINE_WHY];

	snprintf(why, PD_ENGINE_WHY, "this host has no DMA channel that copies memory");
	if (pd_engine_file__read(&engines, unread))
		return;
	if (engines.nr_refused)
		snprintf(why, PD_ENGINE_WHY,
			 "of the DMA channels of this host none can be used, %s for one: %s",
			 engines.refused[0].name, engines.refused[0].reason);
	pd_engine_file__free(&engines);
}

static int switch_on(char why[PD_ENGINE_WHY])
{
	int err = pd_engine_file__command("dma on");

	if (err == -ENODEV)
		explain_none(why);
	else if (err)
		snprintf(why, PD_ENGINE_WHY, "the module can't switch DMA on: %s; see dmesg",
			 strerror(-err));
	return err;
}

static int calibrate(char why[PD_ENGINE_WHY])
{
	int err;

	p_progress("measuring the DMA channels against the CPU, which takes some seconds");
	err = pd_engine_file__command("calibrate");
	if (err)
		snprintf(why, PD_ENGINE_WHY, "the module can't measure the DMA channels: %s",
			 strerror(-err));
	return err;
}

int pd_dma__start(bool *switched, char why[PD_ENGINE_WHY])
{
	struct pd_engines engines;
	bool measured;
	int err;

	*switched = false;
	err = pd_engine_file__read(&engines, why);
	if (err == -ENOENT)
		snprintf(why, PD_ENGINE_WHY, "the pipedevice.ko that is loaded has no DMA engine");
	if (err)
		return err;
	if (!engines.on) {
		pd_engine_file__free(&engines);
		err = switch_on(why);
		if (err)
			return err;
		*switched = true;
		err = pd_engine_file__read(&engines, why);
		if (err)
			goto stop;
	}
	measured = engines.nr_measured;
	pd_engine_file__free(&engines);
	if (measured)
		return 0;
	err = calibrate(why);
	if (!err)
		return 0;
stop:
	if (*switched)
		pd_dma__stop();
	*switched = false;
	return err;
}

int pd_dma__stop(void)
{
	int err = pd_engine_file__command("dma off");

	return err == -ENOENT ? 0 : err;
}
