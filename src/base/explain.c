/* Who is asked about faults. The invariant stands in explain.h. */
#include "base/explain.h"

#include <stdatomic.h>
#include <stddef.h>

static _Atomic(bide__explain_fault *) asked;

void bide__explain_by(bide__explain_fault *explain)
{
    atomic_store_explicit(&asked, explain, memory_order_relaxed);
}

void bide__explain(const void *address)
{
    bide__explain_fault *explain = atomic_load_explicit(&asked, memory_order_relaxed);
    if (explain)
        explain(address);
}
