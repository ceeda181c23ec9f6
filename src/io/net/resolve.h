/* What connecting and listening need of name lookups. */
#ifndef BIDE_IO_RESOLVE_H
#define BIDE_IO_RESOLVE_H

#include <bide/address.h>

/* Addresses that one name is tried with. */
enum { BIDE__ADDRESSES_MAX = 16 };

/*
 * As bide_resolve(); without a host, the addresses to listen on. Answers numeric addresses and the
 * wildcard outside tasks as well.
 */
int bide__resolve(const char *host, unsigned port, enum bide_family family,
                  struct bide_address *ret_addresses, size_t size);

/* The answer if no lookup is needed; 0 if one is. */
int bide__resolve_numeric(const char *host, unsigned port, enum bide_family family,
                          struct bide_address *ret_addresses, size_t size);

/* Whether these are arguments at all. */
bool bide__resolve_sensible(const char *host, unsigned port, enum bide_family family);

#endif
