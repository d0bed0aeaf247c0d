#!/usr/bin/env python3
"""Opens services that sKnock hides, through libsknock and ctypes.

    SKNOCK_PFX_PASSWORD=secret ./knock.py alice.pfx gateway.cer gateway.example tcp/22 udp/53
"""

import ctypes
import os
import sys

LIB = ctypes.CDLL("libsknock.so.0")


def declare(name, result, *arguments):
    """Without this, ctypes takes pointers for numbers of 32 bits."""
    function = getattr(LIB, name)
    function.restype, function.argtypes = result, arguments
    return function


HANDLE, TEXT = ctypes.c_void_p, ctypes.c_char_p
error_text = declare("sknock_error_text", TEXT)
identity_open = declare("sknock_identity_open", HANDLE, TEXT, TEXT)
identity_free = declare("sknock_identity_free", None, HANDLE)
server_open = declare("sknock_server_open", HANDLE, TEXT)
server_free = declare("sknock_server_free", None, HANDLE)
client_new = declare("sknock_client_new", HANDLE, HANDLE, HANDLE)
client_free = declare("sknock_client_free", None, HANDLE)
knock = declare("sknock_knock", ctypes.c_int, HANDLE, TEXT, TEXT, ctypes.POINTER(HANDLE))
destination = declare("sknock_opened_destination", TEXT, HANDLE)
observed = declare("sknock_opened_observed", TEXT, HANDLE)
seconds = declare("sknock_opened_seconds", ctypes.c_uint16, HANDLE)
opened_free = declare("sknock_opened_free", None, HANDLE)


class NotOpened(Exception):
    """Says why, and what to do."""


def must(result):
    if not result:
        raise NotOpened(error_text().decode())
    return result


def open_services(pfx, password, certificate, host, services):
    """Where the services are open, to which address of ours, and for how many seconds."""
    identity = must(identity_open(pfx.encode(), password.encode()))
    server = client = None
    try:
        server = must(server_open(certificate.encode()))
        client = must(client_new(identity, server))
        opened = HANDLE()
        result = knock(client, host.encode(), " ".join(services).encode(), ctypes.byref(opened))
        must(result == 0)
        try:
            # Nothing, if no answer came.
            to = observed(opened) or b"nobody knows whom"
            return destination(opened).decode(), to.decode(), seconds(opened)
        finally:
            opened_free(opened)
    finally:
        client_free(client)
        server_free(server)
        identity_free(identity)


def main():
    if len(sys.argv) < 4:
        sys.exit(f"usage: {sys.argv[0]} IDENTITY SERVER-CERTIFICATE HOST [SERVICE ...]")
    pfx, certificate, host, *services = sys.argv[1:]
    password = os.environ.get("SKNOCK_PFX_PASSWORD", "")
    try:
        where, to, how_long = open_services(pfx, password, certificate, host, services)
    except NotOpened as error:
        sys.exit(f"{host}: {error}")
    print(f"open on {where} to {to} for {how_long} s")


if __name__ == "__main__":
    main()
