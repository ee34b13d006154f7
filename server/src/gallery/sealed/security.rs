//! Who can learn what from the sealed gallery, and why.
//!
//! It is a composition of standard parts of our own, and **nobody outside has audited it**.
//!
//! # Who sees what
//!
//! | who | sees | does not see |
//! |---|---|---|
//! | matcher | blocks, probes in the epoch's coordinates, which blocks there are and how full; as palmd it is, also envelopes that it cannot open, and the answers | any template, any enrolled code, any score, whose a block is, who else was near |
//! | keyholder | its keys, each probe, every score, the codes that wait for a block, customers' ids | names, money; of palms nothing is kept from it |
//! | till | what it captures, and an answer: a person, nobody, or too close to tell | scores, who was nearest, the epoch's coordinates |
//! | disk of the matcher | blocks and sealed directories | codes, and whose they are |
//! | disk of the keyholder | sealed templates, and the file of the key that opens them | |
//!
//! With both roles in one process, whoever owns that process is the keyholder. What the scheme gives then is a
//! gallery that is ciphertext on disk and in most of memory; only two processes of two owners keep the matcher's
//! owner out.
//!
//! # Two processes
//!
//! `palmctl init --keyholder DIR` makes a keyholder of its own ([`crate::gallery::holder`], its wire
//! `keyholder.proto`); palmd is then the matcher ([`crate::gallery::remote`]).
//!
//! **The keyholder opens the envelope.** Tills seal a capture to the service's sealing key, and that key lies with the
//! keyholder alone. Were it palmd's, whoever owns palmd would read every palm that pays, and the split would protect
//! only those who never come again. So palmd passes the envelope on, with what it is bound to (till, payment, amount);
//! the keyholder opens it and gives back the thinned probe in the epoch's coordinates, which adding rows up takes.
//! Thinning leaves at most 63 of 512 coordinates, chosen by the epoch's secret order.
//!
//! What flows: at enrolment envelopes to the keyholder, which judges and keeps the samples under a key of its own
//! for that person, sealed by a master key that palmd has not; at identification an envelope, a probe, 8 KiB of sums a
//! block, and an answer of one length whatever it says; a deletion is the keyholder's first, so that palmd never
//! says "deleted" while a template is left; new blocks come from the keyholder encrypted; at the start palmd hands in
//! the sealed directories, and the keyholder says which blocks still count. palmd's own master key opens names only.
//!
//! The two know each other by certificates of a CA that signed those two and is then forgotten, and the keyholder by
//! palmd's fingerprint besides. `palmctl renew-link` makes another CA and another two.
//!
//! `palmctl split` makes two processes of one: templates are sealed anew under the keyholder's own keys, and palmd's
//! store is written anew without them. The key that tills seal to moves, since captures of before may still come; a
//! copy of it, or a backup of the old store with palmd's master key, opens palms as before: destroy them.
//!
//! A stop of either process at any step loses nobody: a sample is on the keyholder's disk before it is said to be kept,
//! under the request that it came with, so that a repetition keeps it once; a block counts when palmd has it on
//! disk and the keyholder knows so (`Commit`), and until then its codes wait with the keyholder; each try to encrypt
//! them draws another seed. When the two do not mean the same blocks, the search is refused and both agree anew.
//!
//! # Assumption
//!
//! Decisional ring-LWE in Z_q\[X\]/(X^2048 + 1), q = 2^32, with ternary secrets and centred binomial errors of
//! variance 10.5, for 512 secrets that share each mask. Sharing is lossless: a mask with 512 secrets is a
//! matrix-form ring-LWE sample, and 512 hybrids, each changing the rows of one secret to random, give the bound 512
//! times the advantage against one secret (Peikert, Vaikuntanathan, Waters, "A Framework for Efficient and
//! Composable Oblivious Transfer", CRYPTO 2008, use it for LWE). All blocks of an epoch are further samples of the
//! same secrets, which the assumption allows in any number a gallery has: 163 masks at a million codes. Beside it:
//! AES-256 as a pseudo-random function (masks, errors, secrets), AES-256-GCM, HKDF-SHA256.
//!
//! # Parameters
//!
//! n = 2048, q = 2^32, ternary secrets, errors of standard deviation 3.24. By the formulas that the lattice estimator
//! of Albrecht and others takes for these attacks (`lattice.py` beside this file states them with their sources, and
//! gives Kyber-512 its published block size):
//!
//! | instance | primal: block size | bits, classical / quantum | dual: block size | bits, classical |
//! |---|---|---|---|---|
//! | Kyber-512, for comparison (published: 406, 118 bits) | 406 at m = 489 | 119 / 108 | 400 at m = 510 | 117 |
//! | one block | 689 at m = 1851 | 201 / 183 | 686 at m = 1845 | 200 |
//! | any number of blocks | 689 at m = 1851 | 201 / 183 | 686 at m = 1845 | 200 |
//! | HE Standard's limit, q = 2^54 | 337 at m = 1884 | 98 / 89 | 336 at m = 1880 | 98 |
//!
//! Bits are core-SVP: one call of a sieve, all polynomial factors left out. By the same measure the limit of the
//! Homomorphic Encryption Standard (Albrecht et al., 2018, table 1) for 128 bits at n = 2048 has 98. The best attack
//! wants 1,851 samples, fewer than one block gives of a secret, so more blocks help no lattice attack.
//!
//! Secrets are ternary, so some of their coordinates may be guessed and the rest left to a lattice of fewer dimensions:
//! primal with Babai's nearest plane (Howgrave-Graham, CRYPTO 2007; Wunderer, J. Math. Cryptol. 13, 2019), or dual
//! (Albrecht, EUROCRYPT 2017; Espitau, Joux, Kharchenko, INDOCRYPT 2020). `lattice.py` bounds both in the attacker's
//! favour: all 3^k values of k coordinates cost 3^(k/2), as if meeting in the middle missed nothing and took no memory,
//! which nobody has shown for the dual attack, and guessing goes on beside the reduction instead of after it:
//!
//! | instance | hybrid primal: block size | bits, classical / quantum | hybrid dual: block size | bits, classical / quantum |
//! |---|---|---|---|---|
//! | one block | 714, k = 260 | 213 / 197 | 594, k = 216 | 174 / 160 |
//! | any number of blocks | 714, k = 260 | 214 / 197 | 594, k = 216 | 174 / 160 |
//! | HE Standard's limit, q = 2^54 | 348, k = 124 | 103 / 94 | 310, k = 112 | 91 / 83 |
//!
//! Guessing helps no primal attack here, because the nearest plane wants a better basis than uSVP does. The least of
//! all is the bound on the hybrid dual attack, 160 bits with a quantum sieve; the argument over 512 secrets costs 9 of
//! them. Setting k coordinates to zero ("drop and solve") costs 1.58 bits each and saves 0.1.
//!
//! **The estimator itself was not run** (it needs SageMath), so these are formulas of our own, and its variants of dual
//! sieves (with modulus switching and transforms over guesses) are covered only as far as the bound above reaches. A
//! quantum search for collisions among the guesses is not counted. Errors are bounded by 21, which is
//! what the attack of Arora and Ge (ICALP 2011) needs: polynomials of degree 43 in 2048 unknowns, some 2^300 monomials,
//! against 333,824 samples of a secret at a million codes.
//!
//! # Noise
//!
//! The bound is in `scheme.rs`: with three codes a word a score is wrong with a probability below 2^-1100, with two
//! never. `./x bench-gallery --only exact` compares scores with the plain ones: of
//! 100,005,888 scores with three codes a word and 100,003,840 with two, none differed. `./x test-bfv`
//! compares scores with those of another library's BFV; `vectors.txt` is from an implementation of its own.
//!
//! # A mask hides one message
//!
//! Two messages under one mask, secret and error would show their difference. A seed is drawn where a block is
//! encrypted ([`super::keyholder::Draft::encrypt`]); no call takes one, nothing changes a block that exists, and
//! what becomes a block is used up by that, which the compiler checks. Mask and errors depend on epoch, block id,
//! kind and size besides, so that even a random source that repeats itself gives a running process no mask twice. A
//! deletion leaves a tombstone; who lives on in a block with too many of them is encrypted again with others, under
//! a mask of that block's own. The dead code stays in the old block, under the epoch's key, until its file is
//! deleted.
//!
//! # What a theft gives
//!
//! | stolen | the thief learns |
//! |---|---|
//! | blocks | their number, epoch, hand and how many codes they hold |
//! | the matcher's machine, for as long as it runs | also the probes that pass, in the epoch's coordinates: one palm's probes can be linked within the epoch, and compared with nothing outside it; and, being palmd, who pays |
//! | the keyholder | every palm, by customer id: change its keys, and tell the customers; no name, no money |
//! | both | all |
//! | a till | the palms held over it from then on, and what they are answered: a person, nobody, too close; no score to climb by |
//!
//! With one process, "the matcher's machine" and "the keyholder" are the same line: all.
//!
//! A matcher that lies is worth a closer look, since the keyholder works for it. It can hide people, delete them, book
//! what it likes (it is palmd), and enrol palms for customers. Of palms it learns this much:
//!
//! - It can seal templates of its own making, to see whether they are anybody's: that is guessing at the system's
//!   false-match rate, and `limits.searches_per_minute` of the keyholder's own configuration bounds it.
//! - It can send sums of its own making with an envelope of somebody's palm. They decide which templates are opened,
//!   and so whether that person is found: each answer may tell one bit of that person's code, in the epoch's
//!   coordinates. An envelope is therefore looked for four times a day at most ([`crate::gallery::holder`]); to learn a
//!   code of 512 coordinates takes a hundred or more presentations of that palm, or as many days. A keyholder that
//!   could check sums would close this; additive schemes with such a proof would cost more than the scan.
//!
//! A matcher that only looks gets none of that.
//!
//! # Epochs
//!
//! An epoch's coordinates are a secret signed permutation: 512! 2^512 of them. It keeps inner products, so it is no
//! encryption on its own; it is there so that probes of one epoch, which a matcher sees in the clear, cannot be
//! matched with codes of another. Who knows one code in the clear and in the epoch's coordinates learns which
//! coordinates are zero, +1 or -1 in both; a dozen such pairs tell the whole permutation. A new epoch needs no
//! customer: each code comes from its sealed template. **To go on to one**, the operator puts 32 fresh random bytes in
//! the place of `gallery.key` (`head -c 32 /dev/urandom`, mode 600) and starts again whoever has that file: palmd, or
//! its keyholder. Blocks of the old key are deleted, new ones made, and searches are answered once all are.
//!
//! Measured over 2,000 drawn palms, D of the whole system (ISO/IEC 30136; Gomez-Barrero et al., TIFS 2018) is 1.000
//! within an epoch, which is what a gallery is for, and 0.017 between two, which is what chance gives with so many
//! (`code/tests.rs`). That says nothing of who knows pairs, as above.
//!
//! **Irreversibility**, in the manner of ISO/IEC 30136 (`tests/irreversibility.rs`): an attacker has 500 people's codes
//! of an old epoch in that epoch's coordinates, though nobody should ever see one so, and wants to be accepted in the
//! next, or the embedding back. A threshold that no stranger reaches takes every person's own capture.
//!
//! | attacker also knows | coordinates placed right | cosine with the embedding | accepted in the next epoch |
//! |---|---|---|---|
//! | nothing (sends the old code in) | 0 % | 0.00 | 0 of 500 |
//! | 2 people's codes in the plain | 0.4 % | 0.00 | 0 % |
//! | 4 | 7 % | 0.04 | 0 % |
//! | 6 | 53 % | 0.46 | 99 % |
//! | 8 | 89 % | 0.84 | 100 % |
//! | 12 | 100 % | 0.94 | 100 % |
//!
//! So a permutation hides codes from whoever has no pair, and from nobody who has half a dozen: what protects a
//! gallery is its encryption, and a stolen epoch key is answered by a new key **before** its blocks get out, not after.
//! With the blocks and their key, codes are open, and a palm cannot be changed: the second stage's templates, under
//! keys of their own, are then what still stands between a code and a payment.
//!
//! # Constant time, and what is wiped
//!
//! Secrets, errors and scores are computed without branches and look-ups that depend on them, but for three places,
//! all inside the keyholder: a probe's coordinates choose which secrets are summed; the permutation's order is
//! where memory is read; and how a score compares with the best so far is a branch. Floating point takes the same
//! time for all values that occur. Keys, secrets, probes' transforms and codes are zeroized when dropped; keys that
//! ring has expanded, errors in registers and what the compiler spills are not.
