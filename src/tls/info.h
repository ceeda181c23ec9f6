/*
 * What a connection tells about itself. It is put together when it is first asked for, and lives as
 * long as the filter.
 */
#ifndef BIDE_TLS_INFO_H
#define BIDE_TLS_INFO_H

#include "tls/filter.h"

/* NULL is allowed. */
void bide__tls_details_free(struct bide__tls_details *details);

#endif
