// libsknock: opens services hidden by sKnock. See docs/C.md for an example.
//
// Every function may be called from any thread. None ends the process, unless there is no memory left.
// None prints anything, but for a fault in the library, which is told on standard error and becomes
// SKNOCK_RESULT_INTERNAL.
//
// Text is UTF-8 and ends with a zero byte. What you hand over stays yours and is read during the call
// only; NULL, or a text that is no UTF-8, is an error and not a crash. What a function returns a
// pointer to is yours until you free it with the function for it, unless the function says otherwise.
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
  // An argument is NULL, out of its range or no UTF-8, or nobody can knock like that.
  SKNOCK_RESULT_ARGUMENT = -1,
  // A file cannot be read.
  SKNOCK_RESULT_FILE = -2,
  // The password does not open the identity.
  SKNOCK_RESULT_PASSWORD = -3,
  // The identity is none, is damaged, or its key or certificate cannot knock.
  SKNOCK_RESULT_IDENTITY = -4,
  // The server's certificate is none, or its key is no server's.
  SKNOCK_RESULT_SERVER = -5,
  // The host's name has no address, or none of the wanted family.
  SKNOCK_RESULT_RESOLVE = -6,
  // No knock could be sent: the network or a local firewall is in the way, or this machine's
  // clock or memory.
  SKNOCK_RESULT_NOT_SENT = -7,
  // Knocks were sent, and nothing shows that a door is open. Servers never say no.
  SKNOCK_RESULT_NOT_CONFIRMED = -8,
  // The server opened the door, but behind it nothing accepts connections.
  SKNOCK_RESULT_NOTHING_LISTENS = -9,
  // A fault in this library; the text says which. Please report it.
  SKNOCK_RESULT_INTERNAL = -10,
} sknock_result;

// How a client knows that the door is open.
typedef enum {
  // It does not: verification was not wanted.
  SKNOCK_VERIFIED_NO = 0,
  // The server said so.
  SKNOCK_VERIFIED_ANSWER = 1,
  // No answer arrived, but a connection succeeded: the port may not be protected at all.
  SKNOCK_VERIFIED_CONNECTION = 2,
} sknock_verified;

// Opens doors of one server, or of several that share one certificate.
//
// Several threads may use one client at a time, for everything but `sknock_client_free()`.
typedef struct sknock_client sknock_client;

// Who knocks: a private key and its certificate.
typedef struct sknock_identity sknock_identity;

// A door that was opened, and what is known about it.
typedef struct sknock_opened sknock_opened;

// Whom to knock on: what is known of a server, which is its certificate.
typedef struct sknock_server sknock_server;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Why the latest failed call of this thread failed; `SKNOCK_RESULT_OK` if none did.
//
// A call that works does not change it.
sknock_result sknock_error(void);

// The same for people: one English sentence or more, with what to do; never NULL.
//
// The text belongs to the library. It is valid until another call of this thread fails, or the
// thread ends: copy what shall last longer.
const char *sknock_error_text(void);

// Opens an identity: a PKCS#12 file with one key (P-256, P-384 or Ed25519) and its certificate.
//
// `password` is read during the call only; "" if there is none. Takes up to a second: the file
// says how hard passwords are to try.
//
// Returns an identity to be freed with `sknock_identity_free()`, or NULL: see `sknock_error()`.
sknock_identity *sknock_identity_open(const char *path, const char *password);

// As `sknock_identity_open()`, from the `length` bytes of such a file at `pfx`; at most 1 MiB.
//
// The bytes are read during the call only.
sknock_identity *sknock_identity_read(const uint8_t *pfx, size_t length, const char *password);

// When the identity's certificate ends, in seconds since 1970 (UTC); 0 if `identity` is NULL. From then on no
// server opens for it, and none says so.
uint64_t sknock_identity_ends(const sknock_identity *identity);

// Frees an identity; NULL is nothing to do. Clients that were made with it go on.
void sknock_identity_free(sknock_identity *identity);

// Reads a server's certificate from a file, DER or PEM. Its key must be on P-256.
//
// Nothing is checked but the key: the file must come from where you trust.
//
// Returns a server to be freed with `sknock_server_free()`, or NULL: see `sknock_error()`.
sknock_server *sknock_server_open(const char *path);

// As `sknock_server_open()`, from the `length` bytes of such a file at `certificate`; at most 1 MiB.
//
// The bytes are read during the call only.
sknock_server *sknock_server_read(const uint8_t *certificate,
                                  size_t length);

// When the server's certificate ends, in seconds since 1970 (UTC); 0 if `server` is NULL.
//
// Knocks do not depend on it. But who renews a certificate may have given the server another key.
uint64_t sknock_server_ends(const sknock_server *server);

// Frees a server; NULL is nothing to do. Clients that were made with it go on.
void sknock_server_free(sknock_server *server);

