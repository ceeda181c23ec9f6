/* A queue that holds nothing: a put ends when its item is taken, as with an unbuffered channel. */
#include <bide.h>

#include <stdio.h>

BIDE_QUEUE_DEFINE(channel, int);

bide_async(sender, (channel *, queue))
{
    for (int i = 1; i <= 3; i++) {
        printf("offering %d\n", i);
        int rc = channel_put(queue, i);
        if (rc < 0)
            return rc;
        printf("%d was taken\n", i);
    }
    return channel_shutdown(queue, BIDE_DRAIN);
}

static int receive(channel *queue)
{
    int i;
    int rc = bide_sleep(0);
    while (rc == 0 && channel_get(queue, &i) == 0) {
        printf("taking %d\n", i);
        rc = bide_sleep(0);
    }
    return rc;
}

bide_async(amain)
{
    channel *queue;
    int rc = channel_new(&(struct bide_queue_opts){.rendezvous = true}, &queue);
    if (rc < 0)
        return rc;
    bide_task *task = bide_spawn(sender, queue);
    rc = receive(queue);
    bide_cancel_join(&task, 1);
    channel_free(queue);
    return rc;
}

int main(void)
{
    return bide_run(amain);
}
