/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_BITMAP_H
#define KERNEL_LINUX_BITMAP_H

#include <linux/kernel.h>

#define BITS_PER_LONG 64
#define DECLARE_BITMAP(name, bits) unsigned long name[((bits) + BITS_PER_LONG - 1) / BITS_PER_LONG]

static inline unsigned int __ffs(unsigned long word)
{
	return __builtin_ctzl(word);
}

static inline void __set_bit(unsigned int bit, unsigned long *map)
{
	map[bit / BITS_PER_LONG] |= 1UL << bit % BITS_PER_LONG;
}

static inline void __clear_bit(unsigned int bit, unsigned long *map)
{
	map[bit / BITS_PER_LONG] &= ~(1UL << bit % BITS_PER_LONG);
}

static inline void bitmap_set(unsigned long *map, unsigned int start, unsigned int bits)
{
	for (; bits; bits--)
		__set_bit(start++, map);
}

/* @bits if none is set. */
static inline unsigned int find_first_bit(const unsigned long *map, unsigned int bits)
{
	unsigned int i;

	for (i = 0; i < bits; i++)
		if (map[i / BITS_PER_LONG] >> i % BITS_PER_LONG & 1)
			return i;
	return bits;
}

static inline bool bitmap_empty(const unsigned long *map, unsigned int bits)
{
	return find_first_bit(map, bits) == bits;
}

#endif /* KERNEL_LINUX_BITMAP_H */
