/* SPDX-License-Identifier: GPL-2.0-only */
/* compat.h asks for it; nothing of it is used here. */
