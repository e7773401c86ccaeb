"""The frozen codes of the tests: one network, one key, one credential, every byte known."""

from __future__ import annotations

from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain.hash_chain import ChainOwner
from loyalty_desk.domain.key_set import CodeKey, KeySet
from loyalty_desk.domain.signed_codes import RotatingCode, begin_chain, chain_values, shown

NETWORK = UUID("11111111-1111-4111-8111-111111111111")
OTHER_NETWORK = UUID("99999999-9999-4999-8999-999999999999")
HANDLE = 0x0123456789ABCDEF
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
KID, GENERATION, TIER = 7, 2, 1
EXPIRY = 1_800_000_000
START, STEPS, LAST = 1_799_999_000, 5, bytes(range(0xA0, 0xB0))

LD3_TEXT = (
    "LD3083Y7SG14D2PF2DBSQQPPJEJ000HEM3GMNCTG63V2CZ586H4FDC4K8A3A25VYQ67XSD3XKBRQX810SXMXMKNG6T657GM4WP24TNZEFS9NT2X12X9A7"
    "ZVTQP56V2RVD1B0W"
)
LD3_BYTES = bytes.fromhex(
    "02"  # generation
    "07"  # key id
    "e3e6"  # network tag
    "0123456789abcdef"  # handle
    "6b49d200"  # expiry, unix seconds
    "01"  # tier
    "175070a559a8187b133e541a247b5849a143508bbf5cc7ee5a3ecd78bf501067"  # Ed25519 signature
    "b4ed27581b4629e14272c226abf73f29ae85d08ba951ffbd5ec536c58db42b07"
)
LD4_TEXT = (
    "LD40ZHYC0938NKRKAYDXXNMKKGR002G40800K969PXR4DFV72S3PXN3XG32GMR59PP8BF2NKXKZCDVGGVBEYB5ANNHBAXZ9MJ6A6KR4MMQS06G67CC28Y"
    "XCE9QXC2KKSDP4RB5GTPVQSHTDEYJPHQEMDN80KJEMVCE84W4G00YJTET3E1C9PANHHH7XGD92F3NC"
)
LD4_BYTES = bytes.fromhex(
    "07"  # key id
    "e3e6"  # network tag
    "0123456789abcdef"  # handle
    "6b49ce18"  # start, unix seconds
    "0005"  # steps
    "02"  # generation
    "01"  # tier
    "0004d2"  # balance snapshot
    "64dbb8235fb38b23b76a3ec062853054"  # root of the chain
    "dac85bc559f67f6377086d6ef2caaad62b577e9a48ca34f04a52f901a063b182"  # Ed25519 signature
    "47bac726fd60a73cb6c4c2cb0d5b77cc74d77a568ddd46d5009c9d4db1c82709"
    "0003"  # step
    "d2d3b4370589b2ab18c4fd8352278eac"  # chain value
)


def key_set(*keys: CodeKey) -> KeySet:
    """Return a set of the given keys, by default of the one that signed the frozen codes."""
    known = keys or (CodeKey(KID, KEY.public_key().public_bytes_raw(), not_before=0),)
    return KeySet(NETWORK, 1, 0, known)


def rotating(
    step: int, *, steps: int = STEPS, start: int = START, generation: int = GENERATION, network: UUID = NETWORK
) -> RotatingCode:
    """Return what a phone shows at a step of a chain whose last value is `LAST`."""
    values = chain_values(ChainOwner(network, HANDLE, generation), LAST, steps)
    begun = begin_chain(
        network, KEY, KID, handle=HANDLE, generation=generation, start=start, steps=steps, root=values[0],
        balance=1234, tier=TIER,
    )  # fmt: skip
    return shown(begun, begun.signature, step, values[step])
