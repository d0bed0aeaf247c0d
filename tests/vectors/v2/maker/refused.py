"""Knocks that must be refused, by reason. Each is wrong in one way, unless its name begins with `order-`."""

from . import refused_claim, refused_form, refused_tag, refused_trust
from .case import Case
from .policy import not_repeated, policy


def cases() -> dict[str, list[Case]]:
    return {
        "wrong-length": refused_form.wrong_length(),
        "not-tagged": refused_tag.not_tagged(),
        "not-veiled": refused_form.not_veiled(),
        "not-for-this-server": refused_form.not_for_this_server() + not_repeated(),
        "malformed": refused_form.malformed(),
        "stamp-too-old": refused_form.stamp_too_old(),
        "stamp-in-future": refused_form.stamp_in_future(),
        "bad-certificate": refused_trust.bad_certificate(),
        "unknown-authority": refused_trust.unknown_authority(),
        "certificate-expired": refused_trust.certificate_expired(),
        "certificate-not-yet-valid": refused_trust.certificate_not_yet_valid(),
        "not-a-client-certificate": refused_trust.not_a_client_certificate(),
        "revocation-unknown": refused_trust.revocation_unknown(),
        "revoked": refused_trust.revoked(),
        "bad-signature": refused_claim.bad_signature(),
        "address-mismatch": refused_claim.address_mismatch(),
        "address-unsigned": refused_claim.address_unsigned(),
        "second-address": refused_claim.second_address(),
        "address-unusable": refused_claim.address_unusable(),
    } | policy()
