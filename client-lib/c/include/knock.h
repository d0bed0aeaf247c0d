// The original sKnock's C library, name for name, over libsknock: link with -lknock or -lsknock.
//
// Every function may be called from any thread. None ends the process. Options without an argument in the
// original are in the environment, and read when a handle is made: SKNOCK_PROTOCOL is v2, or v1 for servers
// of the original (default v2), SKNOCK_KNOCK_PORT is the server's knock port (default 62344; with v1 any from
// 10000 to 60000).
//
// Generated from the sources by `make header`; do not edit.

#ifndef KNOCK_H
#define KNOCK_H

// `protocol` of `knock_knock()`: a UDP port.
#define KNOCK_UDP 0

// `protocol` of `knock_knock()`: a TCP port.
#define KNOCK_TCP 1

// A configured client: the original's `struct KNOCK_Handle`.
//
// Several threads may use one handle at a time, for everything but `knock_free()`.
struct KNOCK_Handle;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Prepares the library. Does nothing; calling it is optional.
//
// Returns 0.
int knock_init(void);

// Opens an identity (PKCS#12) and a server's certificate (DER or PEM).
//
// `timeout` is for the connection that verifies a TCP port, in seconds. `retries` is the number of attempts,
// each with a new knock; 0 is treated as 1. Without `verify` (0), one knock is sent and success is assumed.
// `client_cert_passwd` may be NULL for the empty password. All text is read during the call only.
//
// Returns a handle to be freed with `knock_free()`, or NULL: `sknock_error_text()` of sknock.h has the
// reason.
struct KNOCK_Handle *knock_new(unsigned int timeout,
                               unsigned int retries,
                               int verify,
                               const char *server_cert_path,
                               const char *client_cert_path,
                               const char *client_cert_passwd);

// Same as `knock_new()` with files at their default paths, 10 seconds, 3 attempts and verification.
//
// If `KNOCKPATH` is set: client/certificates/devclient.pfx and devserver.cer there, as in the original. Else
// those of the command line: identity.pfx and server.cer in `$XDG_CONFIG_HOME/sknock` or `~/.config/sknock`.
// Not for programs that run with more rights than their user: the user controls the environment.
struct KNOCK_Handle *knock_default_new(const char *client_cert_passwd);

// Requests access to `port` on `host` (a name or an address).
//
// `protocol` is `KNOCK_UDP` or `KNOCK_TCP`. Verification is for TCP only; it takes no longer than
// retries * (timeout + 1) seconds.
//
// Returns 1 if the port is open, or a knock was sent without verification; 0 if no attempt opened it; -1 if
// nothing could be tried: the name has no address, no packet leaves this machine, an argument is wrong. For
// 0 and -1, `sknock_error_text()` of sknock.h has the reason.
int knock_knock(struct KNOCK_Handle *handle,
                const char *host,
                unsigned short port,
                int protocol);

// Frees a handle; NULL does nothing. No other thread may be using it. The original had no such function.
void knock_free(struct KNOCK_Handle *handle);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /*KNOCK_H */
