/* A lock between threads that a function takes and then calls itself: a plain mutex would wait for
 * itself for ever, a re-entrant one counts. */
#include <bide.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

static pthread_mutex_t list_lock;

/* Returns the sum, or an error. */
static int sum(const int *numbers, size_t n)
{
    int rc = pthread_mutex_lock(&list_lock);
    if (rc != 0)
        return -rc;
    int rest = n > 1 ? sum(numbers + 1, n - 1) : 0;
    pthread_mutex_unlock(&list_lock);
    return rest < 0 ? rest : numbers[0] + rest;
}

static void *run(void *result)
{
    static const int numbers[] = {1, 2, 3, 4};
    *(int *)result = sum(numbers, 4);
    return NULL;
}

static int sum_in_thread(int type)
{
    pthread_mutexattr_t attr;
    pthread_t thread;
    int result = 0;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, type);
    pthread_mutex_init(&list_lock, &attr);
    pthread_mutexattr_destroy(&attr);
    int rc = pthread_create(&thread, NULL, run, &result);
    if (rc == 0)
        pthread_join(thread, NULL);
    pthread_mutex_destroy(&list_lock);
    return rc != 0 ? -rc : result;
}

int main(void)
{
    /* PTHREAD_MUTEX_ERRORCHECK notices what PTHREAD_MUTEX_NORMAL would hang in. */
    printf("plain: %s\n", bide_strerror(sum_in_thread(PTHREAD_MUTEX_ERRORCHECK)));
    printf("re-entrant: %d\n", sum_in_thread(PTHREAD_MUTEX_RECURSIVE));
    return 0;
}
