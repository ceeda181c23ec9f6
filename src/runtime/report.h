/* Telling the loop's exception handler about what nobody else was told. */
#ifndef BIDE_RUNTIME_REPORT_H
#define BIDE_RUNTIME_REPORT_H

#include <bide/loop.h>

void bide__report_task(bide_task *task, const char *message, int error);
/* A callback of the loop returned a negative value. */
void bide__report_callback(bide_loop *loop, int error);

#endif
