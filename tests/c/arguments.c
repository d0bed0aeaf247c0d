// Wrong arguments are errors with a text, in every function; nothing crashes, and the process lives.
//
//   arguments IDENTITY SERVER-CERTIFICATE
//
// The password is in the environment.

#include <knock.h>
#include <sknock.h>
#include <string.h>

#include "must.h"

#define NOT_UTF_8 "\xff\xfe"

static const char *pfx, *certificate, *password;

// Whether the latest failure of this thread is this one, and says so.
static int said(sknock_result result, const char *part) {
    int found = sknock_error() == result && strstr(sknock_error_text(), part) != NULL;
    if (!found) {
        fprintf(stderr, "%d: %s\n", (int)sknock_error(), sknock_error_text());
    }
    return found;
}

static size_t whole(const char *path, uint8_t *into, size_t most) {
    FILE *file = fopen(path, "rb");
    must(file != NULL);
    size_t length = fread(into, 1, most, file);
    fclose(file);
    return length;
}

static void identities(void) {
    static uint8_t bytes[65536];
    size_t length = whole(pfx, bytes, sizeof bytes);
    must(!sknock_identity_open(NULL, password) && said(SKNOCK_RESULT_ARGUMENT, "path is NULL"));
    must(!sknock_identity_open(pfx, NULL) && said(SKNOCK_RESULT_ARGUMENT, "password is NULL"));
    must(!sknock_identity_open(NOT_UTF_8, "") && said(SKNOCK_RESULT_ARGUMENT, "path is not UTF-8"));
    must(!sknock_identity_open(pfx, NOT_UTF_8) && said(SKNOCK_RESULT_ARGUMENT, "not UTF-8"));
    must(!sknock_identity_open("/nowhere.pfx", "") && said(SKNOCK_RESULT_FILE, "/nowhere.pfx"));
    must(!sknock_identity_open(pfx, "wrong") && said(SKNOCK_RESULT_PASSWORD, "wrong password"));
    must(!sknock_identity_open(certificate, "") && said(SKNOCK_RESULT_IDENTITY, "PKCS#12"));
    must(!sknock_identity_read(NULL, 9, "") && said(SKNOCK_RESULT_ARGUMENT, "pfx is NULL"));
    must(!sknock_identity_read(bytes, length, NULL) && said(SKNOCK_RESULT_ARGUMENT, "NULL"));
    must(!sknock_identity_read(bytes, SIZE_MAX, "") && said(SKNOCK_RESULT_ARGUMENT, "1 MiB"));
    must(!sknock_identity_read(bytes, length, "wrong") && said(SKNOCK_RESULT_PASSWORD, "wrong"));
    must(!sknock_identity_read(bytes, length / 2, password) && sknock_error() != SKNOCK_RESULT_OK);
    must(!sknock_identity_read(bytes, 0, password) && said(SKNOCK_RESULT_IDENTITY, "PKCS#12"));
    sknock_identity *read = sknock_identity_read(bytes, length, password);
    must(read != NULL);
    // Between 2026 and 2100.
    must(sknock_identity_ends(read) > 1767225600 && sknock_identity_ends(read) < 4102444800);
    sknock_identity_free(read);
    sknock_identity_free(NULL);
}

static void servers(void) {
    static uint8_t bytes[65536];
    size_t length = whole(certificate, bytes, sizeof bytes);
    must(!sknock_server_open(NULL) && said(SKNOCK_RESULT_ARGUMENT, "path is NULL"));
    must(!sknock_server_open(NOT_UTF_8) && said(SKNOCK_RESULT_ARGUMENT, "not UTF-8"));
    must(!sknock_server_open("/nowhere.cer") && said(SKNOCK_RESULT_FILE, "/nowhere.cer"));
    must(!sknock_server_open(pfx) && said(SKNOCK_RESULT_SERVER, "PKCS#12"));
    must(!sknock_server_read(NULL, 9) && said(SKNOCK_RESULT_ARGUMENT, "certificate is NULL"));
    must(!sknock_server_read(bytes, SIZE_MAX) && said(SKNOCK_RESULT_ARGUMENT, "1 MiB"));
    must(!sknock_server_read(bytes, length - 1) && said(SKNOCK_RESULT_SERVER, "X.509"));
    sknock_server *read = sknock_server_read(bytes, length);
    must(read != NULL);
    // Between 2026 and 2100.
    must(sknock_server_ends(read) > 1767225600 && sknock_server_ends(read) < 4102444800);
    sknock_server_free(read);
    sknock_server_free(NULL);
}

