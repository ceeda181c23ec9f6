/* Jars of cookies; see cookies.h. */
#include "http/cookies.h"

#include <bide/url.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/text.h"

enum { COOKIES_MAX = 3000, DOMAIN_COOKIES_MAX = 50, HOST_BYTES = 256 };

struct cookie {
    struct bide_http_cookie said; /* its texts lie behind it */
    uint64_t used;                /* the jar's count then */
    char texts[];
};

struct bide_http_cookies {
    struct cookie **all;
    size_t n;
    size_t capacity;
    uint64_t n_uses;
};

int bide_http_cookies_new(bide_http_cookies **ret_cookies)
{
    if (!ret_cookies)
        return -EINVAL;
    bide_http_cookies *cookies = calloc(1, sizeof *cookies);
    if (!cookies)
        return -ENOMEM;
    *ret_cookies = cookies;
    return 0;
}

void bide_http_cookies_free(bide_http_cookies *cookies)
{
    if (!cookies)
        return;
    for (size_t i = 0; i < cookies->n; i++)
        free(cookies->all[i]);
    free(cookies->all);
    free(cookies);
}

static void remove_at(bide_http_cookies *cookies, size_t i)
{
    free(cookies->all[i]);
    memmove(&cookies->all[i], &cookies->all[i + 1], (cookies->n - i - 1) * sizeof(struct cookie *));
    cookies->n--;
}

static void remove_expired(bide_http_cookies *cookies, int64_t now)
{
    for (size_t i = cookies->n; i-- > 0;)
        if (cookies->all[i]->said.expires <= now)
            remove_at(cookies, i);
}

/* The one that was used least recently, of a domain or of all; the jar's n if there is none. */
static size_t least_used(const bide_http_cookies *cookies, const char *domain, size_t *ret_n)
{
    size_t found = cookies->n;
    *ret_n = 0;
    for (size_t i = 0; i < cookies->n; i++) {
        if (domain && strcmp(cookies->all[i]->said.domain, domain) != 0)
            continue;
        ++*ret_n;
        if (found == cookies->n || cookies->all[i]->used < cookies->all[found]->used)
            found = i;
    }
    return found;
}

static void make_room(bide_http_cookies *cookies, const char *domain, int64_t now)
{
    size_t n;
    if (cookies->n >= DOMAIN_COOKIES_MAX)
        remove_expired(cookies, now);
    size_t i = least_used(cookies, domain, &n);
    if (n >= DOMAIN_COOKIES_MAX)
        remove_at(cookies, i);
    i = least_used(cookies, NULL, &n);
    if (n >= COOKIES_MAX)
        remove_at(cookies, i);
}

static struct cookie *cookie_new(const struct bide_http_cookie *model)
{
    const char *const from[] = {model->name, model->value, model->domain, model->path};
    size_t size = 0;
    for (size_t i = 0; i < 4; i++)
        size += strlen(from[i]) + 1;
    struct cookie *cookie = malloc(sizeof *cookie + size);
    if (!cookie)
        return NULL;
    cookie->said = *model;
    const char **to[] = {&cookie->said.name, &cookie->said.value, &cookie->said.domain,
                         &cookie->said.path};
    char *at = cookie->texts;
    for (size_t i = 0; i < 4; i++) {
        *to[i] = at;
        at = stpcpy(at, from[i]) + 1;
    }
    return cookie;
}

static bool is_same(const struct bide_http_cookie *one, const struct bide_http_cookie *other)
{
    return one->host_only == other->host_only && strcmp(one->name, other->name) == 0 &&
           strcmp(one->domain, other->domain) == 0 && strcmp(one->path, other->path) == 0;
}

static int append(bide_http_cookies *cookies, struct cookie *cookie)
{
    if (cookies->n == cookies->capacity) {
        size_t capacity = cookies->capacity > 0 ? 2 * cookies->capacity : 8;
        struct cookie **all = realloc(cookies->all, capacity * sizeof(struct cookie *));
        if (!all)
            return -ENOMEM;
        cookies->all = all;
        cookies->capacity = capacity;
    }
    cookies->all[cookies->n++] = cookie;
    return 0;
}

int bide__cookies_put(bide_http_cookies *cookies, const struct bide_http_cookie *model, int64_t now)
{
    size_t i = 0;
    while (i < cookies->n && !is_same(&cookies->all[i]->said, model))
        i++;
    if (model->expires <= now) {
        if (i == cookies->n)
            return 0;
        remove_at(cookies, i);
        return 1;
    }
    struct cookie *cookie = cookie_new(model);
    if (!cookie)
        return -ENOMEM;
    cookie->used = ++cookies->n_uses;
    if (i < cookies->n) {
        free(cookies->all[i]);
        cookies->all[i] = cookie;
        return 1;
    }
    make_room(cookies, model->domain, now);
    if (append(cookies, cookie) < 0) {
        free(cookie);
        return -ENOMEM;
    }
    return 1;
}

