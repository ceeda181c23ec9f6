/* Tables of functions made whole; missing.h states the invariant. */
#include "engine/missing.h"

#include "engine/file.h"
#include "engine/local.h"
#include "engine/pool.h"
#include "engine/process.h"
#include "engine/share.h"
#include "engine/socket.h"

/* What does nothing but refuse has parameters for its type only. */
#pragma GCC diagnostic ignored "-Wunused-parameter"
/* NOLINTBEGIN(misc-unused-parameters) */

static void no_forget(struct bide_engine *engine)
{
}

static int no_wait_fd(struct bide_engine *engine, int64_t *deadline_ns)
{
    return -ENOSYS;
}

static int no_sock_open(struct bide_engine *engine, int family, int type, int protocol,
                        struct bide_sock **ret_sock)
{
    return -ENOSYS;
}

static int no_sock_adopt(struct bide_engine *engine, int fd, enum bide_adopt wanted,
                         struct bide_sock **ret_sock)
{
    return -ENOSYS;
}

static void pass_sock_close(struct bide_sock *sock)
{
    void (*close_it)(struct bide_sock *) = sock->engine->ops->sock_close;
    if (close_it != pass_sock_close)
        close_it(sock);
}

static ssize_t no_try_recv(struct bide_sock *sock, void *buffer, size_t size)
{
    return -ENOSYS;
}

static ssize_t no_try_send(struct bide_sock *sock, const struct iovec *iov, int n_iov)
{
    return -ENOSYS;
}

static ssize_t no_try_recv_message(struct bide_sock *sock, struct msghdr *message)
{
    return -ENOSYS;
}

static ssize_t no_try_send_message(struct bide_sock *sock, const struct msghdr *message)
{
    return -ENOSYS;
}

static ssize_t no_try_send_file(struct bide_sock *sock, int file, int64_t offset, size_t size)
{
    return -EOPNOTSUPP;
}

static int no_try_accept(struct bide_sock *sock, struct bide_sock **ret_sock)
{
    return -ENOSYS;
}

static int no_connect(struct bide_sock *sock, struct bide_op *op, const struct sockaddr *address,
                      socklen_t length)
{
    return -ENOSYS;
}

static int no_wait(struct bide_sock *sock, struct bide_op *op)
{
    return -ENOSYS;
}

static int no_send(struct bide_sock *sock, struct bide_op *op, struct iovec *iov, int n_iov)
{
    return -ENOSYS;
}

static void pass_cancel(struct bide_op *op)
{
    void (*cancel)(struct bide_op *) = op->sock->engine->ops->cancel;
    if (op->state == BIDE_OP_PENDING && cancel != pass_cancel)
        cancel(op);
}

static int no_watch_open(struct bide_engine *engine, int fd, unsigned events,
                         bide_watch_ready *ready, void *data, struct bide_watch **ret_watch)
{
    return -ENOSYS;
}

/*
 * What an engine handed out as another one gave it, is that one's: its functions are called on it.
 * Its own it must serve itself, or this would be the function that it has.
 */
static int pass_watch_set(struct bide_watch *watch, unsigned events)
{
    int (*set)(struct bide_watch *, unsigned) = watch->engine->ops->watch_set;
    return set == pass_watch_set ? -ENOSYS : set(watch, events);
}

static void pass_watch_close(struct bide_watch *watch)
{
    void (*close_it)(struct bide_watch *) = watch->engine->ops->watch_close;
    if (close_it != pass_watch_close)
        close_it(watch);
}

static void pass_signal_close(struct bide_signal *signal)
{
    void (*close_it)(struct bide_signal *) = signal->engine->ops->signal_close;
    if (close_it != pass_signal_close)
        close_it(signal);
}

static int pass_process_signal(struct bide_child *process, int signo)
{
    int (*send)(struct bide_child *, int) = process->engine->ops->process_signal;
    return send == pass_process_signal ? -ENOSYS : send(process, signo);
}

static bool pass_process_look(struct bide_child *process)
{
    bool (*look)(struct bide_child *) = process->engine->ops->process_look;
    return look == pass_process_look ? process->ended : look(process);
}

static void pass_process_close(struct bide_child *process)
{
    void (*close_it)(struct bide_child *) = process->engine->ops->process_close;
    if (close_it != pass_process_close)
        close_it(process);
}

static void pass_process_forget(struct bide_child *process)
{
    void (*forget)(struct bide_child *) = process->engine->ops->process_forget;
    if (forget != pass_process_forget)
        forget(process);
}

static int no_signal_open(struct bide_engine *engine, int signo, bide_signal_arrived *arrived,
                          void *data, struct bide_signal **ret_signal)
{
    return -ENOSYS;
}

static int no_process_start(struct bide_engine *engine, const struct bide_child_start *start,
                            bide_child_ended *ended, void *data,
                            struct bide_sock *ret_socks[BIDE_CHILD_STDIO_COUNT],
                            enum bide_child_step *ret_step, struct bide_child **ret_process)
{
    *ret_step = BIDE_CHILD_STEP_HERE;
    return -ENOSYS;
}

static int no_job_submit(struct bide_engine *engine, struct bide_job *job, enum bide_lane lane)
{
    return -ENOSYS;
}

