/* Times as text (RFC 3339, strictly) and back; durations as text. */
#include "api/api.h"
#include "api/codec_field.h"

#include <stdio.h>
#include <string.h>

#define SECONDS_MIN (BASE_TIME_MIN_US / 1000000)
#define SECONDS_MAX ((BASE_TIME_MAX_US - 999999) / 1000000)
#define NANOS_MAX 999999999
#define SECONDS_A_DAY 86400
#define NANOS_DIGITS 9

bool api_codec_time_is_valid(int64_t seconds, int64_t nanos)
{
    return seconds >= SECONDS_MIN && seconds <= SECONDS_MAX && nanos >= 0 && nanos <= NANOS_MAX;
}

/* --- the calendar: days since 1970-01-01, by the Gregorian rules from year 1 on --- */

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of_month(int64_t year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Years counted from March, so that the leap day is a year's last: then the days before a month
 * follow from its number alone. */
static int64_t days_of_date(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t month_from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    /* 1970-01-01 is day 719468 from 0000-03-01. */
    return 365 * y + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

struct date {
    int year;
    int month;
    int day;
};

static struct date date_of_days(int64_t days)
{
    int64_t from_march_0 = days + 719468;
    int64_t era = from_march_0 / 146097; /* days of 400 years; never below 0 from year 1 on */
    int64_t day_of_era = from_march_0 % 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    return (struct date){
        .year = (int)(era * 400 + year_of_era + (month <= 2 ? 1 : 0)),
        .month = month,
        .day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
    };
}

/* --- to text --- */

static char *put_digits(char *at, int64_t value, unsigned n_digits)
{
    for (unsigned i = n_digits; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + n_digits;
}

/* The fraction with its point, in 0, 3, 6 or 9 digits. */
static char *put_fraction(char *at, int32_t nanos, unsigned digits_min)
{
    unsigned digits = nanos == 0             ? 0
                      : nanos % 1000000 == 0 ? 3
                      : nanos % 1000 == 0    ? 6
                                             : NANOS_DIGITS;
    digits = digits < digits_min ? digits_min : digits;
    if (digits == 0) {
        return at;
    }
    char all[NANOS_DIGITS];
    put_digits(all, nanos, NANOS_DIGITS);
    *at++ = '.';
    memcpy(at, all, digits);
    return at + digits;
}

size_t api_codec_time_to_text(int64_t seconds, int32_t nanos, unsigned digits_min,
                              char buffer[API_CODEC_TIME_TEXT_BYTES])
{
    base_assert(api_codec_time_is_valid(seconds, nanos));
    int64_t from_year_1 = seconds - SECONDS_MIN;
    int64_t second = from_year_1 % SECONDS_A_DAY;
    struct date date = date_of_days((from_year_1 - second + SECONDS_MIN) / SECONDS_A_DAY);
    char *at = put_digits(buffer, date.year, 4);
    *at++ = '-';
    at = put_digits(at, date.month, 2);
    *at++ = '-';
    at = put_digits(at, date.day, 2);
    *at++ = 'T';
    at = put_digits(at, second / 3600, 2);
    *at++ = ':';
    at = put_digits(at, second / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, second % 60, 2);
    at = put_fraction(at, nanos, digits_min);
    *at++ = 'Z';
    return (size_t)(at - buffer);
}

size_t api_codec_duration_to_text(int64_t seconds, int32_t nanos,
                                  char buffer[API_CODEC_TIME_TEXT_BYTES])
{
    bool negative = seconds < 0 || nanos < 0;
    uint64_t whole = seconds < 0 ? -(uint64_t)seconds : (uint64_t)seconds;
    int64_t fraction = nanos < 0 ? -(int64_t)nanos : nanos;
    int length = snprintf(buffer, API_CODEC_TIME_TEXT_BYTES, "%s%llu", negative ? "-" : "",
                          (unsigned long long)whole);
    /* A fraction beyond a second is no Duration; what there is below one is shown. */
    char *at = put_fraction(buffer + length, (int32_t)(fraction % (NANOS_MAX + 1)), 0);
    *at++ = 's';
    return (size_t)(at - buffer);
}

struct base_text api_time_text(struct base_arena *arena, int64_t time_us)
{
    int64_t in_second_us = (time_us % 1000000 + 1000000) % 1000000;
    int64_t seconds = (time_us - in_second_us) / 1000000;
    char buffer[API_CODEC_TIME_TEXT_BYTES];
    size_t length = api_codec_time_to_text(seconds, (int32_t)(in_second_us * 1000), 6, buffer);
    return base_arena_text(arena, (struct base_text){buffer, length});
}

/* --- from text --- */

/* Takes exactly n_digits digits from the front. False: they are not there. */
static bool take_digits(struct base_text *text, unsigned n_digits, int *ret_value)
{
    if (text->length < n_digits) {
        return false;
    }
    int value = 0;
    for (unsigned i = 0; i < n_digits; i++) {
        char byte = text->bytes[i];
        if (byte < '0' || byte > '9') {
            return false;
        }
        value = value * 10 + (byte - '0');
    }
    text->bytes += n_digits;
    text->length -= n_digits;
    *ret_value = value;
    return true;
}

static bool take_byte(struct base_text *text, char byte)
{
    if (text->length == 0 || text->bytes[0] != byte) {
        return false;
    }
    text->bytes++;
    text->length--;
    return true;
}

/* The digits behind a point, 1 to 9 of them; none without a point. */
static bool take_fraction(struct base_text *text, int32_t *ret_nanos)
{
    if (!take_byte(text, '.')) {
        *ret_nanos = 0;
        return true;
    }
    int nanos = 0;
    unsigned n_digits = 0;
    int digit;
    while (take_digits(text, 1, &digit)) {
        if (++n_digits > NANOS_DIGITS) {
            return false;
        }
        nanos = nanos * 10 + digit;
    }
    if (n_digits == 0) {
        return false;
    }
    for (; n_digits < NANOS_DIGITS; n_digits++) {
        nanos *= 10;
    }
    *ret_nanos = nanos;
    return true;
}

/* `Z`, or how far the clock was ahead of UTC. */
static bool take_offset(struct base_text *text, int64_t *ret_seconds)
{
    if (take_byte(text, 'Z')) {
        *ret_seconds = 0;
        return true;
    }
    bool ahead = take_byte(text, '+');
    int hours;
    int minutes;
    if ((!ahead && !take_byte(text, '-')) || !take_digits(text, 2, &hours) ||
        !take_byte(text, ':') || !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    int64_t seconds = (int64_t)hours * 3600 + (int64_t)minutes * 60;
    *ret_seconds = ahead ? seconds : -seconds;
    return true;
}

bool api_codec_time_from_text(struct base_text text, int64_t *ret_seconds, int32_t *ret_nanos)
{
    int year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    int32_t nanos;
    int64_t offset;
    bool shaped =
        take_digits(&text, 4, &year) && take_byte(&text, '-') && take_digits(&text, 2, &month) &&
        take_byte(&text, '-') && take_digits(&text, 2, &day) && take_byte(&text, 'T') &&
        take_digits(&text, 2, &hour) && take_byte(&text, ':') && take_digits(&text, 2, &minute) &&
        take_byte(&text, ':') && take_digits(&text, 2, &second) && take_fraction(&text, &nanos) &&
        take_offset(&text, &offset) && text.length == 0;
    if (!shaped || year < 1 || month < 1 || month > 12 || day < 1 ||
        day > days_of_month(year, month) || hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    int64_t seconds = days_of_date(year, month, day) * SECONDS_A_DAY + (int64_t)hour * 3600 +
                      (int64_t)minute * 60 + second - offset;
    if (!api_codec_time_is_valid(seconds, nanos)) {
        return false;
    }
    *ret_seconds = seconds;
    *ret_nanos = nanos;
    return true;
}
