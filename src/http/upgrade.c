/* The change to another protocol; see upgrade.h. */
#include "http/upgrade.h"

#include "http/connection.h"

#include <bide/timeout.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int write_head(struct bide__http_connection *connection, const char *protocol)
{
    enum { EXTRA = 128 };
    bide_http_request *request = &connection->request;
    bide__http_server_refresh(connection->server);
    size_t room = EXTRA + strlen(protocol) + connection->server->common_size +
                  request->fields.n_bytes;
    char *head = bide_http_alloc(request, room);
    if (!head)
        return -ENOMEM;
    char *to = stpcpy(head, "HTTP/1.1 101 Switching Protocols\r\n");
    to = mempcpy(to, connection->server->common, connection->server->common_size);
    to += sprintf(to, "Connection: Upgrade\r\nUpgrade: %s\r\n", protocol);
    if (request->fields.n > 0)
        to = bide__http_fields_write(&request->fields, to);
    to = stpcpy(to, "\r\n");
    return bide_within(connection->server->opts.write_seconds,
                       bide_write(connection->stream, head, (size_t)(to - head)));
}

int bide__http_upgrade(bide_http_request *request, const char *protocol,
                       struct bide__http_upgrade *upgrade, bide_stream **ret_stream,
                       struct bide__http_segment *ret_ahead)
{
    struct bide__http_connection *connection = bide__http_connection_of(request);
    if (request->reply_state != BIDE__REPLY_NONE)
        return -EALREADY;
    if (!request->ops->has_upgrade || !bide__http1_body_over(&connection->body) ||
        connection->head.minor_version == 0)
        return -EINVAL;
    int rc = write_head(connection, protocol);
    if (rc < 0)
        return rc;
    bide__stream_guard_end(&connection->guard);
    request->status = 101;
    request->reply_state = BIDE__REPLY_ENDED;
    connection->keeps_alive = false;
    bide__http_time_limits_lift(request);
    upgrade->request = request;
    connection->upgrade = upgrade;
    connection->is_upgraded = true;
    *ret_stream = connection->stream;
    *ret_ahead = (struct bide__http_segment){
        connection->in + connection->begin + connection->body_at,
        connection->end - connection->begin - connection->body_at};
    if (connection->server->is_closing)
        upgrade->closing(upgrade);
    return 0;
}

void bide__http_upgrade_leave(struct bide__http_upgrade *upgrade)
{
    if (upgrade->request)
        bide__http_connection_of(upgrade->request)->upgrade = NULL;
    upgrade->request = NULL;
}
