/*
 * The conversation with one client, from its first line to the last one that it gets.
 *
 * It ends with a reason: 0 when the client ended it, or an error, of which some are told to the
 * client in a last line. Whatever the reason, and wherever the task was suspended when it came, the
 * way out leads through the end of chat_talk(), where the user leaves the room.
 *
 * Who talks is paced by what it reads: everybody gets all lines, the speaker too, and while more of
 * them than BACKLOG_BYTES_MAX wait for a user, nothing that it says is told. So the talkers
 * together go no faster than they all read, one turn of the loop tells hardly more than that many
 * bytes, and only a user who reads more slowly than those who talk fills its output and is dropped.
 */
#include "chat_talk.h"

#include "utf8.h"

#include <errno.h>
#include <string.h>

enum { OUTPUT_BYTES_MAX = 256 * 1024, BACKLOG_BYTES_MAX = 64 * 1024 };
#define FLUSH_SECONDS_MAX 10

const struct bide_stream_opts chat_stream_opts = {
    .read_limit_bytes = CHAT_LINE_BYTES_MAX + sizeof("\r\n") - 1,
    .write_high_bytes = OUTPUT_BYTES_MAX,
    .linger_seconds = 0.5, /* after a cancel only: then the process is about to end */
};

/* The line without its end: 1, 0 at the end of the stream, or an error. The last line may lack its
 * end. bide_read_line() is no choice for the others: it tells of a line over the limit only when
 * that has ended. */
static int read_line(bide_stream *stream, char **ret_line, size_t *ret_size)
{
    size_t end = 1;
    int n = bide_read_until(stream, "\n", 1, ret_line);
    if (n == -BIDE_EINCOMPLETE) {
        end = 0;
        n = bide_read_line(stream, ret_line);
    }
    if (n <= 0)
        return n;
    size_t size = (size_t)n - end;
    if (size > 0 && (*ret_line)[size - 1] == '\r')
        size--;
    if (size > CHAT_LINE_BYTES_MAX)
        return -BIDE_ELIMIT;
    if (!utf8_valid(*ret_line, size))
        return -EILSEQ;
    *ret_size = size;
    return 1;
}

/* The next line, once it may be told. */
static int hear(bide_stream *stream, char **ret_line, size_t *ret_size)
{
    int rc = read_line(stream, ret_line, ret_size);
    while (rc > 0 && bide_stream_pending(stream) > BACKLOG_BYTES_MAX) {
        int drained = bide_drain(stream);
        if (drained < 0)
            rc = drained;
    }
    return rc;
}

/* White space, control characters, and what is not seen or turns the text around it. */
static bool is_unseen(uint32_t character)
{
    static const uint32_t ranges[][2] = {
        {0x0000, 0x0020}, {0x007f, 0x00a0}, {0x00ad, 0x00ad}, {0x1680, 0x1680},
        {0x180e, 0x180e}, {0x2000, 0x200b}, {0x200e, 0x200f}, {0x2028, 0x202f},
        {0x205f, 0x206f}, {0x3000, 0x3000}, {0xfeff, 0xfeff},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (character >= ranges[i][0] && character <= ranges[i][1])
            return true;
    return false;
}

/* Valid UTF-8 is all that is known of the text. Without blanks and colons, no name can make a line
 * that looks like another user's or the server's. */
static bool is_name(const char *text, size_t size)
{
    uint32_t character;
    if (size == 0 || size > CHAT_NAME_BYTES_MAX)
        return false;
    for (size_t length; size > 0; text += length, size -= length) {
        length = utf8_next(text, size, &character);
        if (is_unseen(character) || character == ':')
            return false;
    }
    return true;
}

/* Hears the first line and lets the user in: 1, or why not. */
static int enter(struct room *room, struct user *user)
{
    static const char command[] = {'C', 'O', 'N', 'N', 'E', 'C', 'T', ' '};
    char *line = NULL;
    size_t size = 0;
    int rc = bide_within(room->idle_seconds, hear(user->stream, &line, &size));
    if (rc <= 0)
        return rc;
    if (size < sizeof command || memcmp(line, command, sizeof command) != 0)
        return -EPROTO;
    line += sizeof command;
    size -= sizeof command;
    if (!is_name(line, size))
        return -EINVAL;
    memcpy(user->name, line, size);
    user->name[size] = '\0';
    rc = room_join(room, user);
    return rc < 0 ? rc : 1;
}

/* Tells what the user says until it ends or may not go on. */
static int talk(struct room *room, const struct user *user)
{
    char *line = NULL;
    size_t size = 0;
    for (;;) {
        int rc = bide_within(room->idle_seconds, hear(user->stream, &line, &size));
        if (rc <= 0)
            return rc;
        room_say(room, user, line, size);
    }
}

/* The last line to a client; "" if the reason is none to be told. */
static const char *last_line(int reason)
{
    switch (reason) {
    case -EPROTO:
        return "ERROR the first line must be CONNECT and a name\n";
    case -EINVAL:
        return "ERROR a name has 1 to 64 bytes, no white space, no control characters, no colon\n";
    case -EEXIST:
        return "ERROR this name is in use\n";
    case -BIDE_ELIMIT:
        return "ERROR the line is longer than 4096 bytes\n";
    case -EILSEQ:
        return "ERROR the line is not valid UTF-8\n";
    case -ETIMEDOUT:
        return "ERROR nothing was said for too long\n";
    case -ECANCELED:
        return "Server is shutting down\n";
    default:
        return "";
    }
}

/* What is left to be read keeps nobody's connection for long. */
static void flush(bide_stream *stream, double idle_seconds)
{
    double seconds = idle_seconds < FLUSH_SECONDS_MAX ? idle_seconds : FLUSH_SECONDS_MAX;
    if (bide_within(seconds, bide_drain(stream)) == -ETIMEDOUT)
        bide_abort(stream);
}

int chat_talk(bide_stream *stream, void *data)
{
    struct room *room = data;
    struct user user = {.stream = stream};
    int reason = enter(room, &user);
    if (reason > 0) {
        reason = talk(room, &user);
        room_leave(room, &user);
        if (reason != -ECANCELED) /* then everybody is leaving */
            room_tell_left(room, &user);
    }
    const char *line = last_line(reason);
    bide_offer(stream, line, strlen(line));
    flush(stream, room->idle_seconds);
    return reason == -ENOMEM ? reason : 0;
}
