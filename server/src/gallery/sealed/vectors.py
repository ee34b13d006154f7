"""Test vectors of the sealed gallery, computed apart from the Rust code from its description: HKDF by hand, products by
the schoolbook. `python3 vectors.py > vectors.txt`; needs numpy and cryptography. keyholder/tests.rs checks them.

The deployment's key is 32 bytes of 1, the kind the right hand of model 2, the block number 0 with 2,050 codes and 32
bytes of 3 for a seed. Code t is +1 in coordinate k where (t + 1) (k + 3) div 5 is even, else -1; the probe is code 0.
"""

import hashlib
import hmac

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

N, DIMENSIONS, CODES, WEIGHT = 2048, 512, 2050, 63
SHIFTS = (11, 18, 25)  # three codes a word, 7 bits each, above 11 bits of room for noise
HAND, MODEL, BLOCK = 0, 2, 0


def derived(key, purpose):
    """One round of HKDF-SHA256 (RFC 5869)."""
    secret = hmac.new(b"openpalm sealed gallery v1", key, hashlib.sha256).digest()
    return hmac.new(secret, purpose + b"\x01", hashlib.sha256).digest()


def stream(key, lane, length):
    """AES-256-GCM of zeros, without its tag."""
    nonce = lane.to_bytes(8, "little") + bytes(4)
    return AESGCM(key).encrypt(nonce, bytes(length), None)[:length]


def permutation(key):
    key = derived(key, b"permutation")
    draws = np.frombuffer(stream(key, 0, 8 * DIMENSIONS), "<u8")
    origin = list(range(DIMENSIONS))
    for last in reversed(range(DIMENSIONS)):
        other = int(draws[last]) * (last + 1) >> 64
        origin[last], origin[other] = origin[other], origin[last]
    bits = np.unpackbits(np.frombuffer(stream(key, 1, DIMENSIONS // 8), "u1"), bitorder="little")
    return np.array(origin), 1 - 2 * bits.astype(int)


def secret(key, row):
    """Ternary: a 64-bit word times three, its high word less one."""
    draws = np.frombuffer(stream(derived(key, b"secrets"), row, 8 * N), "<u8")
    return np.array([(int(word) * 3 >> 64) - 1 for word in draws], "<i8")


def errors(key, row):
    """Centred binomial of twice 21 bits."""
    low, noise = (1 << 21) - 1, stream(key, row, 6 * N)
    words = (int.from_bytes(noise[at : at + 6], "little") for at in range(0, 6 * N, 6))
    return np.array([(bits & low).bit_count() - (bits >> 21 & low).bit_count() for bits in words])


def negacyclic(mask, secret):
    """mask * secret mod X^2048 + 1 and 2^32: numpy's words wrap as the ring's do."""
    total, turned = np.zeros(N, "<u4"), secret.astype("<u4")
    for word in mask:
        total += word * turned
        turned = np.roll(turned, 1)
        turned[0] = -turned[0] & 0xFFFFFFFF
    return total


def codes():
    slot, at = np.arange(CODES)[:, None], np.arange(DIMENSIONS)[None, :]
    return 1 - 2 * ((slot + 1) * (at + 3) // 5 % 2)


def search_code(values):
    """The stored form: 64 bytes of signs, 64 bytes of which coordinates are kept."""
    planes = [np.packbits(plane, bitorder="little").tobytes() for plane in (values < 0, values != 0)]
    return b"".join(planes)


def main():
    np.seterr(over="ignore")
    key = derived(bytes([1] * 32), b"kind" + bytes([HAND, MODEL]))
    epoch = derived(key, b"epoch id")[:8]
    origin, sign = permutation(key)
    placed = codes()[:, origin] * sign
    named = b"OPGB" + bytes([1, 3, HAND, MODEL]) + epoch + BLOCK.to_bytes(8, "little")
    named += CODES.to_bytes(4, "little") + bytes([3] * 32)
    mask = hashlib.sha256(b"openpalm mask" + named).digest()
    mask = np.frombuffer(stream(mask, 0, 4 * N), "<u4")
    noise = derived(key, b"errors" + named)
    digest = hashlib.sha256()
    for row in range(DIMENSIONS):
        words = negacyclic(mask, secret(key, row)).astype(np.int64) + errors(noise, row)
        for digit, shift in enumerate(SHIFTS):
            own = placed[digit * N : (digit + 1) * N, row]
            words[: len(own)] += own << shift
        digest.update((words & 0xFFFFFFFF).astype("<u4").tobytes())
    probe = codes()[0][origin] * sign
    probe[WEIGHT:] = 0
    print("epoch", epoch.hex())
    print("header", (named + digest.digest()).hex())
    print("probe", search_code(probe).hex())
    print("scores", *(placed[[0, 1, 2, 2047, 2048, 2049]] @ probe))


main()
