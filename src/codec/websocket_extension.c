/* The terms of permessage-deflate; see websocket_extension.h. */
#include "codec/websocket_extension.h"

#include "codec/http1.h"
#include "codec/http1_scan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char extension[] = "permessage-deflate";

/* Lists of extensions */

struct word {
    const char *text;
    size_t size;
};

enum { NO_VALUE = -1, BAD_VALUE = -2 };

static const char *skip_blank(const char *at)
{
    return at + strspn(at, " \t");
}

static bool is_word(struct word word, const char *name)
{
    return bide__http1_is(word.text, word.size, name);
}

/* A token: behind it, or NULL if there is none. */
static const char *take_token(const char *at, struct word *ret_word)
{
    const char *end = at;
    while (bide__http1_is_token(*end))
        end++;
    *ret_word = (struct word){at, (size_t)(end - at)};
    return end > at ? skip_blank(end) : NULL;
}

/* Window bits have one form: 8 to 15, without zeroes before. */
static int bits_of(struct word word)
{
    if (word.size == 1 && (*word.text == '8' || *word.text == '9'))
        return *word.text - '0';
    if (word.size == 2 && *word.text == '1' && word.text[1] >= '0' && word.text[1] <= '5')
        return 10 + word.text[1] - '0';
    return BAD_VALUE;
}

/* "=value", quoted or not, if there is one. */
static const char *take_value(const char *at, int *ret_bits)
{
    struct word word;
    *ret_bits = NO_VALUE;
    if (*at != '=')
        return at;
    at = skip_blank(at + 1);
    bool is_quoted = *at == '"';
    at = take_token(at + is_quoted, &word);
    if (!at || (is_quoted && word.text[word.size] != '"'))
        return NULL;
    *ret_bits = bits_of(word);
    return is_quoted ? skip_blank(word.text + word.size + 1) : at;
}

/* One extension with its parameters. */
struct offer {
    bool is_ours;
    bool is_good; /* each parameter is known, there once, and in range */
    bool server_forgets, client_forgets;
    bool has_server_bits, has_client_bits;
    int server_bits, client_bits; /* or NO_VALUE */
};

static void set_flag(struct offer *offer, bool *flag, int bits)
{
    if (*flag || bits != NO_VALUE)
        offer->is_good = false;
    *flag = true;
}

static void set_bits(struct offer *offer, bool *has, int *place, int bits)
{
    if (*has || bits == BAD_VALUE)
        offer->is_good = false;
    *has = true;
    *place = bits;
}

static void set_parameter(struct offer *offer, struct word name, int bits)
{
    if (is_word(name, "server_no_context_takeover"))
        set_flag(offer, &offer->server_forgets, bits);
    else if (is_word(name, "client_no_context_takeover"))
        set_flag(offer, &offer->client_forgets, bits);
    else if (is_word(name, "server_max_window_bits"))
        set_bits(offer, &offer->has_server_bits, &offer->server_bits, bits);
    else if (is_word(name, "client_max_window_bits"))
        set_bits(offer, &offer->has_client_bits, &offer->client_bits, bits);
    else
        offer->is_good = false;
}

/* The list's next extension: behind it; NULL if the list makes no sense from here on. */
static const char *take_offer(const char *at, struct offer *ret_offer)
{
    struct word name;
    *ret_offer = (struct offer){.is_good = true};
    at = take_token(at, &name);
    if (!at)
        return NULL;
    ret_offer->is_ours = is_word(name, extension);
    while (*at == ';') {
        int bits;
        at = take_token(skip_blank(at + 1), &name);
        if (!at)
            return NULL;
        at = take_value(at, &bits);
        if (!at)
            return NULL;
        set_parameter(ret_offer, name, bits);
    }
    return *at == '\0' || *at == ',' ? at : NULL;
}

/* Lists may have empty places. */
static const char *skip_commas(const char *at)
{
    return at + strspn(at, ", \t");
}

