/*
 * What clients may send over a WebSocket, and what has to come of it: the numbered cases of the
 * Autobahn suite's sections 1 to 7, written from RFC 6455, and what they leave out.
 *
 * A frame is written as its first byte in hexadecimal, flags, a colon and its payload; frames are
 * separated by blanks. Flags: "u" is not masked; "2" and "8" say the length in so many bytes,
 * whether it needs them or not; "h" has a head alone. Payload: text; "=" and hexadecimal; or "*"
 * and a number: so many asterisks.
 *
 * What comes of it: T(…) and B(…) are messages, P(…) pings, O(…) pongs, C1000(…) a close frame;
 * !1002 is a refusal. Of what is longer than 40 bytes, or no ASCII, the length is told: T[126].
 */
#ifndef BIDE_TEST_WEBSOCKET_CASES_H
#define BIDE_TEST_WEBSOCKET_CASES_H

struct websocket_case {
    const char *name; /* the number of a case there; others have words */
    const char *frames;
    const char *events;
};

static const struct websocket_case websocket_cases[] = {
    /* Framing */
    {"1.1.1", "81:", "T()"},
    {"1.1.2", "81:*125", "T[125]"},
    {"1.1.3", "81:*126", "T[126]"},
    {"1.1.4", "81:*127", "T[127]"},
    {"1.1.5", "81:*128", "T[128]"},
    {"1.1.6", "81:*65535", "T[65535]"},
    {"1.1.7", "81:*65536", "T[65536]"},
    {"1.2.1", "82:", "B()"},
    {"1.2.2", "82:*125", "B[125]"},
    {"1.2.3", "82:*126", "B[126]"},
    {"1.2.4", "82:*127", "B[127]"},
    {"1.2.5", "82:*128", "B[128]"},
    {"1.2.6", "82:*65535", "B[65535]"},
    {"1.2.7", "82:*65536", "B[65536]"},
    {"a length in two bytes that fits in one", "81:a 812:*125", "T(a)!1002"},
    {"a length in eight bytes that fits in one", "818:a", "!1002"},
    {"a length in eight bytes that fits in two", "828:*65535", "!1002"},
    {"a head of such a length alone", "828h:*65535", "!1002"},
    {"a frame that is not masked", "81:a 81u:b", "T(a)!1002"},
    {"an empty frame that is not masked", "81u:", "!1002"},
    {"a ping that is not masked", "89u:", "!1002"},

    /* Pings and pongs */
    {"2.1", "89:", "P()"},
    {"2.2", "89:Hello", "P(Hello)"},
    {"2.3", "89:=00fffefdfcfb00ff", "P[8]"},
    {"2.4", "89:*125", "P[125]"},
    {"2.5", "89:*126", "!1002"},
    {"2.5, its head alone", "89h:*126", "!1002"},
    {"2.7", "8a:", "O()"},
    {"2.8", "8a:unsolicited", "O(unsolicited)"},
    {"2.9", "8a:unsolicited 89:ping", "O(unsolicited)P(ping)"},
    {"2.10", "89:0 89:1 89:2 89:3 89:4 89:5 89:6 89:7 89:8 89:9",
     "P(0)P(1)P(2)P(3)P(4)P(5)P(6)P(7)P(8)P(9)"},
    {"a pong of 126 bytes", "8a:*126", "!1002"},

    /* Reserved bits */
    {"3.1", "91:Hello", "!1002"},
    {"3.2", "81:Hello a1:Hello 89:", "T(Hello)!1002"},
    {"3.3", "81:Hello b1:Hello 89:", "T(Hello)!1002"},
    {"3.4", "81:Hello c1:Hello 89:", "T(Hello)!1002"},
    {"3.5", "d2:=00fffefdfcfb00ff", "!1002"},
    {"3.6", "e9:Hello", "!1002"},
    {"3.7", "f8:Hello", "!1002"},
    {"a reserved bit of a continuation", "01:a c0:b", "!1002"},
    {"a reserved bit, its head alone", "91h:*100000", "!1002"},

    /* Opcodes */
    {"4.1.1", "83:", "!1002"},
    {"4.1.2", "84:reserved", "!1002"},
    {"4.1.3", "81:Hello 85: 89:", "T(Hello)!1002"},
    {"4.1.4", "81:Hello 86:reserved 89:", "T(Hello)!1002"},
    {"4.1.5", "81:Hello 87:reserved 89:", "T(Hello)!1002"},
    {"4.2.1", "8b:", "!1002"},
    {"4.2.2", "8c:reserved", "!1002"},
    {"4.2.3", "81:Hello 8d: 89:", "T(Hello)!1002"},
    {"4.2.4", "81:Hello 8e:reserved 89:", "T(Hello)!1002"},
    {"4.2.5", "81:Hello 8f:reserved 89:", "T(Hello)!1002"},

    /* Fragments */
    {"5.1", "09:ping 80:ping", "!1002"},
    {"5.2", "0a:pong 80:pong", "!1002"},
    {"5.3", "01:frag1 80:frag2", "T(frag1frag2)"},
    {"5.6", "01:frag1 89:ping 80:frag2", "P(ping)T(frag1frag2)"},
    {"5.9", "80:continue 81:Hello", "!1002"},
    {"5.12", "00:continue 81:Hello", "!1002"},
    {"5.15", "01:frag1 80:frag2 00:frag3 81:frag4", "T(frag1frag2)!1002"},
    {"5.16", "00:frag1 01:frag2 80:frag3", "!1002"},
    {"5.17", "80:frag1 01:frag2 80:frag3", "!1002"},
    {"5.18", "01:frag1 81:frag2", "!1002"},
    {"5.19", "01:f1 00:f2 89:p1 00:f3 00:f4 89:p2 80:f5", "P(p1)P(p2)T(f1f2f3f4f5)"},
    {"a message in another one, of another type", "01:frag1 82:frag2", "!1002"},
    {"a pong between fragments", "02:a 8a:x 80:b", "O(x)B(ab)"},
    {"a close frame between fragments", "01:a 88:=03e8 80:b", "C1000()"},
    {"empty fragments", "01: 00: 00: 80:", "T()"},
    {"an empty end", "02:a 00: 80:", "B(a)"},
    {"two messages in fragments", "01:a 80:b 02:c 80:d", "T(ab)B(cd)"},
    {"as many fragments as there may be", "01: 00: 00: 00: 00: 00: 00: 80:", "T()"},
    {"one fragment more", "01: 00: 00: 00: 00: 00: 00: 00: 80:", "!1009"},

    /* Texts: whole, in fragments, and where they break off */
    {"6.1.1", "81:", "T()"},
    {"6.1.2", "01: 00: 80:", "T()"},
    {"6.1.3", "01: 00:middle 80:", "T(middle)"},
    {"6.2.1", "81:=48656c6c6f2dc2b540c39fc3b6c3a4c3bcc3a0c3a1", "T[21]"},
    {"6.2.2", "01:=48656c6c6f2dc2b540c39fc3b6c3a4 80:=c3bcc3a0c3a1", "T[21]"},
    {"6.2.3", "01:=ce 00:=ba 00:=e1 00:=bd 00:=b9 80:=cf83", "T[7]"},
    {"6.2.4", "81:=cebae1bdb9cf83cebcceb5", "T[11]"},
    {"6.3.1", "81:=cebae1bdb9cf83cebcceb5eda080656469746564", "!1007"},
    {"6.3.2", "01:=cebae1bdb9cf83cebcceb5 00:=eda080 80:edited", "!1007"},
    {"6.4.1", "01:=cebae1bdb9cf83cebcceb5 00:=f4908080", "!1007"},
    {"6.4.4", "01:=cebae1bdb9cf83cebcceb5f4 00:=90", "!1007"},
    {"a text that ends within a character", "01:a 80:=c3", "!1007"},
    {"a text that ends within a character, with an empty end", "01:=c3 80:", "!1007"},
    {"a binary message is no text", "82:=c0ff", "B[2]"},
    {"a character over a ping", "01:=e2 89:=ff 80:=82ac", "P[1]T[3]"},

    /* Closing */
    {"7.1.1", "81:Hello 88:=03e8", "T(Hello)C1000()"},
    {"7.1.2", "88:=03e8 88:=03e8", "C1000()"},
    {"7.1.3", "88:=03e8 89:ping", "C1000()"},
    {"7.1.4", "88:=03e8 81:Hello", "C1000()"},
    {"7.1.5", "01:frag1 88:=03e8 80:frag2", "C1000()"},
    {"7.1.6", "81:*65536 81:Hello 88:=03e8 89:", "T[65536]T(Hello)C1000()"},
    {"7.3.1", "88:", "C1005()"},
    {"7.3.2", "88:a", "!1002"},
    {"7.3.3", "88:=03e8", "C1000()"},
    {"7.3.4", "88:=03e848656c6c6f20576f726c6421", "C1000(Hello World!)"},
    {"7.3.5",
     "88:=03e8" /* and 123 bytes */
     "2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a"
     "2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a"
     "2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a",
     "C1000[123]"},
    {"7.3.6", "88:*126", "!1002"},
    {"7.5.1", "88:=03e8cebae1bdb9cf83cebcceb5eda080656469746564", "!1007"},
    {"7.7.1", "88:=03e8", "C1000()"},
    {"7.7.2", "88:=03e9", "C1001()"},
    {"7.7.3", "88:=03ea", "C1002()"},
    {"7.7.4", "88:=03eb", "C1003()"},
    {"7.7.5", "88:=03ef", "C1007()"},
    {"7.7.6", "88:=03f0", "C1008()"},
    {"7.7.7", "88:=03f1", "C1009()"},
    {"7.7.8", "88:=03f2", "C1010()"},
    {"7.7.9", "88:=03f3", "C1011()"},
    {"7.7.10", "88:=0bb8", "C3000()"},
    {"7.7.11", "88:=0f9f", "C3999()"},
    {"7.7.12", "88:=0fa0", "C4000()"},
    {"7.7.13", "88:=1387", "C4999()"},
    {"1012, registered later", "88:=03f4", "C1012()"},
    {"1013, registered later", "88:=03f5", "C1013()"},
    {"1014, registered later", "88:=03f6", "C1014()"},
    {"7.9.1", "88:=0000", "!1002"},
    {"7.9.2", "88:=03e7", "!1002"},
    {"7.9.3", "88:=03ec", "!1002"},
    {"7.9.4", "88:=03ed", "!1002"},
    {"7.9.5", "88:=03ee", "!1002"},
    {"7.9.6", "88:=03f8", "!1002"},
    {"7.9.7", "88:=044c", "!1002"},
    {"7.9.8", "88:=07d0", "!1002"},
    {"7.9.9", "88:=0bb7", "!1002"},
    {"1015, of TLS", "88:=03f7", "!1002"},
    {"7.13.1", "88:=1388", "!1002"},
    {"7.13.2", "88:=ffff", "!1002"},
    {"a reason that ends within a character", "88:=03e8c3", "!1007"},

    /* Limits: messages of 100,000 bytes, frames of 80,000 */
    {"9, a frame that is too large, its head alone", "82h:*80001", "!1009"},
    {"9, a message that is too large, the second head alone", "02:*60000 80h:*40001", "!1009"},
    {"9, a message as large as can be", "02:*60000 80:*40000", "B[100000]"},
    {"9, a length of 63 bits", "82h:*9223372036854775807", "!1009"},
    {"a length of 64 bits", "82h:*9223372036854775808", "!1002"},
};

