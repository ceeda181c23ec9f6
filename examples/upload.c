/* A file that is uploaded in the background: who wants its contents waits for the event that all of
 * it is there. */
#include <bide.h>

#include <stdio.h>
#include <string.h>

struct upload {
    bide_event finished;
    size_t size;
    char contents[64];
};

bide_async(receive, (struct upload *, upload))
{
    static const char *const chunks[] = {"The quick ", "brown fox ", "jumps."};
    for (int i = 0; i < 3; i++) {
        int rc = bide_sleep(0.005); /* in place of reading from a connection */
        if (rc < 0)
            return rc;
        memcpy(upload->contents + upload->size, chunks[i], strlen(chunks[i]) + 1);
        upload->size += strlen(chunks[i]);
        printf("received %zu bytes\n", strlen(chunks[i]));
    }
    bide_event_set(&upload->finished);
    return 0;
}

static int upload_contents(struct upload *upload, const char **ret_contents)
{
    int rc = bide_event_wait(&upload->finished);
    if (rc < 0)
        return rc;
    *ret_contents = upload->contents;
    return 0;
}

bide_async(show, (struct upload *, upload), (const char *, who))
{
    const char *contents;
    int rc = upload_contents(upload, &contents);
    if (rc < 0)
        return rc;
    printf("%s got: %s\n", who, contents);
    return 0;
}

bide_async(amain)
{
    struct upload upload = {0};
    bide_group *group;
    int rc = bide_group_open(&group);
    if (rc < 0)
        return rc;
    rc = bide_group_spawn(group, receive, &upload);
    if (rc >= 0)
        rc = bide_group_spawn(group, show, &upload, "the virus scanner");
    if (rc >= 0)
        rc = bide_group_spawn(group, show, &upload, "the user");
    printf("uploading\n");
    return bide_group_close(group, rc);
}

int main(void)
{
    return bide_run(amain);
}