/* Texts */

static void add(char *text, const char *parameter)
{
    stpcpy(stpcpy(text + strlen(text), "; "), parameter);
}

static void add_bits(char *text, const char *parameter, unsigned bits)
{
    add(text, parameter);
    sprintf(text + strlen(text), "=%u", bits);
}

static void write_terms(char *text, const struct bide__ws_terms *terms)
{
    stpcpy(text, extension);
    if (terms->server_forgets)
        add(text, "server_no_context_takeover");
    if (terms->client_forgets)
        add(text, "client_no_context_takeover");
    if (terms->server_bits < BIDE__WS_BITS_MAX)
        add_bits(text, "server_max_window_bits", terms->server_bits);
}

static uint8_t least(int a, uint8_t b)
{
    return a != NO_VALUE && a < b ? (uint8_t)a : b;
}

/* The first offer that can be accepted. */
static bool find_offer(const char *at, struct offer *ret_offer)
{
    for (at = skip_commas(at); *at; at = skip_commas(at)) {
        at = take_offer(at, ret_offer);
        if (!at)
            return false;
        bool lacks_bits = ret_offer->has_server_bits && ret_offer->server_bits == NO_VALUE;
        if (ret_offer->is_ours && ret_offer->is_good && !lacks_bits)
            return true;
    }
    return false;
}

bool bide__ws_offer_accept(const char *offers, const struct bide__ws_terms *wanted,
                           char ret_answer[BIDE__WS_TERMS_MAX], struct bide__ws_terms *ret_terms)
{
    struct offer offer;
    if (!find_offer(offers, &offer))
        return false;
    struct bide__ws_terms terms = {
        .server_forgets = offer.server_forgets || wanted->server_forgets,
        .client_forgets = offer.client_forgets || wanted->client_forgets,
        .server_bits = least(offer.has_server_bits ? offer.server_bits : NO_VALUE,
                             wanted->server_bits),
        .client_bits = BIDE__WS_BITS_MAX};
    if (offer.has_client_bits)
        terms.client_bits = least(offer.client_bits, wanted->client_bits);
    write_terms(ret_answer, &terms);
    if (terms.client_bits < BIDE__WS_BITS_MAX)
        add_bits(ret_answer, "client_max_window_bits", terms.client_bits);
    *ret_terms = terms;
    return true;
}

void bide__ws_offer_write(const struct bide__ws_terms *wanted, char ret_offer[BIDE__WS_TERMS_MAX])
{
    write_terms(ret_offer, wanted);
    if (wanted->client_bits < BIDE__WS_BITS_MAX)
        add_bits(ret_offer, "client_max_window_bits", wanted->client_bits);
    else
        add(ret_offer, "client_max_window_bits");
}

int bide__ws_answer_check(const char *answer, const struct bide__ws_terms *wanted,
                          struct bide__ws_terms *ret_terms)
{
    struct offer got;
    const char *at = take_offer(skip_commas(answer), &got);
    if (!at || *skip_commas(at) || !got.is_ours || !got.is_good)
        return -EBADMSG;
    bool has_number = (!got.has_server_bits || got.server_bits != NO_VALUE) &&
                      (!got.has_client_bits || got.client_bits != NO_VALUE);
    if (!has_number || (wanted->server_forgets && !got.server_forgets))
        return -EBADMSG;
    uint8_t server_bits = got.has_server_bits ? (uint8_t)got.server_bits : BIDE__WS_BITS_MAX;
    if (server_bits > wanted->server_bits)
        return -EBADMSG;
    *ret_terms = (struct bide__ws_terms){
        .server_forgets = got.server_forgets,
        .client_forgets = got.client_forgets || wanted->client_forgets,
        .server_bits = server_bits,
        .client_bits = least(got.has_client_bits ? got.client_bits : NO_VALUE,
                             wanted->client_bits)};
    return 0;
}
