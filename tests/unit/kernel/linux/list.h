/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_LIST_H
#define KERNEL_LINUX_LIST_H

#include <linux/kernel.h>

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD(name) struct list_head name = { &name, &name }

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool list_empty(const struct list_head *list)
{
	return list->next == list;
}

static inline bool list_is_last(const struct list_head *entry, const struct list_head *list)
{
	return entry->next == list;
}

static inline void list_add(struct list_head *entry, struct list_head *after)
{
	if (after->next->prev != after)
		kernel_die("the list is corrupt");
	entry->next = after->next;
	entry->prev = after;
	after->next->prev = entry;
	after->next = entry;
}

static inline void list_add_tail(struct list_head *entry, struct list_head *list)
{
	list_add(entry, list->prev);
}

static inline void list_del_init(struct list_head *entry)
{
	if (entry->next->prev != entry || entry->prev->next != entry)
		kernel_die("the list is corrupt");
	entry->next->prev = entry->prev;
	entry->prev->next = entry->next;
	INIT_LIST_HEAD(entry);
}

/* What is taken out twice is found. */
static inline void list_del(struct list_head *entry)
{
	list_del_init(entry);
	entry->next = NULL;
	entry->prev = NULL;
}

static inline void list_move_tail(struct list_head *entry, struct list_head *list)
{
	list_del_init(entry);
	list_add_tail(entry, list);
}

/* Without a look at @entry, which may be what the head would be in: the end of a loop. */
#define list_of(entry, member) \
	((struct list_head *)((char *)(entry) + offsetof(__typeof__(*(entry)), member)))
#define list_entry(pointer, type, member) container_of(pointer, type, member)
#define list_first_entry(list, type, member) list_entry((list)->next, type, member)
#define list_last_entry(list, type, member) list_entry((list)->prev, type, member)
#define list_next_entry(entry, member) \
	list_entry(list_of(entry, member)->next, __typeof__(*(entry)), member)
#define list_first_entry_or_null(list, type, member) \
	(list_empty(list) ? NULL : list_first_entry(list, type, member))
#define list_for_each_entry(entry, list, member)                         \
	for (entry = list_first_entry(list, __typeof__(*entry), member); \
	     list_of(entry, member) != (list); entry = list_next_entry(entry, member))
#define list_for_each_entry_reverse(entry, list, member)                \
	for (entry = list_last_entry(list, __typeof__(*entry), member); \
	     list_of(entry, member) != (list);                          \
	     entry = list_entry(list_of(entry, member)->prev, __typeof__(*entry), member))
#define list_for_each_entry_safe(entry, next_entry, list, member)        \
	for (entry = list_first_entry(list, __typeof__(*entry), member), \
	    next_entry = list_next_entry(entry, member);                 \
	     list_of(entry, member) != (list);                           \
	     entry = next_entry, next_entry = list_next_entry(entry, member))

#endif /* KERNEL_LINUX_LIST_H */
