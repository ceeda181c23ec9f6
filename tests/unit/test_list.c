/* Intrusive lists: their order, and that a node which is in no list is harmless. */
#include "test.h"

#include "base/list.h"

struct item {
    int number;
    struct bide__list node;
};

static struct bide__list list;
static struct item items[6];

static void fill(struct bide__list *to, int from, int end)
{
    bide__list_init(to);
    for (int i = from; i < end; i++) {
        items[i].number = i;
        bide__list_append(to, &items[i].node);
    }
}

static int number_of(const struct bide__list *node)
{
    return bide__container(node, struct item, node)->number;
}

/* The ring holds exactly the items of `numbers`, forwards and backwards. */
static void check_holds(const struct bide__list *ring, const int *numbers, int n)
{
    const struct bide__list *node = ring;
    for (int i = 0; i < n; i++) {
        CHECK_PTR(node->next->prev, node);
        node = node->next;
        CHECK(node != ring);
        CHECK_INT(number_of(node), numbers[i]);
    }
    CHECK_PTR(node->next, ring);
    CHECK_PTR(ring->prev, node);
}

/* A new list is empty; a new node is not linked. */
BIDE_TEST(list_new_is_empty)
{
    struct bide__list node;
    bide__list_init(&list);
    bide__list_init(&node);
    CHECK(bide__list_empty(&list));
    CHECK(!bide__list_linked(&node));
    CHECK_PTR(bide__list_first(&list), NULL);
    CHECK_PTR(bide__list_pop(&list), NULL);
}

/* Appended nodes are popped in order, and are then in no list. */
BIDE_TEST(list_pops_in_order)
{
    fill(&list, 0, 3);
    check_holds(&list, (int[]){0, 1, 2}, 3);
    for (int i = 0; i < 3; i++) {
        CHECK(bide__list_linked(&items[i].node));
        CHECK_PTR(bide__list_first(&list), &items[i].node);
        CHECK_PTR(bide__list_pop(&list), &items[i].node);
        CHECK(!bide__list_linked(&items[i].node));
    }
    CHECK(bide__list_empty(&list));
}

/* Removing the first, a middle and the last node leaves the others; removing a node twice changes
 * nothing. */
BIDE_TEST(list_removes_anywhere_and_twice)
{
    fill(&list, 0, 5);
    for (int twice = 0; twice < 2; twice++) {
        bide__list_remove(&items[0].node);
        bide__list_remove(&items[2].node);
        bide__list_remove(&items[4].node);
        check_holds(&list, (int[]){1, 3}, 2);
        CHECK(!bide__list_linked(&items[2].node));
    }
    bide__list_append(&list, &items[2].node);
    check_holds(&list, (int[]){1, 3, 2}, 3);
}

/* Splicing appends all nodes in order and empties the other list; an empty one on either side is
 * fine. */
BIDE_TEST(list_splices_in_order)
{
    struct bide__list from;
    fill(&list, 0, 2);
    fill(&from, 2, 5);
    bide__list_splice(&list, &from);
    check_holds(&list, (int[]){0, 1, 2, 3, 4}, 5);
    CHECK(bide__list_empty(&from));

    bide__list_splice(&list, &from);
    check_holds(&list, (int[]){0, 1, 2, 3, 4}, 5);

    bide__list_splice(&from, &list);
    check_holds(&from, (int[]){0, 1, 2, 3, 4}, 5);
    CHECK(bide__list_empty(&list));
}

/* The body of each may remove the current node and put it into another list. */
BIDE_TEST(list_each_allows_removal)
{
    struct bide__list odd;
    int seen = 0;
    fill(&list, 0, 6);
    bide__list_init(&odd);
    bide__list_each(node, &list)
    {
        CHECK_INT(number_of(node), seen);
        if (seen % 2 == 1) {
            bide__list_remove(node);
            bide__list_append(&odd, node);
        }
        seen++;
    }
    CHECK_INT(seen, 6);
    check_holds(&list, (int[]){0, 2, 4}, 3);
    check_holds(&odd, (int[]){1, 3, 5}, 3);

    bide__list_init(&list);
    bide__list_each(node, &list) FAIL("an empty list has no node %p", (void *)node);
}