/* Requests */

struct asked {
    char host[HOST_BYTES]; /* in small letters */
    const char *path;
    size_t path_size;
    bool is_secure;
};

static bool is_scheme(const struct bide_url *url, const char *name)
{
    return url->scheme.size == strlen(name) &&
           strncasecmp(url->scheme.data, name, url->scheme.size) == 0;
}

static int take_url(const char *text, struct asked *asked)
{
    struct bide_url url;
    if (!text || bide_url_parse(text, strlen(text), &url, NULL) < 0 ||
        !(is_scheme(&url, "http") || is_scheme(&url, "https") || is_scheme(&url, "ws") ||
          is_scheme(&url, "wss")) ||
        url.host.size == 0)
        return -EINVAL;
    int n = bide_url_decode(url.host.data, url.host.size, asked->host, sizeof asked->host);
    if (n <= 0 || n >= HOST_BYTES || strlen(asked->host) != (size_t)n)
        return -EINVAL;
    for (char *at = asked->host; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at + ('a' - 'A'));
    asked->path = url.path.size > 0 ? url.path.data : "/";
    asked->path_size = url.path.size > 0 ? url.path.size : 1;
    asked->is_secure = is_scheme(&url, "https") || is_scheme(&url, "wss");
    return 0;
}

/* The folder that the request's path lies in. */
static char *default_path(const struct asked *asked)
{
    const char *last = memrchr(asked->path, '/', asked->path_size);
    size_t size = last && asked->path[0] == '/' ? (size_t)(last - asked->path) : 0;
    return size > 0 ? strndup(asked->path, size) : strdup("/");
}

/* Taking */

