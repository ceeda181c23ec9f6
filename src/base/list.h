/*
 * Intrusive doubly linked lists: a ring through a head. A node that is in no list points at itself,
 * so that removing it twice is harmless and asking whether it is linked is one comparison.
 */
#ifndef BIDE_BASE_LIST_H
#define BIDE_BASE_LIST_H

#include <bide/line.h>

#include <stdbool.h>
#include <stddef.h>

/* The structure that `node` is the member `member` of. */
#define bide__container(node, type, member) \
    ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* The body may remove or free the current node, but no other. */
#define bide__list_each(node, list) \
    for (struct bide__list *node = (list)->next, *node##_next = node->next; node != (list); \
         node = node##_next, node##_next = node->next)

static inline void bide__list_init(struct bide__list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool bide__list_empty(const struct bide__list *list)
{
    return list->next == list;
}

static inline bool bide__list_linked(const struct bide__list *node)
{
    return node->next != node;
}

static inline void bide__list_append(struct bide__list *list, struct bide__list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

static inline void bide__list_remove(struct bide__list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    bide__list_init(node);
}

static inline struct bide__list *bide__list_first(const struct bide__list *list)
{
    return bide__list_empty(list) ? NULL : list->next;
}

/* Removes the first node and returns it; NULL if there is none. */
static inline struct bide__list *bide__list_pop(struct bide__list *list)
{
    struct bide__list *node = bide__list_first(list);
    if (node)
        bide__list_remove(node);
    return node;
}

/* Moves all nodes of `from` behind those of `list`, in order. */
static inline void bide__list_splice(struct bide__list *list, struct bide__list *from)
{
    if (bide__list_empty(from))
        return;
    from->next->prev = list->prev;
    list->prev->next = from->next;
    from->prev->next = list;
    list->prev = from->prev;
    bide__list_init(from);
}

#endif