static void options(sknock_client *client) {
    const sknock_result ok = SKNOCK_RESULT_OK, wrong = SKNOCK_RESULT_ARGUMENT;
    must(sknock_client_set_knock_port(NULL, 7) == wrong && said(wrong, "client is NULL"));
    must(sknock_client_set_knock_port(client, 0) == wrong && said(wrong, "port"));
    must(sknock_client_set_knock_port(client, 62344) == ok);
    must(sknock_client_set_protocol(NULL, 1) == wrong);
    must(sknock_client_set_protocol(client, 3) == wrong && said(wrong, "1 or 2"));
    must(sknock_client_set_protocol(client, 1) == ok && sknock_client_set_protocol(client, 2) == ok);
    must(sknock_client_set_attempts(NULL, 1) == wrong);
    must(sknock_client_set_attempts(client, 0) == wrong && said(wrong, "1 to 255"));
    must(sknock_client_set_attempts(client, 256) == wrong);
    must(sknock_client_set_attempts(client, 255) == ok && sknock_client_set_attempts(client, 1) == ok);
    must(sknock_client_set_attempt_timeout(NULL, 1) == wrong);
    must(sknock_client_set_attempt_timeout(client, 100) == ok);
    must(sknock_client_set_timeout(NULL, 1) == wrong);
    must(sknock_client_set_timeout(client, UINT32_MAX) == ok);
    must(sknock_client_set_timeout(client, 1000) == ok);
    must(sknock_client_set_verify(NULL, 1) == wrong);
    must(sknock_client_set_verify(client, 0) == ok && sknock_client_set_verify(client, 2) == ok);
    must(sknock_client_set_family(NULL, 4) == wrong);
    must(sknock_client_set_family(client, 5) == wrong && said(wrong, "0, 4 or 6"));
    must(sknock_client_set_family(client, 6) == ok && sknock_client_set_family(client, 0) == ok);
    must(sknock_client_set_address(NULL, "auto") == wrong);
    must(sknock_client_set_address(client, NULL) == wrong && said(wrong, "address is NULL"));
    must(sknock_client_set_address(client, NOT_UTF_8) == wrong && said(wrong, "not UTF-8"));
    must(sknock_client_set_address(client, "here") == wrong && said(wrong, "'source'"));
    must(sknock_client_set_address(client, "192.0.2.1") == ok);
    must(sknock_client_set_address(client, "2001:db8::1") == ok);
    must(sknock_client_set_address(client, "source") == ok);
    must(sknock_client_set_address(client, "auto") == ok);
    must(sknock_client_set_public_address(NULL, "192.0.2.1") == wrong);
    must(sknock_client_set_public_address(client, NULL) == wrong);
    must(sknock_client_set_public_address(client, "auto") == wrong && said(wrong, "IP address"));
    must(sknock_client_set_public_address(client, "192.0.2.1") == ok);
    must(sknock_client_set_lifetime(NULL, 1) == wrong);
    must(sknock_client_set_lifetime(client, 1) == ok && sknock_client_set_lifetime(client, 0) == ok);
    must(sknock_client_set_single_use(NULL, 1) == wrong);
    must(sknock_client_set_single_use(client, -1) == ok);
    must(sknock_client_set_single_use(client, 0) == ok);
}

static void knocks(sknock_client *client) {
    sknock_opened *opened = (sknock_opened *)&opened; // anything: it must become NULL
    must(sknock_knock(NULL, "gw", "tcp/22", &opened) == SKNOCK_RESULT_ARGUMENT && !opened);
    must(said(SKNOCK_RESULT_ARGUMENT, "client is NULL"));
    must(sknock_knock(client, NULL, "tcp/22", NULL) == SKNOCK_RESULT_ARGUMENT);
    must(said(SKNOCK_RESULT_ARGUMENT, "host is NULL"));
    must(sknock_knock(client, "gw", NULL, NULL) == SKNOCK_RESULT_ARGUMENT);
    must(said(SKNOCK_RESULT_ARGUMENT, "services is NULL"));
    must(sknock_knock(client, NOT_UTF_8, "tcp/22", NULL) == SKNOCK_RESULT_ARGUMENT);
    must(sknock_knock(client, "gw", NOT_UTF_8, NULL) == SKNOCK_RESULT_ARGUMENT);
    must(sknock_knock(client, "gw", "tcp/22 22", NULL) == SKNOCK_RESULT_ARGUMENT);
    must(said(SKNOCK_RESULT_ARGUMENT, "'22'"));
    must(sknock_knock(client, "", "tcp/22", &opened) == SKNOCK_RESULT_ARGUMENT && !opened);
    must(sknock_connect(NULL, "gw", 22) == SKNOCK_RESULT_ARGUMENT);
    must(sknock_connect(client, NULL, 22) == SKNOCK_RESULT_ARGUMENT);
    must(sknock_connect(client, NOT_UTF_8, 22) == SKNOCK_RESULT_ARGUMENT);
    must(sknock_connect(client, "127.0.0.1", 0) == SKNOCK_RESULT_ARGUMENT);
    must(said(SKNOCK_RESULT_ARGUMENT, "port 0"));
    // nobody knocks at home
    must(sknock_connect(client, "127.0.0.1", 22) == SKNOCK_RESULT_NOT_CONFIRMED);
    must(said(SKNOCK_RESULT_NOT_CONFIRMED, "127.0.0.1"));
    must(sknock_opened_destination(NULL) == NULL && sknock_opened_seconds(NULL) == 0);
    must(sknock_opened_observed(NULL) == NULL);
    must(sknock_server_ends(NULL) == 0 && sknock_identity_ends(NULL) == 0);
    must(sknock_opened_verified(NULL) == SKNOCK_VERIFIED_NO);
    sknock_opened_free(NULL);
}

