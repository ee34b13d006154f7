//! Whether a hand is there, told from differences between frames.
//!
//! The frame is seen as 16 x 12 cells of mean grey. What the cells look like without a hand is learnt while nothing
//! happens; a hand is there when enough cells in the middle differ from that, and still when few differ from the frame
//! before. It knows nothing of hands: a bottle is a hand too, until the extractor looks at it.
//!
//! The numbers are of our own choosing, for a camera that looks up from a counter; they were tried on drawn frames and
//! on the kernel's emulated cameras, never tuned on people.

use crate::protocol::HandState;

const COLUMNS: usize = 16;
const ROWS: usize = 12;
const CELLS: usize = COLUMNS * ROWS;

/// A cell differs when its mean differs by more than this, of 255.
const CELL_DIFFERS: i16 = 18;
/// A hand covers at least this many of the 96 cells in the middle.
const HAND_CELLS: usize = 34;
/// A hand that moves changes at least this many cells from one frame to the next.
const MOVING_CELLS: usize = 12;
/// Frames that must agree before a change is told.
const AGREEING_FRAMES: u32 = 2;
/// Frames over which the empty view is learnt: one part in so many a frame.
const LEARNING: i16 = 16;
/// Something that has not moved for so many frames (a minute at 30 a second) belongs to the view.
const FURNITURE_FRAMES: u32 = 1800;

type Cells = [i16; CELLS];

/// What was seen so far.
#[derive(Debug, Clone)]
pub struct Presence {
    empty: Option<Cells>,
    before: Cells,
    state: HandState,
    /// A state that is about to be told, and for how many frames it has held.
    candidate: (HandState, u32),
    still: u32,
}

impl Default for Presence {
    fn default() -> Self {
        Self::new()
    }
}

impl Presence {
    /// Nothing seen yet. The first frame is taken for the empty view.
    #[must_use]
    pub fn new() -> Self {
        Self {
            empty: None,
            before: [0; CELLS],
            state: HandState::Absent,
            candidate: (HandState::Absent, 0),
            still: 0,
        }
    }

    /// What was told last.
    #[must_use]
    pub fn state(&self) -> HandState {
        self.state
    }

    /// Looks at a frame of `width * height` grey bytes; the new state when it has changed: absent, moving or present.
    pub fn look(&mut self, grey: &[u8], (width, height): (u32, u32)) -> Option<HandState> {
        let cells = cells(grey, width, height)?;
        let Some(empty) = &mut self.empty else {
            self.empty = Some(cells);
            self.before = cells;
            return None;
        };
        let covered = differing(&cells, empty, true);
        let moved = differing(&cells, &self.before, false);
        self.before = cells;
        let now = match (covered >= HAND_CELLS, moved >= MOVING_CELLS) {
            (false, _) => HandState::Absent,
            (true, true) => HandState::Moving,
            (true, false) => HandState::Present,
        };
        self.still = if now == HandState::Present {
            self.still + 1
        } else {
            0
        };
        if now == HandState::Absent {
            // Rounded away from zero, so that a small lasting difference is learnt too.
            for (cell, seen) in empty.iter_mut().zip(&cells) {
                let off = seen - *cell;
                *cell += off / LEARNING + off.signum() * i16::from(off.abs() % LEARNING != 0);
            }
        } else if self.still >= FURNITURE_FRAMES {
            *empty = cells;
        }
        let held = if self.candidate.0 == now {
            self.candidate.1 + 1
        } else {
            1
        };
        self.candidate = (now, held);
        let is_news = now != self.state && held >= AGREEING_FRAMES;
        is_news.then(|| {
            self.state = now;
            now
        })
    }
}

/// Cells that differ; only those of the middle half of the columns and two thirds of the rows, if asked.
fn differing(a: &Cells, b: &Cells, middle: bool) -> usize {
    let is_middle = |at: usize| {
        let (row, column) = (at / COLUMNS, at % COLUMNS);
        (COLUMNS / 8..COLUMNS * 7 / 8).contains(&column) && (ROWS / 6..ROWS * 5 / 6).contains(&row)
    };
    a.iter()
        .zip(b)
        .enumerate()
        .filter(|(at, (a, b))| (**a - **b).abs() > CELL_DIFFERS && (!middle || is_middle(*at)))
        .count()
}

/// Mean grey of each cell; `None` when there are fewer pixels than the size says, or than cells.
fn cells(grey: &[u8], width: u32, height: u32) -> Option<Cells> {
    let (width, height) = (usize::try_from(width).ok()?, usize::try_from(height).ok()?);
    let (wide, high) = (width / COLUMNS, height / ROWS);
    if wide == 0 || high == 0 || grey.len() < width * height {
        return None;
    }
    let mut cells = [0; CELLS];
    for (at, cell) in cells.iter_mut().enumerate() {
        let (top, left) = (at / COLUMNS * high, at % COLUMNS * wide);
        // Every fourth row tells as much as all.
        let rows = (top..top + high).step_by(4);
        let (mut sum, mut count) = (0_u32, 0_u32);
        for row in rows {
            let begin = row * width + left;
            let pixels = grey.get(begin..begin + wide).unwrap_or_default();
            sum += pixels.iter().map(|pixel| u32::from(*pixel)).sum::<u32>();
            count += u32::try_from(pixels.len()).unwrap_or_default();
        }
        *cell = i16::try_from(sum / count.max(1)).unwrap_or(i16::MAX);
    }
    Some(cells)
}
