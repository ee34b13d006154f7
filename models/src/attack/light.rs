//! What the shots under some of the LEDs say: their ratio to the shot under all does not depend on what the surface
//! reflects, only on where it is and how it stands (photometric stereo; the room's part is fitted).

use super::cells::Grid;
use super::{Found, Lights};
use crate::image::GreyImage;
use crate::params::{
    ATTACK_CELL_LEVELS, ATTACK_FIT_PRIORS, EDGE_ROUNDING_MM, FOCAL_PIXELS, FOCAL_SIDE,
    PALM_RADIUS_MM, SCATTERED_SLOPE, led_places,
};
use crate::vision;

/// What the light says.
pub(super) struct Light {
    pub(super) code_error: f32,
    pub(super) brightness_error: f32,
    pub(super) falloff: f32,
    pub(super) relief: f32,
    pub(super) self_lit: f32,
}

/// One cell of hand: its place from the lens, mm; its outward slope; its grey under no and all LEDs.
struct Patch {
    index: usize,
    place: [f32; 3],
    slope: (f32, f32),
    room: f32,
    full: f32,
}

/// Unknowns of the fit: a step for each of two shots, the room, the code's strength, the relief's.
const UNKNOWNS: usize = 5;
const ROOM: usize = 2;
const CODE: usize = 3;
const RELIEF: usize = 4;

pub(super) fn measure(lights: &Lights<'_>, found: &Found<'_>) -> Light {
    let grid = Grid::over(lights.nir);
    let patches = patches(lights, found, grid);
    let mut fit = Fit::new();
    // Two shots are what a burst has; more would only repeat them.
    let coded = &lights.coded[lights.coded.len() - 2..];
    let rows: Vec<Vec<([f32; UNKNOWNS], f32)>> = coded
        .iter()
        .enumerate()
        .map(|(shot, (mask, image))| shot_rows(shot, *mask, &grid.means(image), &patches))
        .collect();
    let rows = rows.concat();
    rows.iter().for_each(|(row, value)| fit.add(row, *value));
    let solution = fit.solve();
    let residual = |(row, value): &([f32; UNKNOWNS], f32)| {
        let fitted: f32 = row.iter().zip(solution).map(|(x, w)| x * w).sum();
        (value - fitted).powi(2)
    };
    let mean = rows.iter().map(residual).sum::<f32>() / rows.len().max(1) as f32;
    let mut shares: Vec<f32> = patches.iter().map(|p| p.room / p.full).collect();
    shares.sort_unstable_by(f32::total_cmp);
    Light {
        // Without a cell of hand nothing followed the code.
        code_error: if rows.is_empty() { 1.0 } else { mean.sqrt() },
        brightness_error: solution[0].abs().max(solution[1].abs()),
        falloff: solution[CODE],
        relief: solution[RELIEF],
        self_lit: shares.get(shares.len() / 2).copied().unwrap_or(1.0),
    }
}

/// The cells that lie on the hand and are well lit.
fn patches(lights: &Lights<'_>, found: &Found<'_>, grid: Grid) -> Vec<Patch> {
    let (room, full) = (grid.means(lights.room), grid.means(lights.nir));
    let (width, height) = (lights.nir.width(), lights.nir.height());
    let focal = FOCAL_PIXELS * width.max(height) as f32 / FOCAL_SIDE;
    let away = focal * PALM_RADIUS_MM / found.radius.max(1.0);
    let mm = away / focal;
    let inside = |index| u8::from(found.silhouette.holds(grid.middle(index))) * 255;
    let mask = (0..grid.columns * grid.rows).map(inside).collect();
    let mask = GreyImage::new(grid.columns, grid.rows, mask)
        .expect("invariant: cells are fewer than pixels");
    let depth = vision::distances(&mask);
    let cell_mm = mm * grid.side as f32;
    let low_high = ATTACK_CELL_LEVELS;
    (0..depth.len())
        .filter(|index| depth[*index] >= 1.5 && (low_high.0..low_high.1).contains(&full[*index]))
        .map(|index| {
            let (x, y) = grid.middle(index);
            let place = [
                (x - 0.5 * width as f32) * mm,
                (y - 0.5 * height as f32) * mm,
                away,
            ];
            let steep = steepness(depth[index] * cell_mm);
            let (right, down) = gradient(&depth, grid, index);
            Patch {
                index,
                place,
                slope: (-steep * right, -steep * down),
                room: room[index],
                full: full[index],
            }
        })
        .collect()
}

