"""The first words of a block's rows, computed apart from the Rust code: HKDF by hand, products by the schoolbook.

Prints what server/src/gallery/sealed/scheme/tests.rs expects. Needs numpy and cryptography:
    python3 server/benches/gallery/vectors.py
"""

import hashlib
import hmac

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

N, DIMENSIONS, WORDS = 2048, 512, 4
EPOCH_KEY, MASK_KEY, ERROR_KEY = bytes([1] * 32), bytes([5] * 32), bytes([9] * 32)
SHIFTS = (11, 18, 25)  # three codes a word, 7 bits each, above 11 bits of room for noise


def derived(purpose):
    """One round of HKDF-SHA256 (RFC 5869)."""
    secret = hmac.new(b"openpalm sealed gallery v1", EPOCH_KEY, hashlib.sha256).digest()
    return hmac.new(secret, purpose + b"\x01", hashlib.sha256).digest()


def stream(key, lane, length):
    """AES-256-GCM of zeros, without its tag."""
    nonce = lane.to_bytes(8, "little") + bytes(4)
    return AESGCM(key).encrypt(nonce, bytes(length), None)[:length]


def ternary(word):
    return (word * 3 >> 64) - 1


def error(six):
    bits = int.from_bytes(six, "little")
    low = (1 << 21) - 1
    return (bits & low).bit_count() - (bits >> 21 & low).bit_count()


def permutation():
    key = derived(b"permutation")
    draws = np.frombuffer(stream(key, 0, 8 * DIMENSIONS), "<u8")
    origin = list(range(DIMENSIONS))
    for last in reversed(range(DIMENSIONS)):
        other = int(draws[last]) * (last + 1) >> 64
        origin[last], origin[other] = origin[other], origin[last]
    bits = np.unpackbits(np.frombuffer(stream(key, 1, DIMENSIONS // 8), "u1"), bitorder="little")
    return origin, 1 - 2 * bits.astype(int)


def message(row, at, origin, sign):
    """The packed digits of coordinate `row` of the codes in word `at`; code t is +1 where t + (k div 3) is even."""
    total = 0
    for digit, shift in enumerate(SHIFTS):
        slot = digit * N + at
        if slot < 2050:
            total += int(sign[row]) * (1 if (slot + origin[row] // 3) % 2 == 0 else -1) << shift
    return total


def main():
    mask = [int(word) for word in np.frombuffer(stream(MASK_KEY, 0, 4 * N), "<u4")]
    origin, sign = permutation()
    for row in (0, 1, 511):
        draws = np.frombuffer(stream(derived(b"secrets"), row, 8 * N), "<u8")
        secret = [ternary(int(word)) for word in draws]
        noise = stream(ERROR_KEY, row, 6 * N)
        words = []
        for at in range(WORDS):
            product = sum(mask[i] * secret[at - i] for i in range(at + 1))
            product -= sum(mask[i] * secret[N + at - i] for i in range(at + 1, N))
            word = product + error(noise[6 * at : 6 * at + 6]) + message(row, at, origin, sign)
            words.append(f"{word % 2**32:08x}")
        print("".join(words))


main()
