/* Which addresses a host has, while the loop goes on. */
#include <bide.h>

#include <stdio.h>

enum { ADDRESSES_MAX = 8 };

static int show(const char *host, enum bide_family family)
{
    struct bide_address addresses[ADDRESSES_MAX];
    char text[BIDE_ADDRESS_TEXT_SIZE];
    int n = bide_within(5, bide_resolve(host, 8000, family, addresses, ADDRESSES_MAX));
    if (n < 0) {
        printf("%s: %s\n", bide_error_detail(), bide_strerror(n));
        return n;
    }
    for (int i = 0; i < n; i++) {
        bide_address_print(&addresses[i], text, sizeof text);
        printf("%s: %s, port %u\n", host, text, bide_address_port(&addresses[i]));
    }
    return 0;
}

bide_async(amain)
{
    int rc = show("localhost", BIDE_IPV4);
    if (rc >= 0)
        rc = show("::1", BIDE_ANY_FAMILY);
    if (rc >= 0)
        rc = show("127.0.0.1", BIDE_ANY_FAMILY);
    show("127.0.0.1", BIDE_IPV6);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
