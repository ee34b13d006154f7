//! Products in Z[X]/(X^2048 + 1), by a complex Fourier transform of 1024 points in double precision.
//!
//! A real polynomial of 2048 coefficients is folded into 1024 complex ones (X^1024 = i) and twisted, so that the cyclic
//! transform of half the length gives the negacyclic product. The 1024 points stand as 32 rows of 32; each pass works
//! on whole rows, which compilers turn into vector code, with one transposition between the passes (the four-step
//! method: Bailey, "FFTs in external or hierarchical memory", 1990). The five levels of a pass go by three and two, so
//! that its values stay in registers meanwhile.
//!
//! **Exactness.** Brent, Percival and Zimmermann ("Error bounds on complex floating-point multiplication", Math. Comp.
//! 76, 2007) bound the error of each coefficient by |x| |y| ((1+u)^3n (1+u sqrt 5)^(3n+1) (1+b)^3n - 1), with n = 10
//! levels (two more here for the twists), u = 2^-53 and roots within b = 2^-52: below 2^-45 |x| |y|. A mask has |x| <=
//! 2^31 sqrt(2048). Against one ternary secret, |y| <= sqrt(2048), the error is below 2^-3, and rounding gives the
//! exact product. Against the sum of 127 secrets it is below 2^4, which the room for noise holds many times over
//! (`scheme.rs`).

use std::{f64::consts::PI, sync::LazyLock};

use pulp::{Arch, Simd, WithSimd};
use zeroize::{Zeroize, optimization_barrier};

/// Coefficients of a polynomial.
pub(super) const N: usize = 2048;
/// The coefficients of a polynomial modulo 2^32, the constant first.
pub(super) type Row = [u32; N];

const HALF: usize = N / 2;
const SIDE: usize = 32;
const LEVELS: u32 = SIDE.trailing_zeros();
/// Rows that the first three levels of a pass take together lie so far apart, and the last two levels take so many.
const QUARTET: usize = 4;
type Plane = [[f64; SIDE]; SIDE];
/// A complex number.
type Value = (f64, f64);
/// exp(-2 pi i k / 32) for k below 16.
type Side = [Value; SIDE / 2];

/// 1024 complex numbers.
#[derive(Clone, Zeroize)]
pub(super) struct Spectrum {
    re: Plane,
    im: Plane,
}

/// Roots of unity, as cosine and sine.
struct Roots {
    /// exp(i pi k / 2048).
    twist: Spectrum,
    /// exp(-2 pi i column rev(row) / 1024), with the bits of the row reversed.
    between: Spectrum,
    side: Side,
}

static ROOTS: LazyLock<Roots> = LazyLock::new(|| {
    let number = |n: usize| f64::from(u32::try_from(n).expect("invariant: below 2048"));
    let root = |turn: f64| (turn.cos(), turn.sin());
    let reversed = |row: usize| row.reverse_bits() >> (usize::BITS - LEVELS);
    Roots {
        twist: Spectrum::from_fn(|row, column| root(PI * number(row * SIDE + column) / number(N))),
        between: Spectrum::from_fn(|row, column| {
            root(-2.0 * PI * number(reversed(row) * column) / number(HALF))
        }),
        side: std::array::from_fn(|k| root(-2.0 * PI * number(k) / number(SIDE))),
    }
});

impl Spectrum {
    const ZERO: Self = Self {
        re: [[0.0; SIDE]; SIDE],
        im: [[0.0; SIDE]; SIDE],
    };

    fn from_fn(of: impl Fn(usize, usize) -> Value) -> Self {
        let mut out = Self::ZERO;
        for row in 0..SIDE {
            for column in 0..SIDE {
                (out.re[row][column], out.im[row][column]) = of(row, column);
            }
        }
        out
    }

    /// The transform of a polynomial.
    pub(super) fn of(polynomial: &[i32; N]) -> Self {
        Arch::new().dispatch(Transform(polynomial))
    }

    #[inline(always)]
    fn of_wide<S: Simd>(polynomial: &[i32; N]) -> Self {
        let roots = &*ROOTS;
        let halves: &[[[i32; SIDE]; SIDE]] = polynomial.as_chunks().0.as_chunks().0;
        let [low, high] = halves.first_chunk().expect("invariant: two halves");
        let folded = |row: usize, column: usize| {
            let value = (f64::from(low[row][column]), f64::from(high[row][column]));
            times::<S>(value, roots.twist.at(row, column))
        };
        let (mut work, mut turned) = (Work(Self::ZERO), Work(Self::ZERO));
        first_levels::<S>(&roots.side, folded, &mut work.0);
        last_levels(&work.0, |row, column, value| {
            let value = times::<S>(value, roots.between.at(row, column));
            turned.0.set(row, column, value);
        });
        turned.0.transpose();
        first_levels::<S>(
            &roots.side,
            |row, column| turned.0.at(row, column),
            &mut work.0,
        );
        let mut out = Self::ZERO;
        last_levels(&work.0, |row, column, value| out.set(row, column, value));
        out
    }

