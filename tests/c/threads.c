// Eight threads share one client, and each knocks five times; another changes its options meanwhile.
//
//   threads IDENTITY SERVER-CERTIFICATE HOST SERVICE
//
// The password is in the environment.

#include <pthread.h>
#include <sknock.h>
#include <stdatomic.h>
#include <string.h>

#include "must.h"

enum { THREADS = 8, KNOCKS = 5 };

static sknock_client *client;
static const char *host, *service;
static atomic_int running = THREADS;

static void *knock(void *number) {
    char wrong[32];
    snprintf(wrong, sizeof wrong, "tcp/wrong%d", *(int *)number);
    for (int knock = 0; knock < KNOCKS; knock++) {
        sknock_opened *opened = NULL;
        if (sknock_knock(client, host, service, &opened) != SKNOCK_RESULT_OK) {
            fprintf(stderr, "%s\n", sknock_error_text());
            exit(1);
        }
        must(sknock_opened_verified(opened) != SKNOCK_VERIFIED_NO);
        must(strcmp(sknock_opened_destination(opened), host) == 0);
        sknock_opened_free(opened);
        // each thread has errors of its own
        must(sknock_knock(client, host, wrong, NULL) == SKNOCK_RESULT_ARGUMENT);
        must(strstr(sknock_error_text(), wrong) != NULL);
    }
    running--;
    return NULL;
}

int main(int count, char **word) {
    must(count == 5);
    sknock_identity *identity = sknock_identity_open(word[1], getenv("PASSWORD"));
    sknock_server *server = sknock_server_open(word[2]);
    must((client = sknock_client_new(identity, server)) != NULL);
    sknock_identity_free(identity);
    sknock_server_free(server);
    host = word[3];
    service = word[4];
    must(sknock_client_set_timeout(client, 60000) == SKNOCK_RESULT_OK);

    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int each = 0; each < THREADS; each++) {
        numbers[each] = each;
        must(pthread_create(&threads[each], NULL, knock, &numbers[each]) == 0);
    }
    for (unsigned attempts = 3; running > 0; attempts = attempts % 9 + 1) {
        must(sknock_client_set_attempts(client, attempts + 2) == SKNOCK_RESULT_OK);
        must(sknock_error() == SKNOCK_RESULT_OK);
    }
    for (int each = 0; each < THREADS; each++) {
        must(pthread_join(threads[each], NULL) == 0);
    }
    sknock_client_free(client);
    return 0;
}
