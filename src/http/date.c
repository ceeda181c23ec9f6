/*
 * Dates of HTTP (RFC 9110, 5.6.7), without a locale and without the time zone of the process.
 */
#include <bide/http.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char long_days[][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                     "Thursday", "Friday", "Saturday"};
static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

#define SECONDS_MAX INT64_C(253402300799) /* the last one of the year 9999 */

void bide_http_date_print(int64_t seconds, char buffer[BIDE_HTTP_DATE_SIZE])
{
    struct tm parts;
    time_t time = seconds < 0 ? 0 : seconds > SECONDS_MAX ? SECONDS_MAX : seconds;
    gmtime_r(&time, &parts);
    snprintf(buffer, BIDE_HTTP_DATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT",
             days[parts.tm_wday], (unsigned)parts.tm_mday % 100, months[parts.tm_mon],
             ((unsigned)parts.tm_year + 1900) % 10000, (unsigned)parts.tm_hour % 100,
             (unsigned)parts.tm_min % 100, (unsigned)parts.tm_sec % 100);
}

/* A text that is being read; `at` is NULL once something was wrong. */
struct reader {
    const char *at;
};

static void expect(struct reader *reader, const char *text)
{
    size_t size = strlen(text);
    if (reader->at && strncmp(reader->at, text, size) == 0)
        reader->at += size;
    else
        reader->at = NULL;
}

/* Exactly so many digits; the first may be a space if `padded`. */
static int number(struct reader *reader, int n_digits, bool padded)
{
    int value = 0;
    for (int i = 0; i < n_digits && reader->at; i++, reader->at += !!reader->at) {
        char c = *reader->at;
        if (c >= '0' && c <= '9')
            value = value * 10 + (c - '0');
        else if (!(padded && i == 0 && c == ' '))
            reader->at = NULL;
    }
    return value;
}

static int month(struct reader *reader)
{
    for (int i = 0; i < 12 && reader->at; i++)
        if (strncmp(reader->at, months[i], 3) == 0) {
            reader->at += 3;
            return i;
        }
    reader->at = NULL;
    return 0;
}

static void clock_time(struct reader *reader, struct tm *parts)
{
    parts->tm_hour = number(reader, 2, false);
    expect(reader, ":");
    parts->tm_min = number(reader, 2, false);
    expect(reader, ":");
    parts->tm_sec = number(reader, 2, false);
}

/* "06 Nov 1994 08:49:37 GMT" behind "Sun, " */
static void read_fixdate(struct reader *reader, struct tm *parts)
{
    parts->tm_mday = number(reader, 2, false);
    expect(reader, " ");
    parts->tm_mon = month(reader);
    expect(reader, " ");
    parts->tm_year = number(reader, 4, false) - 1900;
    expect(reader, " ");
    clock_time(reader, parts);
    expect(reader, " GMT");
}

/* "06-Nov-94 08:49:37 GMT" behind "Sunday, " */
static void read_rfc850(struct reader *reader, struct tm *parts, int64_t now_seconds)
{
    struct tm now;
    gmtime_r(&(time_t){now_seconds}, &now);
    parts->tm_mday = number(reader, 2, false);
    expect(reader, "-");
    parts->tm_mon = month(reader);
    expect(reader, "-");
    int year = number(reader, 2, false) + now.tm_year / 100 * 100;
    while (year > now.tm_year + 50)
        year -= 100;
    while (year <= now.tm_year - 50)
        year += 100;
    parts->tm_year = year;
    expect(reader, " ");
    clock_time(reader, parts);
    expect(reader, " GMT");
}

/* "Nov  6 08:49:37 1994" behind "Sun " */
static void read_asctime(struct reader *reader, struct tm *parts)
{
    parts->tm_mon = month(reader);
    expect(reader, " ");
    parts->tm_mday = number(reader, 2, true);
    expect(reader, " ");
    clock_time(reader, parts);
    expect(reader, " ");
    parts->tm_year = number(reader, 4, false) - 1900;
}

/* Past the name of a day: which form follows. */
static char day_name(struct reader *reader)
{
    for (int i = 0; i < 7; i++) {
        size_t size = strlen(long_days[i]);
        if (strncmp(reader->at, long_days[i], size) == 0) {
            reader->at += size;
            expect(reader, ", ");
            return '8';
        }
    }
    for (int i = 0; i < 7; i++) {
        if (strncmp(reader->at, days[i], 3) != 0)
            continue;
        reader->at += 3;
        if (*reader->at == ' ') {
            reader->at++;
            return 'a';
        }
        expect(reader, ", ");
        return 'f';
    }
    return '\0';
}

int bide_http_date_parse(const char *text, int64_t now_seconds, int64_t *ret_seconds)
{
    if (!text || !ret_seconds)
        return -EINVAL;
    struct reader reader = {text};
    struct tm parts = {0};
    switch (day_name(&reader)) {
    case 'f':
        read_fixdate(&reader, &parts);
        break;
    case '8':
        read_rfc850(&reader, &parts, now_seconds);
        break;
    case 'a':
        read_asctime(&reader, &parts);
        break;
    default:
        return -EINVAL;
    }
    if (!reader.at || *reader.at || parts.tm_hour > 23 || parts.tm_min > 59 || parts.tm_sec > 60)
        return -EINVAL;
    int leap = parts.tm_sec == 60; /* a second that timegm() would make the next day's */
    struct tm given = parts;
    parts.tm_sec -= leap;
    int64_t seconds = timegm(&parts) + leap;
    if (given.tm_mon != parts.tm_mon || given.tm_mday != parts.tm_mday)
        return -EINVAL; /* there is no such day */
    *ret_seconds = seconds;
    return 0;
}