static bool begins_with(const char *text, const char *prefix)
{
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* Names that promise something are kept only where it is true. */
static bool keeps_promise(const struct bide_http_cookie *cookie,
                          const struct bide__cookie_said *said)
{
    const char *name = *cookie->name ? cookie->name : cookie->value;
    bool is_host = begins_with(name, "__Host-");
    if (!is_host && !begins_with(name, "__Secure-"))
        return true;
    if (*cookie->name == '\0' || !cookie->secure)
        return false;
    return !is_host || (cookie->host_only && !said->has_domain && said->has_path &&
                        strcmp(cookie->path, "/") == 0);
}

/* A cookie that came in clear does not push away one that is for https only. */
static bool hides_secure(const bide_http_cookies *cookies, const struct bide_http_cookie *cookie,
                         int64_t now)
{
    for (size_t i = 0; i < cookies->n; i++) {
        const struct bide_http_cookie *other = &cookies->all[i]->said;
        if (other->secure && other->expires > now && strcmp(other->name, cookie->name) == 0 &&
            (bide__cookie_domain_matches(other->domain, cookie->domain) ||
             bide__cookie_domain_matches(cookie->domain, other->domain)) &&
            bide__cookie_path_matches(cookie->path, strlen(cookie->path), other->path))
            return true;
    }
    return false;
}

/* The domain that the server means, or NULL: it is not its own. */
static const char *choose_domain(const struct asked *asked, const struct bide__cookie_said *said,
                                 char domain[HOST_BYTES], bool *ret_host_only)
{
    *ret_host_only = true;
    if (!said->has_domain)
        return asked->host;
    if (said->domain.size >= HOST_BYTES)
        return NULL;
    for (size_t i = 0; i < said->domain.size; i++) {
        char c = said->domain.at[i];
        domain[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    domain[said->domain.size] = '\0';
    if (!bide__cookie_domain_matches(asked->host, domain))
        return NULL;
    if (bide__cookie_is_address(asked->host))
        return asked->host;
    if (!bide__cookie_knows_suffixes()) /* the safe side: for nobody but this host */
        return asked->host;
    if (bide__cookie_is_public_suffix(domain))
        return strcmp(domain, asked->host) == 0 ? asked->host : NULL;
    *ret_host_only = false;
    return domain;
}

static int take_said(bide_http_cookies *cookies, const struct asked *asked,
                     const struct bide__cookie_said *said, int64_t now)
{
    char domain[HOST_BYTES];
    char *path = said->has_path ? strndup(said->path.at, said->path.size) : default_path(asked);
    char *name = strndup(said->name.at, said->name.size);
    char *value = strndup(said->value.at, said->value.size);
    int rc = path && name && value ? 0 : -ENOMEM;
    struct bide_http_cookie cookie = {.name = name,
                                      .value = value,
                                      .path = path,
                                      .expires = said->expires,
                                      .secure = said->secure,
                                      .http_only = said->http_only,
                                      .same_site = said->same_site};
    cookie.domain = choose_domain(asked, said, domain, &cookie.host_only);
    if (rc == 0 && cookie.domain && (!cookie.secure || asked->is_secure) &&
        keeps_promise(&cookie, said) &&
        (cookie.secure || asked->is_secure || !hides_secure(cookies, &cookie, now)))
        rc = bide__cookies_put(cookies, &cookie, now);
    free(path);
    free(name);
    free(value);
    return rc;
}

int bide_http_cookies_take(bide_http_cookies *cookies, const char *url, const char *field,
                           int64_t now)
{
    struct asked asked;
    struct bide__cookie_said said;
    if (!cookies || !field || take_url(url, &asked) < 0)
        return -EINVAL;
    return bide__cookie_parse(field, now, &said) ? take_said(cookies, &asked, &said, now) : 0;
}

/* Giving */

static bool goes_with(const struct bide_http_cookie *cookie, const struct asked *asked)
{
    bool is_host = cookie->host_only ? strcmp(cookie->domain, asked->host) == 0
                                     : bide__cookie_domain_matches(asked->host, cookie->domain);
    return is_host && (!cookie->secure || asked->is_secure) &&
           bide__cookie_path_matches(asked->path, asked->path_size, cookie->path);
}

/* The next one to go: the longest path not longer than `length`, of those the oldest behind `from`.
 */
static size_t next_to_go(const bide_http_cookies *cookies, const struct asked *asked,
                         size_t *length, size_t from)
{
    size_t longest = 0, found = cookies->n;
    for (size_t i = 0; i < cookies->n; i++) {
        const struct bide_http_cookie *cookie = &cookies->all[i]->said;
        size_t size = strlen(cookie->path);
        bool is_next = size < *length || (size == *length && i >= from);
        if (is_next && goes_with(cookie, asked) && size > longest) {
            longest = size;
            found = i;
        }
    }
    *length = longest;
    return found;
}

int bide__cookies_write(bide_http_cookies *cookies, const char *url, int64_t now,
                        struct bide__http_text *text)
{
    struct asked asked;
    size_t n = 0;
    if (take_url(url, &asked) < 0)
        return -EINVAL;
    remove_expired(cookies, now);
    size_t length = SIZE_MAX;
    for (size_t i = next_to_go(cookies, &asked, &length, 0); i < cookies->n;
         i = next_to_go(cookies, &asked, &length, i + 1)) {
        struct cookie *cookie = cookies->all[i];
        cookie->used = ++cookies->n_uses;
        bide__http_text_say(text, n++ > 0 ? "; " : "");
        bide__http_text_say(text, cookie->said.name);
        bide__http_text_say(text, *cookie->said.name ? "=" : "");
        bide__http_text_say(text, cookie->said.value);
    }
    return (int)n;
}

int bide_http_cookies_print(bide_http_cookies *cookies, const char *url, int64_t now, char *buffer,
                            size_t size)
{
    struct bide__http_text text = {0};
    if (!cookies || (!buffer && size > 0))
        return -EINVAL;
    int rc = bide__cookies_write(cookies, url, now, &text);
    if (rc >= 0)
        rc = text.has_failed ? -ENOMEM : (int)text.size;
    if (size > 0) {
        size_t copied = rc < 0 ? 0 : text.size < size ? text.size : size - 1;
        if (copied > 0)
            memcpy(buffer, text.data, copied);
        buffer[copied] = '\0';
    }
    bide__http_text_fini(&text);
    return rc;
}

size_t bide_http_cookies_count(const bide_http_cookies *cookies)
{
    return cookies ? cookies->n : 0;
}

int bide_http_cookies_at(const bide_http_cookies *cookies, size_t i,
                         struct bide_http_cookie *ret_cookie)
{
    if (!cookies || !ret_cookie || i >= cookies->n)
        return -EINVAL;
    *ret_cookie = cookies->all[i]->said;
    return 0;
}

int bide_http_cookies_clear(bide_http_cookies *cookies, const char *domain)
{
    size_t before = bide_http_cookies_count(cookies);
    for (size_t i = before; i-- > 0;)
        if (!domain || bide__cookie_domain_matches(cookies->all[i]->said.domain, domain))
            remove_at(cookies, i);
    return (int)(before - bide_http_cookies_count(cookies));
}
