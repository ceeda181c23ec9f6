/* The HTTP server on libevent: evhttp with a fixed answer. Prints its port. */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

static void text(struct evhttp_request *request, void *data)
{
    static const char words[] = "Hello, World!";
    (void)data;
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
                      "text/plain; charset=utf-8");
    evbuffer_add_reference(evhttp_request_get_output_buffer(request), words, sizeof words - 1, NULL,
                           NULL);
    evhttp_send_reply(request, HTTP_OK, "OK", NULL);
}

int main(void)
{
    struct event_base *base = event_base_new();
    struct evhttp *http = base ? evhttp_new(base) : NULL;
    struct evhttp_bound_socket *bound = http ? evhttp_bind_socket_with_handle(http, "127.0.0.1", 0)
                                             : NULL;
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    if (!bound)
        return 1;
    evhttp_set_cb(http, "/text", text, NULL);
    getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return event_base_dispatch(base) < 0;
}
