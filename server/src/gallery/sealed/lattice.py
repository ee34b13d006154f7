"""What the lattice behind the sealed gallery costs to break: `python3 lattice.py` prints the table of security.rs.

Formulas, with delta the root Hermite factor of BKZ-beta (Chen, thesis, 2013):

    delta(beta) = ((pi beta)^(1/beta) beta / (2 pi e))^(1 / (2 (beta - 1)))

primal  uSVP on the lattice of (e, xi s, 1), xi = sd_e / sd_s (Bai, Galbraith, ACISP 2014): d = m + n + 1, volume
        q^m xi^n. BKZ-beta finds it when sd_e sqrt(beta) <= delta^(2 beta - d - 1) volume^(1/d) (Alkim, Ducas,
        Poeppelmann, Schwabe, USENIX 2016, section 6.3; confirmed by Albrecht, Goepfert, Virdia, Wunderer, ASIACRYPT
        2017).
dual    a vector (x, c y), y = A^T x mod q, c = sd_s / sd_e: d = m + n, volume q^n c^n, length l = delta^(d - 1)
        volume^(1/d). It tells samples from noise with advantage 4 exp(-2 pi^2 t^2), t = l sd_e / q; the square of that
        is made up for by as many vectors, of which one sieve gives 2^(0.2075 beta) (the same, section 6.4).

hybrid primal
        k coordinates of the secret are guessed by meeting in the middle, the others found by Babai's nearest plane in a
        reduced basis of the lattice of (e, xi s), d = m + n - k, volume q^m xi^(n - k) (Howgrave-Graham, CRYPTO 2007;
        Wunderer, "A detailed analysis of the hybrid lattice-reduction and meet-in-the-middle attack", J. Math. Cryptol.
        13, 2019). Nearest plane succeeds with probability prod erf(r_i / (2 sqrt(2) sd_e)) for Gram-Schmidt lengths
        r_i = delta^(d - 1 - 2 i) volume^(1/d).
hybrid dual
        the dual attack on n - k coordinates tells right guesses of the other k from wrong ones (Albrecht, EUROCRYPT
        2017; Espitau, Joux, Kharchenko, INDOCRYPT 2020).

Both hybrids are bounds in the attacker's favour. Reduction and guesses cost their sum, where an attack repeats parts of
either for each other; a guess costs one operation; all 3^k values of k uniform ternary coordinates are covered at the
price of their square root, as if meeting in the middle never missed a collision and its table were free, which is more
than anybody has shown for the dual attack. A quantum search for collisions is not counted. Guessing that k coordinates
are zero and solving the rest ("drop and solve") succeeds with 3^-k: 1.58 bits a coordinate for 0.34 of a block size, so
that k = 0 is best.

All are given as core-SVP: one call of a sieve in dimension beta, 2^(0.292 beta) classical (Becker, Ducas, Gama,
Laarhoven, SODA 2016) and 2^(0.265 beta) quantum (Laarhoven, thesis, 2015). That leaves out polynomial factors, which
only make an attack dearer. The ring's structure is not used: no attack is known that does better by it at such
parameters. m is the number of samples of one secret: 2048 coefficients a block, so at most 2048 for one block, and as
many as an attack wants for a gallery of many.
"""

from math import e, erf, exp, inf, log, log2, pi, sqrt

CLASSICAL, QUANTUM, VECTORS = 0.292, 0.265, 0.2075


def log_delta(beta):
    return (log(pi * beta) / beta + log(beta / (2 * pi * e))) / (2 * (beta - 1))


def primal(n, q, sd_s, sd_e, m_max):
    """The least block size, with the m that needs it."""
    xi = max(1.0, sd_e / sd_s)

    def works(beta, m):
        d = m + n + 1
        left = log(sd_e) + log(beta) / 2
        volume = (m * log(q) + n * log(xi)) / d
        return left <= log_delta(beta) * (2 * beta - d - 1) + volume

    for beta in range(60, 4096):
        best = sqrt(n * log(q) / log_delta(beta)) - n
        some = (best * share for share in (0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1))
        for m in sorted({int(min(m_max, max(1, m))) for m in some}):
            if works(beta, m):
                return beta, m
    raise ValueError("beyond block size 4096")


