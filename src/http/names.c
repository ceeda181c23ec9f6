/* The names of statuses, and the types of files. */
#include "http/fields.h"

#include <string.h>
#include <strings.h>

static const char *const statuses[] = {
    [100] = "100 Continue",
    [101] = "101 Switching Protocols",
    [102] = "102 Processing",
    [103] = "103 Early Hints",
    [200] = "200 OK",
    [201] = "201 Created",
    [202] = "202 Accepted",
    [203] = "203 Non-Authoritative Information",
    [204] = "204 No Content",
    [205] = "205 Reset Content",
    [206] = "206 Partial Content",
    [207] = "207 Multi-Status",
    [208] = "208 Already Reported",
    [226] = "226 IM Used",
    [300] = "300 Multiple Choices",
    [301] = "301 Moved Permanently",
    [302] = "302 Found",
    [303] = "303 See Other",
    [304] = "304 Not Modified",
    [305] = "305 Use Proxy",
    [307] = "307 Temporary Redirect",
    [308] = "308 Permanent Redirect",
    [400] = "400 Bad Request",
    [401] = "401 Unauthorized",
    [402] = "402 Payment Required",
    [403] = "403 Forbidden",
    [404] = "404 Not Found",
    [405] = "405 Method Not Allowed",
    [406] = "406 Not Acceptable",
    [407] = "407 Proxy Authentication Required",
    [408] = "408 Request Timeout",
    [409] = "409 Conflict",
    [410] = "410 Gone",
    [411] = "411 Length Required",
    [412] = "412 Precondition Failed",
    [413] = "413 Content Too Large",
    [414] = "414 URI Too Long",
    [415] = "415 Unsupported Media Type",
    [416] = "416 Range Not Satisfiable",
    [417] = "417 Expectation Failed",
    [421] = "421 Misdirected Request",
    [422] = "422 Unprocessable Content",
    [423] = "423 Locked",
    [424] = "424 Failed Dependency",
    [425] = "425 Too Early",
    [426] = "426 Upgrade Required",
    [428] = "428 Precondition Required",
    [429] = "429 Too Many Requests",
    [431] = "431 Request Header Fields Too Large",
    [451] = "451 Unavailable For Legal Reasons",
    [500] = "500 Internal Server Error",
    [501] = "501 Not Implemented",
    [502] = "502 Bad Gateway",
    [503] = "503 Service Unavailable",
    [504] = "504 Gateway Timeout",
    [505] = "505 HTTP Version Not Supported",
    [506] = "506 Variant Also Negotiates",
    [507] = "507 Insufficient Storage",
    [508] = "508 Loop Detected",
    [511] = "511 Network Authentication Required",
};

const char *bide__http_status(int status)
{
    return status >= 0 && (size_t)status < sizeof statuses / sizeof *statuses ? statuses[status]
                                                                              : NULL;
}

const char *bide_http_reason(int status)
{
    const char *text = bide__http_status(status);
    return text ? text + sizeof "200 " - 1 : "";
}

static const struct {
    const char *ending;
    const char *type;
} types[] = {
    {"avif", "image/avif"},
    {"bin", "application/octet-stream"},
    {"bmp", "image/bmp"},
    {"br", "application/octet-stream"},
    {"c", "text/x-c; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"h", "text/x-c; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"html", "text/html; charset=utf-8"},
    {"ico", "image/vnd.microsoft.icon"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"jsonld", "application/ld+json"},
    {"map", "application/json"},
    {"md", "text/markdown; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpeg", "video/mpeg"},
    {"ogg", "audio/ogg"},
    {"otf", "font/otf"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"rtf", "application/rtf"},
    {"svg", "image/svg+xml; charset=utf-8"},
    {"tar", "application/x-tar"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"ttf", "font/ttf"},
    {"txt", "text/plain; charset=utf-8"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml; charset=utf-8"},
    {"xml", "application/xml; charset=utf-8"},
    {"yaml", "application/yaml; charset=utf-8"},
    {"zip", "application/zip"},
};

const char *bide_http_media_type(const char *name)
{
    const char *dot = name ? strrchr(name, '.') : NULL;
    if (dot && !strchr(dot, '/'))
        for (size_t i = 0; i < sizeof types / sizeof *types; i++)
            if (strcasecmp(dot + 1, types[i].ending) == 0)
                return types[i].type;
    return "application/octet-stream";
}
