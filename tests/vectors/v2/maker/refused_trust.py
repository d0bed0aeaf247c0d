"""Refused for the certificate: its path, its dates, its usage, its revocation."""

from .case import Case, altered
from .policy import LIBERAL

PATH = {"client": "by-intermediate", "authorities": ("ca", "intermediate")}
BAD_SIGNATURE = altered(20)


def bad_certificate() -> list[Case]:
    return [
        Case(
            "garbage-in-a-sequence",
            "One DER SEQUENCE, but no certificate.",
            certificate=lambda der: b"\x30\x04\x02\x02\x01\x00",
        ),
        Case("empty-sequence", "An empty SEQUENCE.", certificate=lambda der: b"\x30\x00"),
        Case("p521-key", "A key on P-521.", client="p521"),
        Case(
            "rsa-key",
            "An RSA key: its signature is cut to fit.",
            client="rsa-client",
            signature=lambda made: made[:72],
        ),
        Case("hybrid-point", "The client's key is a point in the hybrid form.", client="hybrid-point"),
        Case(
            "point-in-its-info",
            "The key's bit string holds a whole SubjectPublicKeyInfo.",
            client="point-in-its-info",
        ),
        Case(
            "explicit-parameters",
            "The client's key has the parameters of P-256 instead of its name.",
            client="explicit-parameters",
        ),
        Case(
            "unknown-critical-extension", "A critical extension that nobody knows.", client="unknown-critical"
        ),
    ]


def unknown_authority() -> list[Case]:
    return [
        Case(
            "another-authority",
            "Issued by an authority of the same name with another key.",
            client="by-other-ca",
        ),
        Case("self-signed", "Issued by itself.", client="by-nobody"),
        Case("issued-by-a-client", "Issued by a client's certificate.", client="by-alice"),
        Case("intermediate-missing", "The server does not have the intermediate.", client="by-intermediate"),
        Case(
            "authority-not-configured",
            "A good certificate of an authority that this server does not trust.",
            authorities=("other-ca",),
        ),
        Case(
            "authority-with-rsa-1024",
            "The authority's RSA key is too short.",
            client="by-ca-rsa1024",
            authorities=("ca", "ca-rsa1024"),
        ),
        Case(
            "authority-with-p521",
            "The authority's key is on P-521.",
            client="by-ca-p521",
            authorities=("ca", "ca-p521"),
        ),
        Case(
            "authority-with-explicit-parameters",
            "The authority's key has the parameters of P-256 instead of its name.",
            client="by-ca-explicit",
            authorities=("ca", "ca-explicit"),
        ),
        Case(
            "pss-with-a-salt-of-16-bytes",
            "Signed by RSASSA-PSS with SHA-256 and a salt that is shorter than the hash.",
            client="by-ca-rsa2048-by-pss-salt-16",
            authorities=("ca", "ca-rsa2048"),
        ),
        Case(
            "authority-signs-lists-only",
            "The anchor's keyUsage lacks keyCertSign.",
            client="by-ca-signs-lists-only",
            authorities=("ca", "ca-signs-lists-only"),
        ),
        Case(
            "intermediate-signs-lists-only",
            "The intermediate's keyUsage lacks keyCertSign.",
            client="by-intermediate-signs-lists-only",
            authorities=("ca", "intermediate-signs-lists-only"),
        ),
        Case(
            "intermediate-with-unknown-critical-extension",
            "A critical extension of the intermediate that nobody knows.",
            client="by-intermediate-unknown-critical",
            authorities=("ca", "intermediate-unknown-critical"),
        ),
        Case(
            "path-too-long",
            "An authority below an intermediate whose pathLenConstraint is 0.",
            client="by-intermediate-below-path-0",
            authorities=("ca", "intermediate-path-0", "intermediate-below-path-0"),
        ),
        Case("altered-certificate", "One byte of the certificate's own signature.", certificate=altered(-1)),
        Case(
            "order-before-signature",
            "Also the knock's signature is wrong.",
            client="by-other-ca",
            signature=BAD_SIGNATURE,
        ),
    ]


def certificate_expired() -> list[Case]:
    return [
        Case("by-1-s", "The leaf ended a second ago.", client="expired"),
        Case(
            "intermediate",
            "The intermediate ended a second ago.",
            client="by-intermediate-expired",
            authorities=("ca", "intermediate-expired"),
        ),
        Case(
            "less-than-a-second-left",
            "Still valid, but not for the shortest grant: refused by policy.",
            client="last-second",
            policy=LIBERAL,
        ),
        Case("order-before-revocation", "Also revoked.", client="expired", crls=("ca-expired",)),
    ]


