/* Errors in words. Invariant: every constant of bide/error.h has an entry of its own. */
#include <bide/error.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const messages[] = {
    [BIDE_ENOTASK - BIDE_ENOTASK] = "Suspending call outside a task",
    [BIDE_ENOTDONE - BIDE_ENOTASK] = "Result is not there yet",
    [BIDE_ESTOPPED - BIDE_ENOTASK] = "Loop was stopped before the task ended",
    [BIDE_ETORN - BIDE_ENOTASK] = "Stream broke in the middle of a write",
    [BIDE_EINCOMPLETE - BIDE_ENOTASK] = "End of file before enough data came",
    [BIDE_ELIMIT - BIDE_ENOTASK] = "More than the limit",
    [BIDE_ENONAME - BIDE_ENOTASK] = "Name or service not known",
    [BIDE_ENAMEAGAIN - BIDE_ENOTASK] = "Temporary failure in name resolution",
    [BIDE_ENAMEFAIL - BIDE_ENOTASK] = "Failure in name resolution",
    [BIDE_EGROUP - BIDE_ENOTASK] = "Task group takes no new tasks",
    [BIDE_EPENDING - BIDE_ENOTASK] = "No result yet",
    [BIDE_EBROKEN - BIDE_ENOTASK] = "Barrier was broken or reset",
    [BIDE_EMANAGER - BIDE_ENOTASK] = "Context manager is not used as it should be",
    [BIDE_ETLS - BIDE_ENOTASK] = "TLS failed",
    [BIDE_ECERTIFICATE - BIDE_ENOTASK] = "Certificate is not accepted",
    [BIDE_ETRUNCATED - BIDE_ENOTASK] = "Connection ended without the end of the TLS session",
};

/* Where the C library's words speak of something else than the calls here do. */
static const struct {
    int code;
    const char *text;
} meanings[] = {
    {EAGAIN, "Would have to wait"},   {EALREADY, "Is settled already"},
    {EOVERFLOW, "More than allowed"}, {ESHUTDOWN, "Was shut down"},
    {ETIMEDOUT, "Timed out"},
};

static const char *meaning(int code)
{
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (meanings[i].code == code)
            return meanings[i].text;
    return strerrordesc_np(code);
}

const char *bide_strerror(int error)
{
    static _Thread_local char text[64];
    if (error >= 0)
        return "Success";
    unsigned code = 0u - (unsigned)error;
    if (code >= BIDE_ENOTASK && code - BIDE_ENOTASK < sizeof messages / sizeof *messages)
        return messages[code - BIDE_ENOTASK];
    const char *known = code < BIDE_ENOTASK ? meaning((int)code) : NULL;
    if (known)
        return known;
    snprintf(text, sizeof text, "Unknown error %d", error);
    return text;
}