static void originals(void) {
    must(knock_init() == 0 && knock_init() == 0);
    must(!knock_new(1, 1, 1, NULL, pfx, password) && said(SKNOCK_RESULT_ARGUMENT, "server_cert_path"));
    must(!knock_new(1, 1, 1, certificate, NULL, password));
    must(said(SKNOCK_RESULT_ARGUMENT, "client_cert_path is NULL"));
    must(!knock_new(1, 1, 1, certificate, pfx, NOT_UTF_8));
    must(!knock_new(1, 1, 1, "/nowhere.cer", pfx, password) && said(SKNOCK_RESULT_FILE, "nowhere"));
    must(!knock_new(1, 1, 1, certificate, "/nowhere.pfx", "") && said(SKNOCK_RESULT_FILE, "nowhere"));
    must(!knock_new(1, 1, 1, certificate, pfx, "wrong") && said(SKNOCK_RESULT_PASSWORD, "wrong"));
    must(!knock_new(1, 1, 1, certificate, pfx, NULL) && said(SKNOCK_RESULT_PASSWORD, "wrong"));
    must(!knock_default_new(NOT_UTF_8) && !knock_default_new(NULL));
    struct KNOCK_Handle *handle = knock_new(0, 0, 1, certificate, pfx, password);
    must(handle != NULL);
    must(knock_knock(NULL, "127.0.0.1", 22, KNOCK_TCP) == -1);
    must(said(SKNOCK_RESULT_ARGUMENT, "handle is NULL"));
    must(knock_knock(handle, NULL, 22, KNOCK_TCP) == -1);
    must(knock_knock(handle, NOT_UTF_8, 22, KNOCK_TCP) == -1);
    must(knock_knock(handle, "127.0.0.1", 0, KNOCK_TCP) == -1);
    must(knock_knock(handle, "127.0.0.1", 22, 2) == -1 && knock_knock(handle, "127.0.0.1", 22, -1) == -1);
    must(said(SKNOCK_RESULT_ARGUMENT, "KNOCK_UDP or KNOCK_TCP"));
    must(knock_knock(handle, "no.such.host.invalid", 22, KNOCK_TCP) == -1 && said(SKNOCK_RESULT_RESOLVE, "host"));
    must(knock_knock(handle, "127.0.0.1", 22, KNOCK_TCP) == 0);
    must(said(SKNOCK_RESULT_NOT_CONFIRMED, "127.0.0.1"));
    must(knock_knock(handle, "127.0.0.1", 53, KNOCK_UDP) == 1);
    knock_free(handle);
    knock_free(NULL);
}

int main(int count, char **word) {
    must(count == 3);
    pfx = word[1];
    certificate = word[2];
    password = getenv("PASSWORD");
    must(sknock_error() == SKNOCK_RESULT_OK && strcmp(sknock_error_text(), "") == 0);
    identities();
    servers();
    sknock_identity *identity = sknock_identity_open(pfx, password);
    sknock_server *server = sknock_server_open(certificate);
    must(!sknock_client_new(NULL, server) && said(SKNOCK_RESULT_ARGUMENT, "identity is NULL"));
    must(!sknock_client_new(identity, NULL) && said(SKNOCK_RESULT_ARGUMENT, "server is NULL"));
    sknock_client *client = sknock_client_new(identity, server);
    must(client != NULL);
    sknock_identity_free(identity);
    sknock_server_free(server);
    options(client);
    knocks(client);
    sknock_client_free(client);
    sknock_client_free(NULL);
    originals();
    return 0;
}