// A client for one identity and one server, with every option at its default.
//
// It keeps what it needs of both: they may be freed or used again.
//
// Returns a client to be freed with `sknock_client_free()`, or NULL: see `sknock_error()`.
sknock_client *sknock_client_new(const sknock_identity *identity, const sknock_server *server);

// Frees a client; NULL is nothing to do. No other thread may be using it.
void sknock_client_free(sknock_client *client);

// Asks `host` (a name or an address) to open `services` for us, and makes sure that it did.
//
// `services` are separated by spaces or commas: "tcp/22 udp/60000-60010". "" means everything
// that our certificate allows. The server grants all or nothing.
//
// `opened` may be NULL. Else it gets what is known about the door, to be freed with
// `sknock_opened_free()`, or NULL if the call fails; what it held before is not freed.
//
// Blocks until the door is open, or until every attempt failed.
sknock_result sknock_knock(sknock_client *client,
                           const char *host,
                           const char *services,
                           sknock_opened **opened);

// Asks `host` (a name or an address) to open the TCP `port` for us, and connects to it.
//
// A connection that fails is tried again, with new knocks in between, until one succeeds or the
// time is over.
//
// Returns the socket: 0 or greater, blocking, closed on exec, to be closed by you. Else a negative
// number: one of `sknock_result`.
int sknock_connect(sknock_client *client, const char *host, uint16_t port);

// Which protocol to knock with: 2, or 1 for servers of the original sKnock 1.0, which never answer.
// Protocol 1 asks for one single port at a time, and keys must be on P-256. Default: 2.
sknock_result sknock_client_set_protocol(sknock_client *client, int version);

// The server's UDP port for knocks, 1 to 65535. Default: 62344; with protocol 1 any from 10000 to
// 60000, for each call anew.
sknock_result sknock_client_set_knock_port(sknock_client *client, uint16_t port);

// How often every address of a host is knocked on at most, 1 to 255. Default: 3.
sknock_result sknock_client_set_attempts(sknock_client *client, unsigned int attempts);

// How long the first attempt waits for the server's answer, and then for a connection, in
// milliseconds; each following attempt waits twice as long as the one before. Default: 1000.
sknock_result sknock_client_set_attempt_timeout(sknock_client *client, unsigned int milliseconds);

// How long a whole call may take, in milliseconds. Default: 10000.
sknock_result sknock_client_set_timeout(sknock_client *client, unsigned int milliseconds);

// Whether to make sure that the door is open, by the server's answer or by a connection. Without,
// `sknock_knock()` returns as soon as one knock is sent to each address. 0 for no, everything else for
// yes. Default: yes.
sknock_result sknock_client_set_verify(sknock_client *client,
                                       int verify);

// Which addresses of a host to use: 4 for IPv4 only, 6 for IPv6 only, 0 for all. Default: 0.
sknock_result sknock_client_set_family(sknock_client *client, int family);

// Which address to open for: an IPv4 or IPv6 address, "source" for wherever the knock arrives
// from, or "auto" for our own where the server surely sees it, else "source". "source" works
// behind any NAT; someone on the path could use such a knock for their own address first.
// Default: "auto".
sknock_result sknock_client_set_address(sknock_client *client, const char *address);

// The address that servers beyond our NAT see, for "auto"; one of each family. Default: unknown
// until a server's answer tells.
sknock_result sknock_client_set_public_address(sknock_client *client, const char *address);

// For how many seconds the door should stay open; the server may shorten it. 0 means as long as
// the server likes. Default: 0.
sknock_result sknock_client_set_lifetime(sknock_client *client, uint16_t seconds);

// Whether the first new connection closes the door behind it; single TCP ports only. Such a door
// is not tried by a connection of ours. 0 for no, everything else for yes. Default: no.
sknock_result sknock_client_set_single_use(sknock_client *client, int single_use);

// The address on which the door is open, as text. A host may have several: connect to this one.
//
// The text belongs to `opened` and is freed with it. NULL if `opened` is NULL.
const char *sknock_opened_destination(const sknock_opened *opened);

// Our address as the server sees it, as text: the door is open to this one. NULL if no answer arrived, or if
// `opened` is NULL.
//
// The text belongs to `opened` and is freed with it. A connection that leaves by another address, as through a
// proxy or by another route, finds the door closed.
const char *sknock_opened_observed(const sknock_opened *opened);

// For how many seconds the door is open to new connections, counted from the server's answer; 0
// if there was none, or if `opened` is NULL.
uint16_t sknock_opened_seconds(const sknock_opened *opened);

// How sure it is that the door is open; `SKNOCK_VERIFIED_NO` if `opened` is NULL.
sknock_verified sknock_opened_verified(const sknock_opened *opened);

// Frees what `sknock_knock()` told; NULL is nothing to do. The door stays as it is.
void sknock_opened_free(sknock_opened *opened);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /*SKNOCK_H */
