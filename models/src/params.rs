//! Every tuning number of the path from pixels to a score, each with its unit and where it comes from.
//!
//! Origins: *anatomy* is a proportion of adult hands (ISO/TR 7250-2); *published* names its source; *synthetic* was
//! set on the drawn hands of `synth` and then frozen. None was set on a photograph.

// Where the hand is.

/// Long side, in pixels, of the image in which the hand is looked for. Fine enough for a gap between fingers of 2 mm
/// at 150 mm from the lens, and small enough for a few milliseconds.
pub const WORK_SIDE: usize = 600;
/// Smoothing before the threshold, as a fraction of the working image's long side (synthetic).
pub const SEGMENT_SMOOTHING: f32 = 0.003;
/// A hand fills at least this share of the image; below, there is none (anatomy: 150 mm from the reader's lens a
/// hand fills a fifth).
pub const HAND_AREA_MIN: f32 = 0.03;
/// Grey levels (0 to 255) that must lie between the means of hand and ground.
pub const CONTRAST_MIN: f32 = 10.0;

/// How many places are tried as the palm when a sleeve is wider than it.
pub const PALM_CANDIDATES: usize = 3;
/// A candidate for the palm has at least this share of the widest one's radius.
pub const PALM_CANDIDATE_RADIUS_MIN: f32 = 0.5;

// Fingers. Lengths are in palm radii: that of the largest circle inside the palm, about 40 mm.

/// Half the width of the brush that finds dark gaps between touching fingers (anatomy: a finger is 0.4 wide).
pub const GAP_REACH: f32 = 0.09;
/// A gap is darker than its surroundings by this share of the hand's median grey.
pub const GAP_DEPTH_MIN: f32 = 0.20;
/// Fingers touch where cutting gaps moves a valley by this share of the valleys' span; less is the cut's own error
/// (synthetic).
pub const GAP_DEEPER_MIN: f32 = 0.2;
/// Interruptions of a gap up to this length, along the fingers, are bridged.
pub const GAP_BRIDGE: f32 = 0.15;
/// Gaps are looked for farther than this from the palm's centre: principal creases lie inside.
pub const GAP_RADIUS_MIN: f32 = 1.1;
/// Beads, pegs and other specks narrower than this are shaved off the outline.
pub const SPECK_WIDTH: f32 = 0.12;
/// The contour is smoothed over this length.
pub const CONTOUR_SMOOTHING: f32 = 0.05;
/// A finger's tip is farther from the palm's centre than the valleys beside it by at least this much.
pub const FINGER_PROMINENCE_MIN: f32 = 0.22;
/// A finger, half way up, is at most this wide; an arm is wider (anatomy: thumb 0.6, wrist 1.4).
pub const FINGER_WIDTH_MAX: f32 = 1.10;
/// The widest of four fingers over the narrowest (anatomy: 1.3; tilt and rings add to it).
pub const FINGER_RATIO_MAX: f32 = 2.4;
/// Spacings of the three finger valleys, the wider over the narrower (anatomy: 1.2; the thumb's valley makes it 2.5).
pub const SPACING_RATIO_MAX: f32 = 1.8;
/// Mean spacing of the finger valleys over the width of a finger (anatomy: 1.25).
pub const SPACING_MAX: f32 = 2.2;
/// One minus the straight distance of the outer valleys over that by way of the middle one (anatomy: 0.04).
pub const ROW_BEND_MAX: f32 = 0.09;
/// The thumb's tip is at least this far beside the row of valleys, from the middle one, in spans of the row (anatomy:
/// 1.2 to 3).
pub const THUMB_ASIDE_MIN: f32 = 0.8;
/// And at most this far below it, in the same unit; an arm's corners are farther (anatomy: 0 to -1.5).
pub const THUMB_ABOVE_MIN: f32 = -1.8;
/// A valley's bottom is what lies within this share of its depth from the lowest point.
pub const VALLEY_FLOOR: f32 = 0.015;

/// Share of a side of the image that a hand covers when that side cuts it.
pub const SIDE_CUT_MIN: f32 = 0.08;

// The palm region. Lengths are in spans: from the index-middle valley to the ring-little valley, about 42 mm.

/// The valleys' distance over the palm's radius (synthetic: the median).
pub const SPAN_PER_RADIUS: f32 = 1.136;
/// Side of the square region (published: 1.2 to 1.4 in Zhang et al., "Online Palmprint Identification", PAMI 2003,
/// and its successors).
pub const REGION_SIDE: f32 = 1.3;
/// From the line between the valleys to the region's upper edge.
pub const REGION_OFFSET: f32 = 0.2;
/// Side of the normalised region in pixels (published: Zhang et al. 2003).
pub const REGION_PIXELS: usize = 128;
/// Standard deviation of the Gaussian window of local mean and variance, in region pixels.
pub const NORMALISE_SIGMA: f64 = 12.0;
/// Added to the local standard deviation, as a share of the region's mean: flat skin is not blown up to noise.
pub const NORMALISE_FLOOR: f32 = 0.01;

