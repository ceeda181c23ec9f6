/* Addresses, made and in words. */
#include <bide/address.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int family_of(const struct bide_address *address)
{
    sa_family_t family = AF_UNSPEC;
    if (address && address->length >= sizeof family)
        memcpy(&family, address->bytes + offsetof(struct sockaddr, sa_family), sizeof family);
    return family;
}

unsigned bide_address_port(const struct bide_address *address)
{
    const void *bytes = address ? address->bytes : NULL;
    switch (family_of(address)) {
    case AF_INET:
        return ntohs(((const struct sockaddr_in *)bytes)->sin_port);
    case AF_INET6:
        return ntohs(((const struct sockaddr_in6 *)bytes)->sin6_port);
    default:
        return 0;
    }
}

int bide_address_unix(const char *path, struct bide_address *ret_address)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    size_t size = path ? strlen(path) : 0;
    if (!ret_address || size == 0 || strcmp(path, "@") == 0)
        return -EINVAL;
    if (size >= sizeof local.sun_path)
        return -ENAMETOOLONG;
    memcpy(local.sun_path, path, size);
    bool is_abstract = *path == '@';
    if (is_abstract)
        local.sun_path[0] = '\0'; /* and no NUL behind: it would be part of the name */
    memset(ret_address, 0, sizeof *ret_address);
    memcpy(ret_address->bytes, &local, sizeof local);
    ret_address->length = (unsigned)(offsetof(struct sockaddr_un, sun_path) + size + !is_abstract);
    return 0;
}

static int print_unix(const struct bide_address *address, char *buffer, size_t size)
{
    struct sockaddr_un local;
    char text[sizeof local.sun_path + 1];
    size_t length = address->length < sizeof local ? address->length : sizeof local;
    memcpy(&local, address->bytes, length);
    size_t n = length - offsetof(struct sockaddr_un, sun_path);
    if (length <= offsetof(struct sockaddr_un, sun_path))
        return snprintf(buffer, size, "unix");
    if (local.sun_path[0] != '\0')
        n = strnlen(local.sun_path, n);
    for (size_t i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)local.sun_path[i];
        text[i] = byte < ' ' || byte == 0x7f ? '?' : local.sun_path[i];
    }
    text[n] = '\0';
    if (local.sun_path[0] == '\0')
        text[0] = '@';
    return snprintf(buffer, size, "%s", text);
}

int bide_address_print(const struct bide_address *address, char *buffer, size_t size)
{
    char text[INET6_ADDRSTRLEN] = "";
    const void *bytes = address ? address->bytes : NULL;
    switch (family_of(address)) {
    case AF_INET:
        inet_ntop(AF_INET, &((const struct sockaddr_in *)bytes)->sin_addr, text, sizeof text);
        return snprintf(buffer, size, "%s:%u", text, bide_address_port(address));
    case AF_INET6:
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)bytes)->sin6_addr, text, sizeof text);
        return snprintf(buffer, size, "[%s]:%u", text, bide_address_port(address));
    case AF_UNIX:
        return print_unix(address, buffer, size);
    default:
        return snprintf(buffer, size, "(no address)");
    }
}
