//! Who can learn what from the sealed gallery, and why.
//!
//! It is a composition of standard parts of our own, and **nobody outside has audited it**.
//!
//! # Who sees what
//!
//! | who | sees | does not see |
//! |---|---|---|
//! | matcher | blocks, probes in the epoch's coordinates, which blocks there are and how full | any enrolled code, any score, whose a block is |
//! | keyholder | its keys, each probe, every score, the codes that wait for a block | nothing is kept from it: it opens the sealed templates too |
//! | till | an answer: a person, nobody, or too close to tell | scores, who was nearest, the epoch's coordinates |
//! | disk | blocks and sealed directories | codes, and whose they are |
//!
//! With both roles in one process, whoever owns that process is the keyholder. What the scheme gives then is a
//! gallery that is ciphertext on disk and in most of memory; only two processes of two owners keep the matcher's
//! owner out.
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
//! n = 2048 and log2 q = 32. The table of the Homomorphic Encryption Standard (Albrecht et al., 2018, table 1,
//! ternary secret, classical, error of standard deviation 3.2) allows log2 q up to 54 at n = 2048 for 128 bits; 32
//! bits with a standard deviation of 3.24 lie far inside it. **The lattice estimator itself was not run for this
//! version**: it needs SageMath. The table is all that stands behind the parameters here.
//!
//! # Noise
//!
//! The bound is in `scheme.rs`: with three codes a word a score is wrong with a probability below 2^-1100, with two
//! never. `./x bench-gallery --only exact` compares 10^8 scores of each packing with the plain ones.
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
//! | the matcher's machine, for as long as it runs | also the probes that pass, in the epoch's coordinates: one palm's probes can be linked within the epoch, and compared with nothing outside it |
//! | the keyholder | all: change the master key and the epoch, and tell the customers |
//! | both | as the keyholder |
//! | a till | what its captures are answered: a person, nobody, too close; no score to climb by |
//!
//! A matcher that lies can hand sums of its own making to the keyholder. It gets no score back; its lies decide
//! which sealed orientation codes are opened, and those must still fit the probe. It can hide people, so that
//! payments fail. The keyholder's answer is all that it could climb by, and answers are limited in number: searches by
//! till, matches by person ([`crate::config::Limits`]).
//!
//! # Epochs
//!
//! An epoch's coordinates are a secret signed permutation: 512! 2^512 of them. It keeps inner products, so it is no
//! encryption on its own; it is there so that probes of one epoch, which a matcher sees in the clear, cannot be
//! matched with codes of another. Who knows one code in the clear and in the epoch's coordinates learns which
//! coordinates are zero, +1 or -1 in both; a few dozen such pairs tell the whole permutation. A new epoch needs no
//! customer: each code comes from its sealed template.
//!
//! Measured over 2,000 drawn palms, D of the whole system (ISO/IEC 30136; Gomez-Barrero et al., TIFS 2018) is 1.000
//! within an epoch, which is what a gallery is for, and 0.017 between two, which is what chance gives with so many
//! (`code/tests.rs`). That says nothing of who knows pairs, as above.
//!
//! # Constant time, and what is wiped
//!
//! Secrets, errors and scores are computed without branches and look-ups that depend on them, but for three places,
//! all inside the keyholder: a probe's coordinates choose which secrets are summed; the permutation's order is
//! where memory is read; and how a score compares with the best so far is a branch. Floating point takes the same
//! time for all values that occur. Keys, secrets, probes' transforms and codes are zeroized when dropped; keys that
//! ring has expanded, errors in registers and what the compiler spills are not.
