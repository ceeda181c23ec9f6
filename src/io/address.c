/* Addresses in words. */
#include <bide/address.h>

#include <arpa/inet.h>
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
        return snprintf(buffer, size, "unix");
    default:
        return snprintf(buffer, size, "(no address)");
    }
}