enum { N_WEBSOCKET_CASES = sizeof websocket_cases / sizeof *websocket_cases };

/* Texts in hexadecimal, and whether they are UTF-8: the cases 6.5 to 6.23. */
struct utf8_case {
    const char *text;
    bool is_good;
};

static const struct utf8_case utf8_cases[] = {
    {"cebae1bdb9cf83cebcceb5", true}, /* 6.5 */
    {"cebae1bdb9cf83cebcceb5eda080656469746564", false},
    {"ce", false}, /* 6.6: cut off */
    {"ceba", true},
    {"cebae1", false},
    {"cebae1bd", false},
    {"cebae1bdb9", true},
    {"cebae1bdb9cf", false},
    {"cebae1bdb9cf83cebcce", false},
    {"00", true}, /* 6.7: the first of each length */
    {"c280", true},
    {"e0a080", true},
    {"f0908080", true},
    {"f888808080", false}, /* 6.8: five and six bytes */
    {"fc8480808080", false},
    {"7f", true}, /* 6.9: the last of each length */
    {"dfbf", true},
    {"efbfbf", true},
    {"f48fbfbf", true},
    {"f7bfbfbf", false}, /* 6.10 */
    {"fbbfbfbfbf", false},
    {"fdbfbfbfbfbf", false},
    {"ed9fbf", true}, /* 6.11: around the surrogates, and the end */
    {"ee8080", true},
    {"efbfbd", true},
    {"f48fbfbf", true},
    {"f4908080", false},
    {"80", false}, /* 6.12: what continues nothing */
    {"bf", false},
    {"80bf80bf80bf", false},
    {"c020c120c220", false}, /* 6.13: what nothing continues */
    {"e020e120", false},
    {"f020f120", false},
    {"f820", false},
    {"c0", false}, /* 6.14: without the last byte */
    {"e080", false},
    {"f08080", false},
    {"f8808080", false},
    {"df", false},
    {"efbf", false},
    {"f7bfbf", false},
    {"c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf", false}, /* 6.15 */
    {"fe", false},                                                           /* 6.16: never */
    {"ff", false},
    {"fefeffff", false},
    {"c0af", false}, /* 6.17: longer than need be */
    {"e080af", false},
    {"f08080af", false},
    {"f8808080af", false},
    {"c1bf", false}, /* 6.18 */
    {"e09fbf", false},
    {"f08fbfbf", false},
    {"c080", false}, /* 6.19 */
    {"e08080", false},
    {"f0808080", false},
    {"eda080", false}, /* 6.20: surrogates */
    {"edadbf", false},
    {"edae80", false},
    {"edafbf", false},
    {"edb080", false},
    {"edbfbf", false},
    {"eda080edb080", false}, /* 6.21: in pairs */
    {"edafbfedbfbf", false},
    {"efbfbe", true}, /* 6.22: noncharacters are characters */
    {"f09fbfbe", true},
    {"f48fbfbe", true},
    {"efbfbd", true}, /* 6.23 */
    {"e28083e28084e28085", true},
};

enum { N_UTF8_CASES = sizeof utf8_cases / sizeof *utf8_cases };

#endif
