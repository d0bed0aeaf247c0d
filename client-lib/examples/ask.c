// Says one line to a service that sKnock hides, and prints what comes back.
//
//   cc ask.c $(pkg-config --cflags --libs sknock) -o ask
//   SKNOCK_PFX_PASSWORD=secret ./ask alice.pfx gateway.cer gateway.example 8080 hello

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sknock.h>

static int failed(const char *what) {
    fprintf(stderr, "%s: %s\n", what, sknock_error_text());
    return EXIT_FAILURE;
}

// The identity and the server are needed until there is a client.
static sknock_client *client_for(const char *pfx, const char *certificate) {
    const char *password = getenv("SKNOCK_PFX_PASSWORD");
    sknock_identity *me = sknock_identity_open(pfx, password ? password : "");
    sknock_server *server = me ? sknock_server_open(certificate) : NULL;
    sknock_client *client = server ? sknock_client_new(me, server) : NULL;
    sknock_server_free(server);
    sknock_identity_free(me);
    return client;
}

static int converse(int service, const char *line) {
    char heard[1024];
    ssize_t length;
    if (dprintf(service, "%s\n", line) < 0 || (length = read(service, heard, sizeof heard)) < 0) {
        perror("the connection broke");
        return EXIT_FAILURE;
    }
    fwrite(heard, 1, (size_t)length, stdout);
    return EXIT_SUCCESS;
}

int main(int count, char **word) {
    if (count != 6) {
        fprintf(stderr, "usage: %s IDENTITY SERVER-CERTIFICATE HOST PORT LINE\n", word[0]);
        return 2;
    }
    sknock_client *client = client_for(word[1], word[2]);
    if (client == NULL) {
        return failed("cannot knock");
    }
    int service = sknock_connect(client, word[3], (uint16_t)strtoul(word[4], NULL, 10));
    sknock_client_free(client);
    if (service < 0) {
        return failed(word[3]);
    }
    int code = converse(service, word[5]);
    close(service);
    return code;
}
