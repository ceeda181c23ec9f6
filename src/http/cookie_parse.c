/* What a Set-Cookie field says, read as RFC 6265bis, 5.6 has it: forgivingly, and in one way. */
#include "http/cookies.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum { PAIR_BYTES_MAX = 4096, ATTRIBUTE_BYTES_MAX = 1024 };

#define LIFE_SECONDS_MAX (400 * INT64_C(86400))

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct bide__cookie_part trim(const char *from, const char *to)
{
    while (from < to && is_blank(*from))
        from++;
    while (to > from && is_blank(to[-1]))
        to--;
    return (struct bide__cookie_part){from, (size_t)(to - from)};
}

static bool is_word(struct bide__cookie_part part, const char *word)
{
    return part.size == strlen(word) && strncasecmp(part.at, word, part.size) == 0;
}

/* Dates */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 6265, 5.1.1: what stands between the tokens of a date. */
static bool is_delimiter(char c)
{
    unsigned char u = (unsigned char)c;
    return u == 0x09 || (u >= 0x20 && u <= 0x2F) || (u >= 0x3B && u <= 0x40) ||
           (u >= 0x5B && u <= 0x60) || (u >= 0x7B && u <= 0x7E);
}

/* A number of `least` to `most` digits at the front, and no further digit: its length, or 0. */
static size_t number(const char *at, const char *end, size_t least, size_t most, int *ret_value)
{
    size_t n = 0;
    int value = 0;
    while (at + n < end && is_digit(at[n]) && n <= most)
        value = value * 10 + (at[n++] - '0');
    if (n < least || n > most)
        return 0;
    *ret_value = value;
    return n;
}

struct date {
    bool has_time, has_day, has_month, has_year;
    int hour, minute, second, day, month, year;
};

static bool take_time(struct date *date, const char *at, const char *end)
{
    int parts[3];
    for (int i = 0; i < 3; i++) {
        size_t n = number(at, end, 1, 2, &parts[i]);
        if (n == 0)
            return false;
        at += n;
        if (i < 2 && (at == end || *at++ != ':'))
            return false;
    }
    date->hour = parts[0];
    date->minute = parts[1];
    date->second = parts[2];
    return true;
}

static bool take_month(struct date *date, const char *at, const char *end)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    if (end - at < 3)
        return false;
    for (int i = 0; i < 12; i++) {
        if (strncasecmp(at, names + 3 * (size_t)i, 3) == 0) {
            date->month = i + 1;
            return true;
        }
    }
    return false;
}