// The network.

/// Values of a normalised region beyond this are cut off before they are embedded (as in training).
pub const EMBEDDED_LIMIT: f32 = 3.0;
/// Non-zero coordinates of an enrolled search code (published: IDFace, ICCV 2025, keeps 341 of 512).
pub const REFERENCE_WEIGHT: usize = 341;
/// Non-zero coordinates of a probe: as many as a sum of 7 bits holds (published, same source).
pub const PROBE_WEIGHT: usize = 63;

// The orientation code.

/// Standard deviation of the Gabor filter across a line, in region pixels (published: 5.6179 in Kong and Zhang,
/// "Competitive Coding Scheme for Palmprint Verification", ICPR 2004; twice that along the line).
pub const GABOR_SIGMA: f32 = 5.6179;
/// Half bandwidth in octaves, which ties the wave's length to sigma (published, same source).
pub const GABOR_BANDWIDTH: f32 = 1.0;
/// Half side of the filter in pixels: it is 35 x 35 (published, same source).
pub const GABOR_REACH: usize = 17;
/// A cell whose strongest response is below this share of the median one is not valid.
pub const RESPONSE_MIN: f32 = 0.08;

// Comparison.

/// Cells of shift tried in each direction (synthetic: an eighth of a region is what placing it by two valleys errs).
pub const SHIFT_MAX: i32 = 4;
/// Turns of a probe that are tried, in rising order. Three degrees move a region's edge by less than a cell, so that
/// none between two turns is missed; directions err by a sixth of a step at the most (from the code's own geometry).
pub const TURNS_DEGREES: [f32; 5] = [-6.0, -3.0, 0.0, 3.0, 6.0];
/// Valid cells that two codes must share at a shift for it to count, of 1 024.
pub const OVERLAP_MIN: u32 = 400;

/// Side of a patch of cells that finds its own place; even, and a third of the code (synthetic).
pub const PATCH_SIDE: usize = 12;
/// Cells by which a patch may lie aside of where the code as a whole lies best (synthetic: how far skin stretches).
pub const PATCH_REACH: usize = 2;

// Fusion.

/// Weight of the search codes' similarity in the fused one; the orientation codes' has the rest (synthetic).
pub const SEARCH_SHARE: f32 = 0.06;
/// The search codes' similarity that mated and non-mated pairs have alike: what a missing one counts as (synthetic).
pub const NEUTRAL_SEARCH: f32 = 0.35;

// Quality.

/// Side, in pixels of the source image, below which a region holds too few lines: come closer.
pub const REGION_SOURCE_MIN: f32 = 90.0;
/// Smallest side of an image that is itself a palm region.
pub const REGION_INPUT_MIN: usize = 64;
/// A region pixel darker than this share of the median is no skin (published with the Tongji regions' faults).
pub const DARK_LEVEL: f32 = 0.35;
/// Half the width, in region pixels, from which a dark patch is no vein (anatomy: 5 mm, where a region is 55 mm wide).
pub const DARK_REACH: f32 = 6.0;
/// Largest share of pixels in such patches.
pub const DARK_SHARE_MAX: f32 = 0.02;
/// Largest share of the region that lies outside the hand.
pub const OUTSIDE_SHARE_MAX: f32 = 0.05;
/// Grey level from which a pixel counts as saturated.
pub const SATURATED_LEVEL: u8 = 252;
/// Largest share of saturated pixels in the region.
pub const SATURATED_SHARE_MAX: f32 = 0.25;
/// Median grey of the region below which noise hides the lines.
pub const DARK_MEDIAN_MIN: f32 = 18.0;
/// Least share of valid cells in the code.
pub const VALID_SHARE_MIN: f32 = 0.70;
/// Smoothing, in region pixels, that keeps the sensor's noise from passing for detail.
pub const SHARPNESS_SIGMA: f64 = 1.0;
/// The short and the long step, in region pixels, between which contrast grows more in a blurred image.
pub const SHARPNESS_STEPS: (usize, usize) = (2, 8);
/// Contrast over the short step to that over the long one, below which lines are washed out (synthetic).
pub const SHARPNESS_MIN: f32 = 0.05;
/// Ratio from which a region is as sharp as it gets (synthetic).
pub const SHARPNESS_FULL: f32 = 1.00;
