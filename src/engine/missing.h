/*
 * What stands in for the calls that an engine leaves out.
 *
 * Invariant: after filling, a table has no gap, so that nobody who calls an engine asks whether an
 * entry is there.
 */
#ifndef BIDE_ENGINE_MISSING_H
#define BIDE_ENGINE_MISSING_H

#include "engine/engine.h"

/* NULL, or in words what the table lacks although other entries of it need it. */
const char *bide__ops_lack(const struct bide_engine_ops *ops);

/*
 * Fills the gaps of a table that lacks nothing: with what the library does itself for descriptors
 * of the kernel, with nothing where nothing is the right thing to do, or else with -ENOSYS.
 */
void bide__ops_fill(struct bide_engine_ops *ops);

#endif
