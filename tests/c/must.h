// Ends a test program with what did not hold.

#include <stdio.h>
#include <stdlib.h>

#define must(holds)                                                              \
    do {                                                                         \
        if (!(holds)) {                                                          \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #holds); \
            exit(1);                                                             \
        }                                                                        \
    } while (0)
