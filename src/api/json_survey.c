#include "api/json_survey.h"

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool ends_a_token(char byte)
{
    switch (byte) {
    case ',':
    case ':':
    case '[':
    case ']':
    case '{':
    case '}':
    case '"':
        return true;
    default:
        return is_space(byte);
    }
}

/* Behind the string that begins at `at`; at the end where it does not end. */
static const char *skip_string(const char *at, const char *end)
{
    bool escaped = false;
    for (at++; at < end; at++) {
        if (*at == '"' && !escaped) {
            return at + 1;
        }
        escaped = *at == '\\' && !escaped;
    }
    return end;
}

static bool is_plain_number(struct base_text token)
{
    int64_t value;
    return base_text_to_int64(token, &value) && value >= -BASE_JSON_NUMBER_MAX &&
           value <= BASE_JSON_NUMBER_MAX;
}

static void survey_token(struct api_json_survey *survey, struct base_text token)
{
    survey->n_values++;
    char first = token.bytes[0];
    bool number = first == '-' || (first >= '0' && first <= '9');
    if (number && survey->odd_number == 0 && !is_plain_number(token)) {
        survey->odd_number = survey->n_values;
    }
}

struct api_json_survey api_json_survey_of(struct base_text body)
{
    struct api_json_survey survey = {0, 0, 0};
    if (body.length == 0) {
        return survey;
    }
    size_t depth = 0;
    const char *at = body.bytes;
    const char *end = body.bytes + body.length;
    while (at < end) {
        const char *begin = at++;
        if (*begin == '"') {
            at = skip_string(begin, end);
            const char *next = at;
            while (next < end && is_space(*next)) {
                next++;
            }
            survey.n_values += next == end || *next != ':';
        } else if (*begin == '{' || *begin == '[') {
            survey.n_values++;
            depth++;
            survey.depth_max = depth > survey.depth_max ? depth : survey.depth_max;
        } else if (*begin == '}' || *begin == ']') {
            depth -= depth > 0;
        } else if (!ends_a_token(*begin)) {
            while (at < end && !ends_a_token(*at)) {
                at++;
            }
            survey_token(&survey, (struct base_text){begin, (size_t)(at - begin)});
        }
    }
    return survey;
}