static void take_token(struct date *date, const char *at, const char *end)
{
    if (!date->has_time && take_time(date, at, end))
        date->has_time = true;
    else if (!date->has_day && number(at, end, 1, 2, &date->day) > 0)
        date->has_day = true;
    else if (!date->has_month && take_month(date, at, end))
        date->has_month = true;
    else if (!date->has_year && number(at, end, 2, 4, &date->year) > 0)
        date->has_year = true;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in(int month, int year)
{
    static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

static int64_t seconds_of(const struct date *date)
{
    int64_t days = 0;
    for (int year = 1970; year < date->year; year++)
        days += 365 + is_leap(year);
    for (int year = date->year; year < 1970; year++)
        days -= 365 + is_leap(year);
    for (int month = 1; month < date->month; month++)
        days += days_in(month, date->year);
    days += date->day - 1;
    return ((days * 24 + date->hour) * 60 + date->minute) * 60 + date->second;
}

int bide__cookie_date(const char *text, size_t size, int64_t *ret_seconds)
{
    struct date date = {0};
    const char *end = text + size;
    for (const char *at = text; at < end;) {
        const char *from = at;
        while (at < end && !is_delimiter(*at))
            at++;
        if (at > from)
            take_token(&date, from, at);
        else
            at++;
    }
    if (date.year >= 70 && date.year <= 99)
        date.year += 1900;
    else if (date.year >= 0 && date.year <= 69)
        date.year += 2000;
    if (!date.has_time || !date.has_day || !date.has_month || !date.has_year || date.year < 1601 ||
        date.day < 1 || date.day > days_in(date.month, date.year) || date.hour > 23 ||
        date.minute > 59 || date.second > 59)
        return -EINVAL;
    *ret_seconds = seconds_of(&date);
    return 0;
}

/* Attributes */

/* "-" and digits: seconds from now on. */
static bool parse_age(struct bide__cookie_part part, int64_t *ret_age)
{
    int64_t age = 0;
    bool is_negative = part.size > 0 && part.at[0] == '-';
    if (part.size == is_negative)
        return false;
    for (size_t i = is_negative; i < part.size; i++) {
        if (!is_digit(part.at[i]))
            return false;
        if (age < LIFE_SECONDS_MAX)
            age = age * 10 + (part.at[i] - '0');
    }
    *ret_age = is_negative ? -age : age;
    return true;
}

struct expiry {
    bool has_age, has_date;
    int64_t age, date;
};

static void take_same_site(struct bide__cookie_said *said, struct bide__cookie_part value)
{
    if (is_word(value, "none"))
        said->same_site = BIDE_HTTP_SAME_SITE_NONE;
    else if (is_word(value, "lax"))
        said->same_site = BIDE_HTTP_SAME_SITE_LAX;
    else if (is_word(value, "strict"))
        said->same_site = BIDE_HTTP_SAME_SITE_STRICT;
    else
        said->same_site = BIDE_HTTP_SAME_SITE_DEFAULT;
}

/* Of several of a kind the last one counts. */
static void take_attribute(struct bide__cookie_said *said, struct expiry *expiry,
                           struct bide__cookie_part name, struct bide__cookie_part value)
{
    if (value.size > ATTRIBUTE_BYTES_MAX)
        return;
    if (is_word(name, "expires")) {
        if (bide__cookie_date(value.at, value.size, &expiry->date) == 0)
            expiry->has_date = true;
    } else if (is_word(name, "max-age")) {
        if (parse_age(value, &expiry->age))
            expiry->has_age = true;
    } else if (is_word(name, "domain")) {
        if (value.size > 0 && *value.at == '.')
            value = (struct bide__cookie_part){value.at + 1, value.size - 1};
        said->domain = value;
        said->has_domain = value.size > 0;
    } else if (is_word(name, "path")) {
        said->path = value;
        said->has_path = value.size > 0 && *value.at == '/';
    } else if (is_word(name, "secure")) {
        said->secure = true;
    } else if (is_word(name, "httponly")) {
        said->http_only = true;
    } else if (is_word(name, "samesite")) {
        take_same_site(said, value);
    }
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7F)
            return true;
    return false;
}

static const char *split(const char *from, const char *end, struct bide__cookie_part *ret_name,
                         struct bide__cookie_part *ret_value)
{
    const char *equals = memchr(from, '=', (size_t)(end - from));
    *ret_name = trim(from, equals ? equals : end);
    *ret_value = equals ? trim(equals + 1, end) : (struct bide__cookie_part){end, 0};
    return equals;
}

bool bide__cookie_parse(const char *field, int64_t now, struct bide__cookie_said *ret_said)
{
    struct expiry expiry = {0};
    struct bide__cookie_said said = {.expires = INT64_MAX};
    if (has_control(field))
        return false;
    const char *end = field + strcspn(field, ";");
    if (!split(field, end, &said.name, &said.value)) {
        said.value = said.name; /* a value without a name */
        said.name.size = 0;
    }
    if (said.name.size + said.value.size == 0 || said.name.size + said.value.size > PAIR_BYTES_MAX)
        return false;
    while (*end) {
        struct bide__cookie_part name, value;
        const char *from = end + 1;
        end = from + strcspn(from, ";");
        split(from, end, &name, &value);
        take_attribute(&said, &expiry, name, value);
    }
    said.has_expires = expiry.has_age || expiry.has_date;
    if (expiry.has_age)
        said.expires = expiry.age <= 0 ? INT64_MIN : now + expiry.age;
    else if (expiry.has_date)
        said.expires = expiry.date;
    if (said.has_expires && said.expires > now + LIFE_SECONDS_MAX)
        said.expires = now + LIFE_SECONDS_MAX;
    *ret_said = said;
    return true;
}