def certificate_not_yet_valid() -> list[Case]:
    return [Case("by-1-s", "The leaf begins in a second.", client="not-yet-valid")]


def not_a_client_certificate() -> list[Case]:
    return [
        Case("server-only", "For server authentication alone.", client="server-only"),
        Case("no-usage", "No extended key usage at all.", client="no-usage"),
        Case("any-usage", "anyExtendedKeyUsage does not name clients.", client="any-usage"),
        Case("a-server", "The server's own certificate.", client="server-b"),
        Case("an-authority", "The authority's own certificate.", client="ca"),
        Case(
            "an-unknown-authority",
            "The certificate of an authority that this server does not trust: no path is looked for.",
            client="ca-p384",
        ),
        Case("agrees-only", "keyUsage is keyAgreement: the key must not sign.", client="agrees-only"),
        Case("commits-only", "keyUsage is contentCommitment alone.", client="commits-only"),
        Case(
            "intermediate-for-servers",
            "The intermediate's extKeyUsage lacks clientAuth.",
            client="by-intermediate-for-servers",
            authorities=("ca", "intermediate-for-servers"),
        ),
        Case(
            "intermediate-for-any",
            "The intermediate's extKeyUsage has only anyExtendedKeyUsage.",
            client="by-intermediate-for-any",
            authorities=("ca", "intermediate-for-any"),
        ),
    ]


def revocation_unknown() -> list[Case]:
    return [
        Case("no-list-yet", "Lists are configured, none has come.", crls=()),
        Case(
            "no-list-of-the-issuer",
            "There is a list, but of another authority.",
            crls=("intermediate-empty",),
            authorities=("ca", "intermediate"),
        ),
        Case(
            "no-list-of-the-intermediate",
            "The anchor's list alone does not cover the leaf.",
            crls=("ca-empty",),
            **PATH,
        ),
        Case(
            "no-list-of-the-anchor",
            "The intermediate's list alone does not cover the intermediate.",
            crls=("intermediate-empty",),
            **PATH,
        ),
        Case(
            "list-of-an-issuer-without-crl-sign",
            "The list is signed rightly, but its issuer's keyUsage lacks cRLSign: it is not accepted.",
            client="by-ca-signs-no-lists",
            authorities=("ca-signs-no-lists",),
            crls=(),
            refused_crls=("ca-signs-no-lists-empty",),
        ),
        Case(
            "list-with-remove-from-crl",
            "A complete list with an entry removeFromCRL is not accepted.",
            crls=(),
            refused_crls=("ca-removed",),
        ),
        Case("list-past-grace", "One second after the list's grace ended.", crls=("ca-past-grace",)),
        Case("order-before-signature", "Also the signature is wrong.", crls=(), signature=BAD_SIGNATURE),
    ]


def revoked() -> list[Case]:
    return [
        Case("leaf", "The certificate is on its issuer's list.", crls=("ca-alice",)),
        Case("leaf-on-hold", "On hold is revoked.", crls=("ca-alice-held",)),
        Case(
            "leaf-by-a-list-in-grace",
            "A list past its end counts during its grace.",
            crls=("ca-in-grace-alice",),
        ),
        Case(
            "leaf-by-a-list-past-grace",
            "A list too old to clear anybody still names whom it revokes.",
            crls=("ca-past-grace-alice",),
        ),
        Case(
            "leaf-under-intermediate",
            "On the intermediate's list.",
            crls=("ca-empty", "intermediate-leaf"),
            **PATH,
        ),
        Case(
            "intermediate",
            "The intermediate is on the anchor's list.",
            crls=("ca-intermediate", "intermediate-empty"),
            **PATH,
        ),
        Case(
            "high-serial",
            "A serial number that DER writes with a leading zero.",
            client="high-serial",
            crls=("ca-high-serial",),
        ),
        Case("long-serial", "A serial number of 20 bytes.", client="long-serial", crls=("ca-high-serial",)),
        Case(
            "order-before-signature",
            "Also the signature is wrong.",
            crls=("ca-alice",),
            signature=BAD_SIGNATURE,
        ),
    ]
