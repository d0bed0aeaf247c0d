// libsknock: opens services hidden by sKnock. See docs/C.md for an example.
//
// Every function may be called from any thread. None ends the process, unless there is no memory left.
// None prints anything, except for a bug in the library, which is reported on standard error and as
// SKNOCK_RESULT_INTERNAL.
//
// Text is UTF-8 and ends with a zero byte. Arguments stay yours and are read during the call only; NULL, or
// invalid UTF-8, is an error and does not crash. You own a pointer that a function returns until you free it
// with the function for it, unless the function's comment differs.
//
// Generated from the sources by `make header`; do not edit.

#ifndef SKNOCK_H
#define SKNOCK_H

#include <stddef.h>
#include <stdint.h>

// How a call ended: `SKNOCK_RESULT_OK`, or a negative number. New ones may be added.
typedef enum {
  // It worked.
  SKNOCK_RESULT_OK = 0,
  // An argument is NULL, out of its range or invalid UTF-8, or no knock can be made with it.
  SKNOCK_RESULT_ARGUMENT = -1,
  // A file cannot be read.
  SKNOCK_RESULT_FILE = -2,
  // The password does not open the identity.
  SKNOCK_RESULT_PASSWORD = -3,
  // The identity is invalid or damaged, or its key or certificate cannot be used for knocks.
  SKNOCK_RESULT_IDENTITY = -4,
  // The server's certificate is invalid, or its key cannot be a server's.
  SKNOCK_RESULT_SERVER = -5,
  // The host's name has no address, or none of the wanted family.
  SKNOCK_RESULT_RESOLVE = -6,
  // No knock could be sent: the network or a local firewall prevents it, or this machine's clock or memory
  // does.
  SKNOCK_RESULT_NOT_SENT = -7,
  // Knocks were sent, and there is no sign that access was granted. Servers never answer refused knocks.
  SKNOCK_RESULT_NOT_CONFIRMED = -8,
  // The server granted access, but nothing accepts connections at the port.
  SKNOCK_RESULT_NOTHING_LISTENS = -9,
  // A bug in this library; the text describes it. Please report it.
  SKNOCK_RESULT_INTERNAL = -10,
} sknock_result;

// How the client knows that access was granted.
typedef enum {
  // Unknown: verification was disabled.
  SKNOCK_VERIFIED_NO = 0,
  // The server answered.
  SKNOCK_VERIFIED_ANSWER = 1,
  // No answer arrived, but a connection succeeded: the port may not be protected at all.
  SKNOCK_VERIFIED_CONNECTION = 2,
} sknock_verified;

// Requests access to services of one server, or of several that share one certificate.
//
// Several threads may use one client at a time, for everything but `sknock_client_free()`.
typedef struct sknock_client sknock_client;

// The client's identity: a private key and its certificate.
typedef struct sknock_identity sknock_identity;

// The result of a knock.
typedef struct sknock_opened sknock_opened;

// A server, identified by its certificate.
typedef struct sknock_server sknock_server;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The reason of the latest failed call of this thread; `SKNOCK_RESULT_OK` if none failed.
//
// A successful call does not change it.
sknock_result sknock_error(void);

// The same as text: one English sentence or more, with a remedy; never NULL.
//
// The text belongs to the library. It is valid until another call of this thread fails, or the thread ends:
// copy it if you need it longer.
const char *sknock_error_text(void);

// Opens an identity: a PKCS#12 file with one key (P-256, P-384 or Ed25519) and its certificate.
//
// `password` is read during the call only; "" if there is none. Takes up to a second, depending on the key
// derivation of the file.
//
// Returns an identity to be freed with `sknock_identity_free()`, or NULL: see `sknock_error()`.
sknock_identity *sknock_identity_open(const char *path,
                                      const char *password);

// Same as `sknock_identity_open()`, from the `length` bytes of such a file at `pfx`; at most 1 MiB.
//
// The bytes are read during the call only.
sknock_identity *sknock_identity_read(const uint8_t *pfx, size_t length, const char *password);

// The end of the certificate's validity, in seconds since 1970 (UTC); 0 if `identity` is NULL. Afterwards
// every server refuses it, without an answer.
uint64_t sknock_identity_ends(const sknock_identity *identity);

// Frees an identity; NULL does nothing. Clients that were made with it remain valid.
void sknock_identity_free(sknock_identity *identity);

// Reads a server's certificate from a file, DER or PEM. Its key must be on P-256.
//
// Only the key is checked: the file must come from a trusted source.
//
// Returns a server to be freed with `sknock_server_free()`, or NULL: see `sknock_error()`.
sknock_server *sknock_server_open(const char *path);

// Same as `sknock_server_open()`, from the `length` bytes of such a file at `certificate`; at most 1 MiB.
//
// The bytes are read during the call only.
sknock_server *sknock_server_read(const uint8_t *certificate,
                                  size_t length);

// The end of the certificate's validity, in seconds since 1970 (UTC); 0 if `server` is NULL.
//
// Knocks do not depend on it. But a renewed certificate may have another key.
uint64_t sknock_server_ends(const sknock_server *server);

