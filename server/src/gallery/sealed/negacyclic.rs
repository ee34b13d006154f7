//! Products in Z[X]/(X^2048 + 1), by a complex Fourier transform of 1024 points in double precision.
//!
//! A real polynomial of 2048 coefficients is folded into 1024 complex ones (X^1024 = i) and twisted, so that the cyclic
//! transform of half the length gives the negacyclic product. The 1024 points stand as 32 rows of 32; each pass works
//! on whole rows, which compilers turn into vector code, with one transposition between the passes (the four-step
//! method: Bailey, "FFTs in external or hierarchical memory", 1990).
//!
//! **Exactness.** Brent, Percival and Zimmermann ("Error bounds on complex floating-point multiplication", Math. Comp.
//! 76, 2007) bound the error of each coefficient by |x| |y| ((1+u)^3n (1+u sqrt 5)^(3n+1) (1+b)^3n - 1), with n = 10
//! levels (two more here for the twists), u = 2^-53 and roots within b = 2^-52: below 2^-45 |x| |y|. A mask has |x| <=
//! 2^31 sqrt(2048). Against one ternary secret, |y| <= sqrt(2048), the error is below 2^-3, and rounding gives the
//! exact product. Against the sum of 127 secrets it is below 2^4, which the room for noise holds many times over
//! (`scheme.rs`).

use std::{f64::consts::PI, sync::LazyLock};

use pulp::{Arch, Simd, WithSimd};
use zeroize::{Zeroize, Zeroizing};

/// Coefficients of a polynomial.
pub(super) const N: usize = 2048;
/// The coefficients of a polynomial modulo 2^32, the constant first.
pub(super) type Row = [u32; N];

const HALF: usize = N / 2;
const SIDE: usize = 32;
const LEVELS: u32 = SIDE.trailing_zeros();
type Plane = [[f64; SIDE]; SIDE];

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
    /// exp(-2 pi i k / 32) for k below 16.
    side: [(f64, f64); SIDE / 2],
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

    fn from_fn(of: impl Fn(usize, usize) -> (f64, f64)) -> Self {
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
    fn of_wide(polynomial: &[i32; N]) -> Self {
        let mut out = Self::ZERO;
        let (low, high) = polynomial.split_at(HALF);
        let (re, im) = (out.re.as_flattened_mut(), out.im.as_flattened_mut());
        for at in 0..HALF {
            (re[at], im[at]) = (f64::from(low[at]), f64::from(high[at]));
        }
        let roots = &*ROOTS;
        out.multiply(&roots.twist, 1.0);
        out.columns(&roots.side);
        out.multiply(&roots.between, 1.0);
        out.transpose();
        out.columns(&roots.side);
        out
    }

    /// The product of two polynomials, modulo 2^32.
    pub(super) fn product(&self, other: &Self) -> Row {
        Arch::new().dispatch(Product(self, other))
    }

    #[inline(always)]
    fn product_wide(&self, other: &Self) -> Row {
        let mut work = Zeroizing::new(self.clone());
        let roots = &*ROOTS;
        work.multiply(other, 1.0);
        work.columns_back(&roots.side);
        work.transpose();
        work.multiply(&roots.between, -1.0);
        work.columns_back(&roots.side);
        work.multiply(&roots.twist, -1.0);
        let mut out = [0; N];
        let (low, high) = out.split_at_mut(HALF);
        for (own, value) in low.iter_mut().zip(work.re.as_flattened()) {
            *own = rounded(*value);
        }
        for (own, value) in high.iter_mut().zip(work.im.as_flattened()) {
            *own = rounded(*value);
        }
        out
    }

    /// Point by point, with the other one's imaginary part times `sign`: -1 conjugates it.
    #[inline(always)]
    fn multiply(&mut self, other: &Self, sign: f64) {
        let own = self
            .re
            .as_flattened_mut()
            .iter_mut()
            .zip(self.im.as_flattened_mut());
        let others = other.re.as_flattened().iter().zip(other.im.as_flattened());
        for ((re, im), (c, s)) in own.zip(others) {
            let s = s * sign;
            (*re, *im) = (*re * c - *im * s, *re * s + *im * c);
        }
    }

    #[inline(always)]
    fn transpose(&mut self) {
        for plane in [&mut self.re, &mut self.im] {
            let old = *plane;
            for (row, values) in plane.iter_mut().enumerate() {
                for (value, from) in values.iter_mut().zip(&old) {
                    *value = from[row];
                }
            }
        }
    }

    /// Transforms each column; its values come out in the order of reversed bits.
    #[inline(always)]
    fn columns(&mut self, roots: &[(f64, f64); SIDE / 2]) {
        let mut half = SIDE / 2;
        while half > 0 {
            for start in (0..SIDE).step_by(2 * half) {
                for k in 0..half {
                    let (c, s) = roots[k * (SIDE / 2 / half)];
                    let (a, b) = self.pair(start + k, start + k + half);
                    a.minus_turned(b, c, s);
                }
            }
            half /= 2;
        }
    }

    /// Undoes [`Self::columns`], times 32.
    #[inline(always)]
    fn columns_back(&mut self, roots: &[(f64, f64); SIDE / 2]) {
        let mut half = 1;
        while half < SIDE {
            for start in (0..SIDE).step_by(2 * half) {
                for k in 0..half {
                    let (c, s) = roots[k * (SIDE / 2 / half)];
                    let (a, b) = self.pair(start + k, start + k + half);
                    a.plus_turned(b, c, -s);
                }
            }
            half *= 2;
        }
    }

    #[inline(always)]
    fn pair(&mut self, first: usize, second: usize) -> (Line<'_>, Line<'_>) {
        let (re_head, re_tail) = self.re.split_at_mut(second);
        let (im_head, im_tail) = self.im.split_at_mut(second);
        let a = Line {
            re: &mut re_head[first],
            im: &mut im_head[first],
        };
        let b = Line {
            re: &mut re_tail[0],
            im: &mut im_tail[0],
        };
        (a, b)
    }
}

// What runs with the widest registers that the machine has. A structure and not a closure, because a closure's body is
// not always inlined where those registers are allowed.
struct Transform<'a>(&'a [i32; N]);

impl WithSimd for Transform<'_> {
    type Output = Spectrum;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Spectrum {
        Spectrum::of_wide(self.0)
    }
}

struct Product<'a>(&'a Spectrum, &'a Spectrum);

impl WithSimd for Product<'_> {
    type Output = Row;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Row {
        self.0.product_wide(self.1)
    }
}

/// One row.
struct Line<'a> {
    re: &'a mut [f64; SIDE],
    im: &'a mut [f64; SIDE],
}

impl Line<'_> {
    /// (a, b) becomes (a + b, (a - b) w).
    #[inline(always)]
    fn minus_turned(self, b: Line<'_>, c: f64, s: f64) {
        for at in 0..SIDE {
            let (re, im) = (self.re[at] - b.re[at], self.im[at] - b.im[at]);
            self.re[at] += b.re[at];
            self.im[at] += b.im[at];
            b.re[at] = re * c - im * s;
            b.im[at] = re * s + im * c;
        }
    }

    /// (a, b) becomes (a + b w, a - b w).
    #[inline(always)]
    fn plus_turned(self, b: Line<'_>, c: f64, s: f64) {
        for at in 0..SIDE {
            let (re, im) = (b.re[at] * c - b.im[at] * s, b.re[at] * s + b.im[at] * c);
            b.re[at] = self.re[at] - re;
            b.im[at] = self.im[at] - im;
            self.re[at] += re;
            self.im[at] += im;
        }
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