    #[inline(always)]
    fn at(&self, row: usize, column: usize) -> Value {
        (self.re[row][column], self.im[row][column])
    }

    #[inline(always)]
    fn set(&mut self, row: usize, column: usize, value: Value) {
        (self.re[row][column], self.im[row][column]) = value;
    }

    /// The product of two polynomials, modulo 2^32.
    pub(super) fn product(&self, other: &Self) -> Row {
        Arch::new().dispatch(Product(self, other))
    }

    #[inline(always)]
    fn product_wide<S: Simd>(&self, other: &Self) -> Row {
        let roots = &*ROOTS;
        let (mut work, mut turned) = (Work(Self::ZERO), Work(Self::ZERO));
        let point = |row, column| times::<S>(self.at(row, column), other.at(row, column));
        last_levels_back(point, &mut work.0);
        first_levels_back::<S>(&roots.side, &work.0, |row, column, value| {
            turned.0.set(row, column, value);
        });
        turned.0.transpose();
        let between = |row, column| {
            let value = turned.0.at(row, column);
            times_back::<S>(value, roots.between.at(row, column))
        };
        last_levels_back(between, &mut work.0);
        let mut out = [0; N];
        let halves: &mut [[[u32; SIDE]; SIDE]] = out.as_chunks_mut().0.as_chunks_mut().0;
        let [low, high] = halves.first_chunk_mut().expect("invariant: two halves");
        first_levels_back::<S>(&roots.side, &work.0, |row, column, value| {
            let value = times_back::<S>(value, roots.twist.at(row, column));
            (low[row][column], high[row][column]) = (rounded(value.0), rounded(value.1));
        });
        out
    }

    fn transpose(&mut self) {
        transpose(&mut self.re);
        transpose(&mut self.im);
    }
}

/// In pairs of rows and columns. A function of its own, so that compilers do not make gathers of it where registers are
/// wide.
#[inline(never)]
fn transpose(plane: &mut Plane) {
    let old = *plane;
    for (at, [one, other]) in old.as_chunks::<2>().0.iter().enumerate() {
        let cells = one.as_chunks::<2>().0.iter().zip(other.as_chunks::<2>().0);
        for ((a, b), [first, second]) in cells.zip(plane.as_chunks_mut::<2>().0) {
            first.as_chunks_mut::<2>().0[at] = [a[0], b[0]];
            second.as_chunks_mut::<2>().0[at] = [a[1], b[1]];
        }
    }
}

/// What comes between, wiped when dropped: as a whole, because number by number it takes a quarter of a product.
struct Work(Spectrum);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.re.as_flattened_mut().fill(0.0);
        self.0.im.as_flattened_mut().fill(0.0);
        optimization_barrier(&self.0);
    }
}

/// a b + c, rounded once where the machine can; where it cannot, to do so would take a hundred times as long.
#[inline(always)]
fn fused<S: Simd>(a: f64, b: f64, c: f64) -> f64 {
    if S::IS_SCALAR {
        a * b + c
    } else {
        a.mul_add(b, c)
    }
}

#[inline(always)]
fn times<S: Simd>((re, im): Value, (c, s): Value) -> Value {
    (fused::<S>(re, c, -(im * s)), fused::<S>(re, s, im * c))
}

/// Times the conjugate of the second.
#[inline(always)]
fn times_back<S: Simd>((re, im): Value, (c, s): Value) -> Value {
    (fused::<S>(re, c, im * s), fused::<S>(im, c, -(re * s)))
}

#[inline(always)]
fn sum(a: Value, b: Value) -> Value {
    (a.0 + b.0, a.1 + b.1)
}

#[inline(always)]
fn difference(a: Value, b: Value) -> Value {
    (a.0 - b.0, a.1 - b.1)
}

