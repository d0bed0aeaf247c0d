"""RFC 9180, appendix A.3.1: base mode of the suite that sKnock uses. Checks `hpke`."""

import hashlib

from cryptography.hazmat.primitives import hpke as library
from cryptography.hazmat.primitives.asymmetric import ec

from . import hpke

VECTOR = {
    "description": "RFC 9180, A.3.1: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode",
    "mode": 0,
    "kem_id": 16,
    "kdf_id": 1,
    "aead_id": 1,
    "info": "4f6465206f6e2061204772656369616e2055726e",
    "ikmE": "4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e",
    "pkEm": "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900"
    "be863c403ce65c9bfcb9382657222d18c4",
    "skEm": "4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb",
    "ikmR": "668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550",
    "pkRm": "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a826a779b4cf969b8a0e539c7f62fb3d3"
    "0ad6aa8f80e30f1d128aafd68a2ce72ea0",
    "skRm": "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2",
    "enc": "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900"
    "be863c403ce65c9bfcb9382657222d18c4",
    "shared_secret": "c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8",
    "key": "868c066ef58aae6dc589b6cfdd18f97e",
    "base_nonce": "4e0bc5018beba4bf004cca59",
    "exporter_secret": "14ad94af484a7ad3ef40e9f3be99ecc6fa9036df9d4920548424df127ee0d99f",
    "encryptions": [
        {
            "sequence": 0,
            "pt": "4265617574792069732074727574682c20747275746820626561757479",
            "aad": "436f756e742d30",
            "nonce": "4e0bc5018beba4bf004cca59",
            "ct": "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434",
        },
        {
            "sequence": 1,
            "pt": "4265617574792069732074727574682c20747275746820626561757479",
            "aad": "436f756e742d31",
            "nonce": "4e0bc5018beba4bf004cca58",
            "ct": "fa6f037b47fc21826b610172ca9637e82d6e5801eb31cbd3748271affd4ecb06646e0329cbdf3c3cd655b28e82",
        },
    ],
    "exports": [
        {
            "exporter_context": "",
            "L": 32,
            "exported_value": "5e9bc3d236e1911d95e65b576a8a86d478fb827e8bdfe77b741b289890490d4d",
        },
        {
            "exporter_context": "00",
            "L": 32,
            "exported_value": "6cff87658931bda83dc857e6353efe4987a201b849658d9b047aab4cf216e796",
        },
        {
            "exporter_context": "54657374436f6e74657874",
            "L": 32,
            "exported_value": "d8f1ea7942adbba7412c6d431c62d01371ea476b823eb697e1f6e6cae1dab85a",
        },
    ],
}


def check() -> None:
    """Raises unless `hpke` computes every value of the appendix, and the library reads what we seal."""
    expect("skEm", hpke.derive_key_pair(field("ikmE")).to_bytes(32))
    expect("skRm", hpke.derive_key_pair(field("ikmR")).to_bytes(32))
    receiver = ec.derive_private_key(int.from_bytes(field("skRm")), ec.SECP256R1())
    expect("pkRm", hpke.point(receiver.public_key()))
    context = hpke.setup_sender(receiver.public_key(), field("info"), int.from_bytes(field("skEm")))
    expect("pkEm", context.enc)
    expect("enc", context.enc)
    expect("shared_secret", context.shared_secret)
    expect("key", context.key)
    expect("base_nonce", context.base_nonce)
    for case in VECTOR["encryptions"]:
        sealed = context.seal(bytes.fromhex(case["pt"]), bytes.fromhex(case["aad"]), case["sequence"])
        assert sealed.hex() == case["ct"], f"sequence {case['sequence']}"
    expect("exporter_secret", context.exporter_secret)
    for case in VECTOR["exports"]:
        exported = context.export(bytes.fromhex(case["exporter_context"]), case["L"])
        assert exported.hex() == case["exported_value"], f"export {case['exporter_context']}"
    check_against_library(receiver)


def check_against_library(receiver: ec.EllipticCurvePrivateKey) -> None:
    """`cryptography` has an HPKE of its own; it must open what ours seals."""
    suite = library.Suite(library.KEM.P256, library.KDF.HKDF_SHA256, library.AEAD.AES_128_GCM)
    ephemeral = int.from_bytes(hashlib.sha256(b"any").digest())
    context = hpke.setup_sender(receiver.public_key(), b"info", ephemeral)
    sealed = context.enc + context.seal(b"plain")
    assert suite.decrypt(sealed, receiver, b"info") == b"plain"


def field(name: str) -> bytes:
    return bytes.fromhex(VECTOR[name])


def expect(name: str, computed: bytes) -> None:
    assert computed == field(name), f"RFC 9180 A.3.1 {name}: computed {computed.hex()}"
