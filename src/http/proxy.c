/* Proxies and the hosts that need none; see proxy.h. */
#include "http/proxy.h"

#include "http/text.h"
#include "runtime/task.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void proxy_free(struct bide__http_proxy *proxy)
{
    if (!proxy)
        return;
    free(proxy->host);
    free(proxy->credentials);
    free(proxy);
}

static char *decode(struct bide_url_part part)
{
    char *text = malloc(part.size + 1);
    if (text && bide_url_decode(part.data, part.size, text, part.size + 1) < 0)
        *text = '\0';
    return text;
}

/* What Proxy-Authorization says. */
static char *credentials_of(struct bide_url_part user)
{
    struct bide__http_text text = {0};
    char *pair = decode(user);
    if (!pair)
        return NULL;
    bide__http_text_say(&text, "Basic ");
    struct bide__http_text whole = {0};
    bide__http_text_print(&whole, "%s%s", pair, strchr(pair, ':') ? "" : ":");
    if (!whole.has_failed)
        bide__http_text_base64(&text, whole.data, whole.size);
    bide__http_text_add(&text, "", 1);
    bool has_failed = whole.has_failed || text.has_failed;
    bide__http_text_fini(&whole);
    free(pair);
    if (has_failed)
        bide__http_text_fini(&text);
    return text.data;
}

static int proxy_fill(struct bide__http_proxy *proxy, const struct bide_url *url)
{
    proxy->port = bide_url_port(url);
    proxy->host = decode(url->host);
    if (!proxy->host)
        return -ENOMEM;
    if (!url->user.data)
        return 0;
    proxy->credentials = credentials_of(url->user);
    return proxy->credentials ? 0 : -ENOMEM;
}

/* In the environment a proxy may stand without its scheme. */
static int proxy_new(const char *text, struct bide__http_proxy **ret_proxy)
{
    struct bide_url url;
    struct bide__http_text whole = {0};
    bide__http_text_print(&whole, "%s%s", strstr(text, "://") ? "" : "http://", text);
    if (whole.has_failed)
        return -ENOMEM;
    int rc = bide_url_parse(whole.data, whole.size, &url, NULL);
    bool is_http = rc == 0 && url.scheme.size == 4 && strncasecmp(url.scheme.data, "http", 4) == 0;
    if (!is_http || url.host.size == 0) {
        bide__http_text_fini(&whole);
        bide__detail_set(-EINVAL, "\"%.100s\" is no URL of a proxy that speaks HTTP", text);
        return -EINVAL;
    }
    struct bide__http_proxy *proxy = calloc(1, sizeof *proxy);
    rc = proxy ? proxy_fill(proxy, &url) : -ENOMEM;
    bide__http_text_fini(&whole);
    if (rc < 0)
        proxy_free(proxy);
    else
        *ret_proxy = proxy;
    return rc;
}

/* The small name only for "http_proxy": a CGI program has the other from a request's header. */
static const char *environment(const char *name, const char *capital)
{
    const char *value = getenv(name);
    if ((!value || !*value) && capital)
        value = getenv(capital);
    return value && *value ? value : NULL;
}

static int from_text(const char *text, struct bide__http_proxy **ret_proxy)
{
    return text && *text ? proxy_new(text, ret_proxy) : 0;
}

int bide__http_proxies_init(struct bide__http_proxies *proxies,
                            const struct bide_http_session_opts *opts)
{
    const char *http = opts->proxy, *https = opts->proxy, *none = opts->no_proxy;
    if (!opts->proxy && opts->proxy_from_environment) {
        const char *all = environment("all_proxy", "ALL_PROXY");
        http = environment("http_proxy", NULL);
        https = environment("https_proxy", "HTTPS_PROXY");
        http = http ? http : all;
        https = https ? https : all;
    }
    if (!none && opts->proxy_from_environment)
        none = environment("no_proxy", "NO_PROXY");
    int rc = from_text(http, &proxies->http);
    if (rc == 0)
        rc = from_text(https, &proxies->https);
    if (rc == 0 && none) {
        proxies->none = strdup(none);
        rc = proxies->none ? 0 : -ENOMEM;
    }
    return rc;
}

void bide__http_proxies_fini(struct bide__http_proxies *proxies)
{
    proxy_free(proxies->http);
    proxy_free(proxies->https);
    free(proxies->none);
}

/* Hosts */

/* "10.0.0.0/8", "fd00::/8": whether the address is one of these. */
static bool is_in_network(const char *network, size_t size, const char *host)
{
    char text[64];
    unsigned char wanted[16], address[16];
    const char *slash = memchr(network, '/', size);
    if (!slash || size >= sizeof text)
        return false;
    memcpy(text, network, size);
    text[size] = '\0';
    text[slash - network] = '\0';
    char *end;
    long bits = strtol(text + (slash - network) + 1, &end, 10);
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    int most = family == AF_INET ? 32 : 128;
    if (*end != '\0' || end == text + (slash - network) + 1 || bits < 0 || bits > most ||
        inet_pton(family, text, wanted) != 1 || inet_pton(family, host, address) != 1)
        return false;
    for (long i = 0; i < bits; i++)
        if (((wanted[i / 8] ^ address[i / 8]) >> (7 - i % 8)) & 1)
            return false;
    return true;
}

/* "host", ".domain", "host:port", "[::1]:port". */
static bool is_entry(const char *entry, size_t size, const char *host, unsigned port)
{
    const char *colon = memrchr(entry, ':', size);
    bool has_brackets = size > 0 && *entry == '[';
    bool is_address = colon && memchr(entry, ':', (size_t)(colon - entry)) && !has_brackets;
    if (colon && !is_address && (!has_brackets || colon[-1] == ']')) {
        if (strtoul(colon + 1, NULL, 10) != port)
            return false;
        size = (size_t)(colon - entry);
    }
    if (has_brackets && size >= 2 && entry[size - 1] == ']') {
        entry++;
        size -= 2;
    }
    while (size > 0 && *entry == '.') {
        entry++;
        size--;
    }
    size_t length = strlen(host);
    if (size == 0 || length < size || strncasecmp(host + length - size, entry, size) != 0)
        return false;
    return length == size || host[length - size - 1] == '.';
}

bool bide__http_proxy_is_listed(const char *list, const char *host, unsigned port)
{
    while (list && *list) {
        list += strspn(list, ", \t");
        size_t size = strcspn(list, ", \t");
        if ((size == 1 && *list == '*') || is_entry(list, size, host, port) ||
            is_in_network(list, size, host))
            return true;
        list += size;
    }
    return false;
}

const struct bide__http_proxy *bide__http_proxy_for(const struct bide__http_proxies *proxies,
                                                    bool is_secure, const char *host, unsigned port)
{
    const struct bide__http_proxy *proxy = is_secure ? proxies->https : proxies->http;
    return proxy && !bide__http_proxy_is_listed(proxies->none, host, port) ? proxy : NULL;
}