/// The first three levels of each column's transform: between rows 16, 8 and 4 apart. Level by level (a, b) becomes
/// (a + b, (a - b) w).
#[inline(always)]
fn first_levels<S: Simd>(side: &Side, from: impl Fn(usize, usize) -> Value, to: &mut Spectrum) {
    for row in 0..QUARTET {
        for column in 0..SIDE {
            let mut own: [Value; 8] = std::array::from_fn(|k| from(row + QUARTET * k, column));
            let mut pair = |a: usize, b: usize, root: usize| {
                let apart = difference(own[a], own[b]);
                (own[a], own[b]) = (sum(own[a], own[b]), times::<S>(apart, side[root]));
            };
            for k in 0..4 {
                pair(k, k + 4, row + QUARTET * k);
            }
            for k in [0, 1, 4, 5] {
                pair(k, k + 2, 2 * (row + QUARTET * (k % 4)));
            }
            for k in [0, 2, 4, 6] {
                pair(k, k + 1, 4 * row);
            }
            for (k, own) in own.into_iter().enumerate() {
                to.set(row + QUARTET * k, column, own);
            }
        }
    }
}

/// The last two levels, between rows 2 and 1 apart. Values are in the order of reversed bits then.
#[inline(always)]
fn last_levels(from: &Spectrum, mut to: impl FnMut(usize, usize, Value)) {
    for row in (0..SIDE).step_by(QUARTET) {
        for column in 0..SIDE {
            let [a, b, c, d]: [Value; QUARTET] = std::array::from_fn(|k| from.at(row + k, column));
            let (a, c) = (sum(a, c), difference(a, c));
            let (b, d) = (sum(b, d), difference(b, d));
            let turned = (d.1, -d.0);
            to(row, column, sum(a, b));
            to(row + 1, column, difference(a, b));
            to(row + 2, column, sum(c, turned));
            to(row + 3, column, difference(c, turned));
        }
    }
}

/// Undoes [`last_levels`], times 4.
#[inline(always)]
fn last_levels_back(from: impl Fn(usize, usize) -> Value, to: &mut Spectrum) {
    for row in (0..SIDE).step_by(QUARTET) {
        for column in 0..SIDE {
            let [a, b, c, d]: [Value; QUARTET] = std::array::from_fn(|k| from(row + k, column));
            let (a, b) = (sum(a, b), difference(a, b));
            let (c, d) = (sum(c, d), difference(c, d));
            let turned = (-d.1, d.0);
            to.set(row, column, sum(a, c));
            to.set(row + 1, column, sum(b, turned));
            to.set(row + 2, column, difference(a, c));
            to.set(row + 3, column, difference(b, turned));
        }
    }
}

/// Undoes [`first_levels`], times 8. Level by level (a, b) becomes (a + b w, a - b w).
#[inline(always)]
fn first_levels_back<S: Simd>(
    side: &Side,
    from: &Spectrum,
    mut to: impl FnMut(usize, usize, Value),
) {
    for row in 0..QUARTET {
        for column in 0..SIDE {
            let mut own: [Value; 8] = std::array::from_fn(|k| from.at(row + QUARTET * k, column));
            let mut pair = |a: usize, b: usize, root: usize| {
                let turned = times_back::<S>(own[b], side[root]);
                (own[a], own[b]) = (sum(own[a], turned), difference(own[a], turned));
            };
            for k in [0, 2, 4, 6] {
                pair(k, k + 1, 4 * row);
            }
            for k in [0, 1, 4, 5] {
                pair(k, k + 2, 2 * (row + QUARTET * (k % 4)));
            }
            for k in 0..4 {
                pair(k, k + 4, row + QUARTET * k);
            }
            for (k, own) in own.into_iter().enumerate() {
                to(row + QUARTET * k, column, own);
            }
        }
    }
}

// What runs with the widest registers that the machine has. A structure and not a closure, because a closure's body is
// not always inlined where those registers are allowed.
struct Transform<'a>(&'a [i32; N]);

impl WithSimd for Transform<'_> {
    type Output = Spectrum;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Spectrum {
        Spectrum::of_wide::<S>(self.0)
    }
}

struct Product<'a>(&'a Spectrum, &'a Spectrum);

impl WithSimd for Product<'_> {
    type Output = Row;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Row {
        self.0.product_wide::<S>(self.1)
    }
}

/// A value of the back transform, which is 1024 times the true one, to the nearest whole number modulo 2^32.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the lowest 32 bits are what is wanted"
)]
#[inline(always)]
fn rounded(value: f64) -> u32 {
    // Adding 1.5 * 2^52 leaves the whole number in the lowest bits; what is added stays below 2^51 (`scheme.rs`).
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    const SCALE: f64 = 1.0 / 1024.0;
    (value * SCALE + MAGIC).to_bits() as u32
}

#[cfg(test)]
mod tests;