// Frees a server; NULL does nothing. Clients that were made with it remain valid.
void sknock_server_free(sknock_server *server);

// A client for one identity and one server, with every option at its default.
//
// It keeps what it needs of both: they may be freed or used again.
//
// Returns a client to be freed with `sknock_client_free()`, or NULL: see `sknock_error()`.
sknock_client *sknock_client_new(const sknock_identity *identity, const sknock_server *server);

// Frees a client; NULL is nothing to do. No other thread may be using it.
void sknock_client_free(sknock_client *client);

// Requests access to `services` on `host` (a name or an address), and verifies that it was granted.
//
// `services` are separated by spaces or commas: "tcp/22 udp/60000-60010". "" means all that the certificate
// allows. The server grants all or nothing.
//
// `opened` may be NULL. Otherwise it receives the result, to be freed with `sknock_opened_free()`, or NULL
// if the call fails; its previous content is not freed.
//
// Blocks until access is granted, or until every attempt has failed.
sknock_result sknock_knock(sknock_client *client,
                           const char *host,
                           const char *services,
                           sknock_opened **opened);

// Requests access to the TCP `port` on `host` (a name or an address), and connects to it.
//
// A connection that fails is tried again, with new knocks in between, until one succeeds or the
// time is over.
//
// Returns the socket: 0 or greater, blocking, closed on exec, to be closed by you. Else a negative
// number: one of `sknock_result`.
int sknock_connect(sknock_client *client, const char *host, uint16_t port);

// The protocol version: 2, or 1 for servers of the original sKnock 1.0, which never answer. Protocol 1
// requests one single port at a time, and keys must be on P-256. Default: 2.
sknock_result sknock_client_set_protocol(sknock_client *client,
                                         int version);

// The server's knock port, 1 to 65535. Default: 62344; with protocol 1 a random one from 10000 to 60000 for
// each call.
sknock_result sknock_client_set_knock_port(sknock_client *client,
                                           uint16_t port);

// Maximum number of knocks to every address of a host, 1 to 255. Default: 3. With a clock that differs by less than
// an hour from the server's, the server can log why it refuses the last one.
sknock_result sknock_client_set_attempts(sknock_client *client,
                                         unsigned int attempts);

// How long the first attempt waits for the server's answer, and then for a connection, in milliseconds; each
// following attempt waits twice as long as the one before. Default: 1000.
sknock_result sknock_client_set_attempt_timeout(sknock_client *client,
                                                unsigned int milliseconds);

// Time limit of a whole call, in milliseconds. Default: 10000.
sknock_result sknock_client_set_timeout(sknock_client *client, unsigned int milliseconds);

// Whether to verify that access was granted, by the server's answer or by a connection. Without
// verification, `sknock_knock()` returns as soon as one knock is sent to each address. 0 disables it, every
// other value enables it. Default: enabled.
sknock_result sknock_client_set_verify(sknock_client *client,
                                       int verify);

// Which addresses of a host to use: 4 for IPv4 only, 6 for IPv6 only, 0 for all. Default: 0.
sknock_result sknock_client_set_family(sknock_client *client, int family);

// The client address for the grant: an IPv4 or IPv6 address, "source" for the address from which the server
// receives the knock, or "auto" for the local address if the server certainly sees it, else "source".
// "source" works behind any NAT; an attacker on the path could use such a knock for their own address first.
// Default: "auto".
sknock_result sknock_client_set_address(sknock_client *client,
                                        const char *address);

// The address that servers beyond the NAT see, for "auto"; one of each family. Default: unknown until a
// server's answer contains it.
sknock_result sknock_client_set_public_address(sknock_client *client,
                                               const char *address);

// Requested duration of the grant in seconds; the server may shorten it. 0 means the server's default.
// Default: 0.
sknock_result sknock_client_set_lifetime(sknock_client *client,
                                         uint16_t seconds);

// Whether the grant ends with its first connection; single TCP ports only. Such a grant is not verified by a
// connection. 0 disables it, every other value enables it. Default: disabled.
sknock_result sknock_client_set_single_use(sknock_client *client,
                                           int single_use);

// The address of the server that granted access, as text. A host may have several: connect to this one.
//
// The text belongs to `opened` and is freed with it. NULL if `opened` is NULL.
const char *sknock_opened_destination(const sknock_opened *opened);

// The client's address as the server sees it, as text: the grant is for this address. NULL if no answer
// arrived, or if `opened` is NULL.
//
// The text belongs to `opened` and is freed with it. The server blocks connections from any other address,
// for example through a proxy or by another route.
const char *sknock_opened_observed(const sknock_opened *opened);

// Duration of the grant in seconds, counted from the server's answer; 0 if there was none, or if `opened` is
// NULL.
uint16_t sknock_opened_seconds(const sknock_opened *opened);

// How the client knows that access was granted; `SKNOCK_VERIFIED_NO` if `opened` is NULL.
sknock_verified sknock_opened_verified(const sknock_opened *opened);

// Frees the result of `sknock_knock()`; NULL does nothing. The grant remains.
void sknock_opened_free(sknock_opened *opened);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /*SKNOCK_H */
