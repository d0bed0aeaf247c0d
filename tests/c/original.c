// An app as it was written for the original sKnock's C library: one handle, never freed.
//
//   original TIMEOUT RETRIES VERIFY SERVER-CERTIFICATE IDENTITY HOST PORT PROTOCOL
//   original default HOST PORT PROTOCOL
//
// The password is in the environment. Prints what each call returned.

#include <knock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct KNOCK_Handle *handle;

static unsigned number(const char *word) {
    return (unsigned)strtoul(word, NULL, 10);
}

int main(int count, char **word) {
    int (*knock)(struct KNOCK_Handle *, const char *, unsigned short, int) = knock_knock;
    const char *password = getenv("PASSWORD");
    int defaults = count == 5 && strcmp(word[1], "default") == 0;
    if (!defaults && count != 9) {
        return 2;
    }
    printf("init %d\n", knock_init());
    if (defaults) {
        handle = knock_default_new(password);
    } else {
        handle = knock_new(number(word[1]), number(word[2]), (int)number(word[3]), word[4], word[5],
                           password);
    }
    printf("new %s\n", handle == NULL ? "NULL" : "handle");
    if (handle != NULL) {
        char **last = word + count - 3;
        int protocol = strcmp(last[2], "tcp") == 0 ? KNOCK_TCP : KNOCK_UDP;
        printf("knock %d\n", knock(handle, last[0], (unsigned short)number(last[1]), protocol));
    }
    return 0;
}