static void no_job_abandon(struct bide_engine *engine, struct bide_job *job)
{
}

static int no_lookup(struct bide_engine *engine, struct bide_lookup *lookup)
{
    return -ENOSYS;
}

static void free_lookup(struct bide_engine *engine, struct addrinfo *list)
{
    bide__lookup_list_free(list);
}

static int no_file_start(struct bide_engine *engine, struct bide_file_call *call)
{
    return -ENOSYS;
}

static void abandon_file_job(struct bide_engine *engine, struct bide_file_call *call)
{
    engine->ops->job_abandon(engine, &call->job);
}

/* Whether a job has begun nobody can be asked: its end is waited for. */
static bool no_file_recall(struct bide_engine *engine, struct bide_file_call *call)
{
    return false;
}

static int no_file_try(struct bide_engine *engine, struct bide_file_call *call)
{
    return -EAGAIN;
}

const char *bide__ops_lack(const struct bide_engine_ops *ops)
{
    if (!ops->close || !ops->poll || !ops->wake)
        return "every engine needs close(), poll() and wake()";
    bool has_socks = ops->try_recv || ops->try_send || ops->try_recv_message ||
                     ops->try_send_message || ops->try_accept || ops->connect || ops->recv_wait ||
                     ops->try_send_file || ops->send_wait || ops->accept_wait || ops->send;
    if (has_socks && (!ops->sock_close || !ops->cancel))
        return "an engine with sockets of its own needs sock_close() and cancel()";
    if ((ops->job_submit || ops->lookup) && !ops->job_abandon)
        return "job_submit() and lookup() need job_abandon()";
    if (ops->file_start && (!ops->file_abandon || !ops->file_recall || !ops->file_let_go))
        return "file_start() needs file_abandon(), file_recall() and file_let_go()";
    return NULL;
}

#define FILL(entry, replacement) \
    do { \
        if (!ops->entry) \
            ops->entry = (replacement); \
    } while (0)

/* Those that the library starts are found ended by a watch. */
static void fill_processes(struct bide_engine_ops *ops)
{
    if (!ops->process_start && ops->watch_open) {
        ops->process_start = bide__process_start;
        ops->process_signal = bide__process_signal;
        ops->process_look = bide__process_look;
        ops->process_close = bide__process_close;
        ops->process_forget = bide__process_forget;
    }
    FILL(process_start, no_process_start);
    FILL(process_signal, pass_process_signal);
    FILL(process_look, pass_process_look);
    FILL(process_close, pass_process_close);
    FILL(process_forget, pass_process_forget);
}

static void fill_socks(struct bide_engine_ops *ops)
{
    FILL(pipe, bide__pipe_open);
    FILL(sock_share, bide__sock_share);
    FILL(sock_open, no_sock_open);
    FILL(sock_adopt, no_sock_adopt);
    FILL(sock_close, pass_sock_close);
    FILL(sock_bind, bide__socket_bind);
    FILL(local_bind, bide__local_bind);
    FILL(local_unbind, bide__local_unbind);
    FILL(sock_listen, bide__socket_listen);
    FILL(sock_shutdown, bide__socket_shutdown);
    FILL(sock_setopt, bide__socket_setopt);
    FILL(sock_getopt, bide__socket_getopt);
    FILL(sock_name, bide__socket_name);
    FILL(try_recv, no_try_recv);
    FILL(try_send, no_try_send);
    FILL(try_recv_message, no_try_recv_message);
    FILL(try_send_message, no_try_send_message);
    FILL(try_send_file, no_try_send_file);
    FILL(try_accept, no_try_accept);
    FILL(connect, no_connect);
    FILL(recv_wait, no_wait);
    FILL(send_wait, no_wait);
    FILL(accept_wait, no_wait);
    FILL(send, no_send);
    FILL(cancel, pass_cancel);
}

/* Descriptors of the kernel's, unless the engine has files of its own. */
static void fill_files(struct bide_engine_ops *ops)
{
    if (!ops->file_start) {
        ops->file_try = bide__file_try;
        ops->file_start = ops->job_submit ? bide__file_as_job : no_file_start;
        ops->file_abandon = abandon_file_job;
        ops->file_recall = no_file_recall;
        ops->file_let_go = bide__file_let_go;
    }
    FILL(file_try, no_file_try);
}

void bide__ops_fill(struct bide_engine_ops *ops)
{
    FILL(forget, no_forget);
    FILL(now_ns, bide__kernel_now_ns);
    FILL(wall_ns, bide__kernel_wall_ns);
    FILL(entropy, bide__kernel_entropy);
    FILL(wait_fd, no_wait_fd);
    fill_processes(ops);
    fill_socks(ops);
    fill_files(ops);
    FILL(watch_open, no_watch_open);
    FILL(watch_set, pass_watch_set);
    FILL(watch_close, pass_watch_close);
    FILL(signal_open, no_signal_open);
    FILL(signal_close, pass_signal_close);
    FILL(lookup, ops->job_submit ? bide__lookup_as_job : no_lookup);
    FILL(lookup_free, free_lookup);
    FILL(job_submit, no_job_submit);
    FILL(job_abandon, no_job_abandon);
}
/* NOLINTEND(misc-unused-parameters) */
