/* Texts in JSON; see command.h. */
#include "command.h"

#include <stdio.h>

void print_json_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < ' ' || c == 127)
            printf("\\u%04x", c);
        else
            putchar(c < 128 ? c : '?');
    }
    putchar('"');
}