/// Slope of a rounded edge so far from the outline, as scattered light shows it.
fn steepness(inside_mm: f32) -> f32 {
    let edge = EDGE_ROUNDING_MM;
    let off = (edge - inside_mm).clamp(0.0, 0.95 * edge);
    SCATTERED_SLOPE * off / (edge * edge - off * off).sqrt()
}

/// Direction in which the outline is farther, per cell; shorter on a ridge. A cell of hand never lies at the edge of
/// the distances, which are 1 or less there.
fn gradient(depth: &[f32], grid: Grid, index: usize) -> (f32, f32) {
    let at = |index: Option<usize>| {
        index
            .and_then(|index| depth.get(index))
            .copied()
            .unwrap_or(0.0)
    };
    let along = |step: usize| 0.5 * (at(index.checked_add(step)) - at(index.checked_sub(step)));
    (along(1), along(grid.columns))
}

/// The rows of one shot's equations.
fn shot_rows(shot: usize, mask: u8, lit: &[f32], patches: &[Patch]) -> Vec<([f32; UNKNOWNS], f32)> {
    let share = mask.count_ones() as f32 / 8.0;
    let leds = led_places();
    let row = |patch: &Patch| {
        let [flat, round] = led_shares(mask, &leds, patch);
        let mut row = [0.0; UNKNOWNS];
        row[shot] = 1.0;
        row[ROOM] = (1.0 - share) * patch.room / patch.full;
        row[CODE] = flat - share;
        row[RELIEF] = round - flat;
        (row, lit[patch.index] / patch.full - share)
    };
    patches.iter().map(row).collect()
}

/// The share of the light at a place that comes from the LEDs of a mask, on a flat and on a rounded surface: Lambert's
/// law and the inverse square.
fn led_shares(mask: u8, leds: &[(f32, f32); 8], patch: &Patch) -> [f32; 2] {
    let ([x, y, z], slope) = (patch.place, patch.slope);
    let (mut some, mut all) = ([0.0; 2], [f32::MIN_POSITIVE; 2]);
    for (n, (right, down)) in leds.iter().enumerate() {
        let (dx, dy) = (right - x, down - y);
        let squared = dx * dx + dy * dy + z * z;
        let near = 1.0 / (squared * squared.sqrt());
        let on = f32::from((mask >> n) & 1);
        for (surface, facing) in [z, slope.0 * dx + slope.1 * dy + z].into_iter().enumerate() {
            let light = facing.max(0.0) * near;
            all[surface] += light;
            some[surface] += light * on;
        }
    }
    [some[0] / all[0], some[1] / all[1]]
}

/// Least squares with a prior for each unknown: what a code does not show stays what is likely.
struct Fit {
    matrix: [[f32; UNKNOWNS]; UNKNOWNS],
    right: [f32; UNKNOWNS],
    count: f32,
}

impl Fit {
    fn new() -> Self {
        Self {
            matrix: [[0.0; UNKNOWNS]; UNKNOWNS],
            right: [0.0; UNKNOWNS],
            count: 0.0,
        }
    }

    fn add(&mut self, row: &[f32; UNKNOWNS], value: f32) {
        for (line, a) in self.matrix.iter_mut().zip(row) {
            line.iter_mut().zip(row).for_each(|(sum, b)| *sum += a * b);
        }
        self.right
            .iter_mut()
            .zip(row)
            .for_each(|(sum, a)| *sum += a * value);
        self.count += 1.0;
    }

    /// Gauss's elimination; the priors keep the matrix positive definite.
    fn solve(mut self) -> [f32; UNKNOWNS] {
        // Cells err together, not each for itself: a prior counts as a share of them.
        let scale = self.count.max(1.0);
        for (n, (mean, weight)) in ATTACK_FIT_PRIORS.into_iter().enumerate() {
            self.matrix[n][n] += weight * scale;
            self.right[n] += weight * scale * mean;
        }
        for pivot in 0..UNKNOWNS {
            for below in pivot + 1..UNKNOWNS {
                let factor = self.matrix[below][pivot] / self.matrix[pivot][pivot];
                for column in pivot..UNKNOWNS {
                    self.matrix[below][column] -= factor * self.matrix[pivot][column];
                }
                self.right[below] -= factor * self.right[pivot];
            }
        }
        let mut solution = [0.0; UNKNOWNS];
        for n in (0..UNKNOWNS).rev() {
            let known: f32 = (n + 1..UNKNOWNS)
                .map(|k| self.matrix[n][k] * solution[k])
                .sum();
            solution[n] = (self.right[n] - known) / self.matrix[n][n];
        }
        solution
    }
}
