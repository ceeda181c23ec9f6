/* Dining philosophers as threads. If each takes the left fork first, all can end up waiting for
 * each other; if each takes the fork with the lower number first, that can't happen. */
#include <bide.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { N = 5, MEALS = 3 };

static pthread_mutex_t forks[N];
static pthread_barrier_t all_have_left;

struct philosopher {
    pthread_t thread;
    int id;
    int meals;
};

static int lock_within(pthread_mutex_t *mutex, long ms)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_nsec += ms * 1000000;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    return -pthread_mutex_timedlock(mutex, &end);
}

static void *left_first(void *data)
{
    struct philosopher *me = data;
    int left = me->id, right = (me->id + 1) % N;
    pthread_mutex_lock(&forks[left]);
    pthread_barrier_wait(&all_have_left); /* the unlucky moment, on purpose */
    if (lock_within(&forks[right], 20) == 0) {
        me->meals++;
        pthread_mutex_unlock(&forks[right]);
    }
    pthread_barrier_wait(&all_have_left); /* nobody gives in before all have tried */
    pthread_mutex_unlock(&forks[left]);
    return NULL;
}

static void *lower_first(void *data)
{
    struct philosopher *me = data;
    int left = me->id, right = (me->id + 1) % N;
    int first = left < right ? left : right, second = left < right ? right : left;
    for (int i = 0; i < MEALS; i++) {
        pthread_mutex_lock(&forks[first]);
        pthread_mutex_lock(&forks[second]);
        me->meals++;
        pthread_mutex_unlock(&forks[second]);
        pthread_mutex_unlock(&forks[first]);
    }
    return NULL;
}

static int dine(const char *how, void *(*philosopher)(void *))
{
    struct philosopher all[N];
    int meals = 0;
    for (int i = 0; i < N; i++) {
        all[i] = (struct philosopher){.id = i};
        int rc = pthread_create(&all[i].thread, NULL, philosopher, &all[i]);
        if (rc != 0)
            return -rc;
    }
    for (int i = 0; i < N; i++) {
        pthread_join(all[i].thread, NULL);
        meals += all[i].meals;
    }
    printf("%s: %d meals%s\n", how, meals, meals == 0 ? ", all wait for each other" : "");
    return 0;
}

int main(void)
{
    for (int i = 0; i < N; i++)
        pthread_mutex_init(&forks[i], NULL);
    pthread_barrier_init(&all_have_left, NULL, N);
    int rc = dine("left fork first", left_first);
    if (rc == 0)
        rc = dine("lower fork first", lower_first);
    if (rc < 0)
        fprintf(stderr, "%s\n", bide_strerror(rc));
    return rc < 0;
}
