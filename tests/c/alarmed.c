// Knocks in a thread that handles two signals a hundred times a second. No other thread handles any.
//
//   alarmed IDENTITY SERVER-CERTIFICATE HOST SERVICE
//
// The password is in the environment.

#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sknock.h>
#include <stdatomic.h>
#include <unistd.h>

#include "must.h"

static char **word;
static atomic_int knocking, handled, elsewhere, ended;
static sigset_t signals;

static void handle(int signal) {
    (void)signal;
    if (gettid() == knocking) {
        handled++;
    } else {
        elsewhere++;
    }
}

static void *knock(void *nothing) {
    (void)nothing;
    sknock_identity *identity = sknock_identity_open(word[1], getenv("PASSWORD"));
    sknock_server *server = sknock_server_open(word[2]);
    sknock_client *client = sknock_client_new(identity, server);
    must(client != NULL);
    must(sknock_client_set_timeout(client, 8000) == SKNOCK_RESULT_OK);

    knocking = gettid();
    must(pthread_sigmask(SIG_UNBLOCK, &signals, NULL) == 0);
    if (sknock_knock(client, word[3], word[4], NULL) != SKNOCK_RESULT_OK) {
        printf("%s\n", sknock_error_text());
    } else {
        printf("open\n");
    }
    must(pthread_sigmask(SIG_BLOCK, &signals, NULL) == 0);
    ended = 1;
    sknock_client_free(client);
    sknock_identity_free(identity);
    sknock_server_free(server);
    return NULL;
}

int main(int count, char **words) {
    must(count == 5);
    word = words;
    must(sigemptyset(&signals) == 0);
    must(sigaddset(&signals, SIGALRM) == 0 && sigaddset(&signals, SIGUSR1) == 0);
    must(pthread_sigmask(SIG_BLOCK, &signals, NULL) == 0);
    struct sigaction action = {.sa_handler = handle};
    must(sigaction(SIGALRM, &action, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);

    pthread_t thread;
    must(pthread_create(&thread, NULL, knock, NULL) == 0);
    while (!ended) {
        // The second comes while the first waits to be handled: the system looks for another thread.
        must(kill(getpid(), SIGALRM) == 0 && kill(getpid(), SIGUSR1) == 0);
        usleep(10000);
    }
    must(pthread_join(thread, NULL) == 0);
    must(handled > 30);
    must(elsewhere == 0);
    return 0;
}