def dual(n, q, sd_s, sd_e, m_max, exponent):
    """The least cost in bits, with block size and m."""
    c = min(1.0, sd_s / sd_e)
    least = (inf, 0, 0)
    for beta in range(60, 2500, 2):
        best = sqrt(n * log(q) / log_delta(beta)) - n
        for share in (0.8, 0.9, 1.0, 1.1, 1.2):
            m = int(min(m_max, max(1, best * share)))
            d = m + n
            length = log_delta(beta) * (d - 1) + n * (log(q) + log(c)) / d
            t = length + log(sd_e) - log(q)
            if t > 5:
                continue
            advantage = 2 - 2 * pi * pi * exp(2 * t) * log2(e)
            again = max(0.0, -2 * advantage - VECTORS * beta)
            least = min(least, (exponent * beta + again, beta, m))
    return least


def both(a, b):
    """The bits of 2^a + 2^b."""
    return max(a, b) + log2(1 + 2 ** -abs(a - b))


def nearest_plane(beta, d, log_volume, sd_e):
    """Bits of the chance that it succeeds."""
    slope, bits = log_delta(beta), 0.0
    # The shortest last: those that matter.
    for i in range(d - 1, -1, -1):
        x = exp(slope * (d - 1 - 2 * i) + log_volume / d) / (2 * sqrt(2) * sd_e)
        if x > 6:
            break
        bits += log2(max(erf(x), 1e-300))
        if bits < -400:
            break
    return bits


def hybrid_primal(n, q, sd_s, sd_e, m_max, exponent):
    """The least bits, with block size, k and m."""
    xi = max(1.0, sd_e / sd_s)
    least = (inf, 0, 0, 0)
    for k in range(0, n // 3, 4):
        if k * log2(3) / 2 > least[0]:
            break
        for beta in range(60, 1500, 3):
            bits = both(exponent * beta, k * log2(3) / 2)
            if bits > least[0]:
                break
            best = sqrt((n - k) * log(q) / log_delta(beta)) - (n - k)
            m = int(min(m_max, max(1, best)))
            d = m + n - k
            bits -= nearest_plane(beta, d, m * log(q) + (n - k) * log(xi), sd_e)
            least = min(least, (bits, beta, k, m))
    return least


def hybrid_dual(n, q, sd_s, sd_e, m_max, exponent):
    """The least bits, with block size and k."""
    least = (inf, 0, 0)
    for k in range(0, n // 3, 4):
        if k * log2(3) / 2 > least[0]:
            break
        bits, beta, _ = dual(n - k, q, sd_s, sd_e, m_max, exponent)
        least = min(least, (both(bits, k * log2(3) / 2), beta, k))
    return least


def hybrid_row(name, n, q, sd_s, sd_e, m_max):
    classical = hybrid_primal(n, q, sd_s, sd_e, m_max, CLASSICAL)
    quantum = hybrid_primal(n, q, sd_s, sd_e, m_max, QUANTUM)
    of_dual = [hybrid_dual(n, q, sd_s, sd_e, m_max, exponent) for exponent in (CLASSICAL, QUANTUM)]
    print(
        f"| {name} | {classical[1]}, k = {classical[2]} | {classical[0]:.0f} / {quantum[0]:.0f} "
        f"| {of_dual[0][1]}, k = {of_dual[0][2]} | {of_dual[0][0]:.0f} / {of_dual[1][0]:.0f} |"
    )


def row(name, n, q, sd_s, sd_e, m_max):
    beta, m = primal(n, q, sd_s, sd_e, m_max)
    bits, dual_beta, dual_m = dual(n, q, sd_s, sd_e, m_max, CLASSICAL)
    print(
        f"| {name} | {beta} at m = {m} | {CLASSICAL * beta:.0f} / {QUANTUM * beta:.0f} "
        f"| {dual_beta} at m = {dual_m} | {bits:.0f} |"
    )
    return beta


if __name__ == "__main__":
    print("| instance | primal: block size | bits, classical / quantum | dual: block size | bits, classical |")
    print("|---|---|---|---|---|")
    binomial = sqrt(1.5)
    kyber = row("Kyber-512, for comparison (published: 406, 118 bits)", 512, 3329, binomial, binomial, 512)
    assert abs(kyber - 406) <= 8, kyber
    ternary, error = sqrt(2 / 3), sqrt(10.5)
    row("one block", 2048, 2**32, ternary, error, 2048)
    row("any number of blocks", 2048, 2**32, ternary, error, inf)
    row("HE Standard's limit, q = 2^54", 2048, 2**54, ternary, 3.2, inf)
    print("| instance | hybrid primal: block size | bits, classical / quantum "
          "| hybrid dual: block size | bits, classical / quantum |")
    print("|---|---|---|---|---|")
    hybrid_row("one block", 2048, 2**32, ternary, error, 2048)
    hybrid_row("any number of blocks", 2048, 2**32, ternary, error, inf)
    hybrid_row("HE Standard's limit, q = 2^54", 2048, 2**54, ternary, 3.2, inf)
