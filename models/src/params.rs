//! Every tuning number of the path from pixels to a score, each with its unit and where it comes from.
//!
//! Origins: *anatomy* is a proportion of adult hands (ISO/TR 7250-2); *published* names its source; *synthetic* was
//! set on the drawn hands of `synth` and then frozen. None was set on a photograph.

// The reader.

/// Focal length of the reader's lens in pixels of its 720 x 1024 frame (the reader's design).
pub const FOCAL_PIXELS: f32 = 450.0;
/// Long side of the frame that [`FOCAL_PIXELS`] is of.
pub const FOCAL_SIDE: f32 = 1024.0;
/// Radius of the ring of LEDs round the lens, mm (the reader's design).
pub const LED_RING_MM: f32 = 25.5;
/// Where the ring's first LED is, degrees clockwise from the frame's right; the others follow every 45 (the reader's
/// design).
pub const LED_FIRST_DEG: f32 = 202.5;

/// The LEDs round the lens, mm from it to the right and down; bit n of a mask is LED n.
#[must_use]
pub fn led_places() -> [(f32, f32); 8] {
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0].map(|n: f32| {
        let (sin, cos) = (LED_FIRST_DEG + 45.0 * n).to_radians().sin_cos();
        (LED_RING_MM * cos, LED_RING_MM * sin)
    })
}

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

// Presentation attacks. Limits are quantiles of genuine drawn captures with room to spare; no attack was used to set
// one (`palm-eval --attacks`).

/// Cells along the long side of a frame in which light is compared: 2 mm on a hand at 100 mm.
pub const ATTACK_CELLS: usize = 128;
/// Mean grey of a cell that is lit well and not saturated.
pub const ATTACK_CELL_LEVELS: (f32, f32) = (30.0, 240.0);
/// Radius of the largest circle inside a palm, mm (anatomy; tells the distance from a hand's size in the frame).
pub const PALM_RADIUS_MM: f32 = 40.0;
/// Over this width, mm, a finger's edge is round (anatomy: half a finger).
pub const EDGE_ROUNDING_MM: f32 = 9.0;
/// Share of a slope that shading shows where light scatters under the skin.
pub const SCATTERED_SLOPE: f32 = 0.5;
/// What is likely of the fit's unknowns, and with what weight: two steps, the room's share in near infrared, the
/// strength of the code and of the relief.
pub const ATTACK_FIT_PRIORS: [(f32, f32); 5] = [
    (0.0, 1e-4),
    (0.0, 1e-4),
    (0.5, 1e-5),
    (1.0, 1e-5),
    (1.0, 1e-6),
];
/// Smoothing, in region pixels, of what is compared: noise, veins (anatomy: 2 mm), and the ground that both lie on.
pub const BAND_FINE_SIGMA: f64 = 1.0;
/// As wide as a vein.
pub const BAND_VEIN_SIGMA: f64 = 2.5;
/// The ground.
pub const BAND_GROUND_SIGMA: f64 = 10.0;
/// Of a thousand pixels, the rank whose contrast is called glare.
pub const BAND_GLARE_PART: usize = 995;
/// Side of the square that is searched for dots, pixels.
pub const PATTERN_SIDE: usize = 256;
/// Longest period of dots, pixels.
pub const PATTERN_PERIOD_MAX: f32 = 12.0;
/// Reach, in frequencies, of the neighbours that a peak is compared with.
pub const PATTERN_NEIGHBOURS: f64 = 4.0;
/// Largest error of the shading against the code, as a share of full light.
pub const ATTACK_CODE_ERROR_MAX: f32 = 0.0135;
/// Largest error of a flash's brightness, as a share of full light (physics: a sixth of what half the LEDs give).
pub const ATTACK_BRIGHTNESS_ERROR_MAX: f32 = 0.08;
/// Largest share of light that is not the reader's (physics: half).
pub const ATTACK_SELF_LIT_MAX: f32 = 0.5;
/// Least roundness.
pub const ATTACK_RELIEF_MIN: f32 = 0.25;
/// Least contrast of veins.
pub const ATTACK_VEINS_MIN: f32 = 0.0055;
/// Highest peak of a spectrum.
pub const ATTACK_PATTERN_MAX: f32 = 3.8;
/// Largest contrast of bright details.
pub const ATTACK_GLARE_MAX: f32 = 0.3;
/// Largest one-class score.
pub const ATTACK_UNLIKE_MAX: f32 = 2.5;
/// Means of the scaled cues over genuine captures (drawn hands 3,000,000 to 3,000,069, four captures each).
pub const GENUINE_MEAN: [f32; 10] = [
    -5.1851, -4.3754, 1.1429, 0.8863, -2.4585, -3.9146, 1.2804, 0.7148, -2.3408, 2.8769,
];
/// What makes their deviations independent and of unit size: the inverse of their covariance's Cholesky factor.
#[rustfmt::skip]
pub const GENUINE_WHITENING: [[f32; 10]; 10] = [
    [4.442, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [-1.924, 7.568, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [-0.361, -0.489, 14.696, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [1.363, -0.024, -14.556, 6.838, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [0.306, -0.186, 0.960, 0.036, 2.921, 0.0, 0.0, 0.0, 0.0, 0.0],
    [-0.244, -0.229, 2.366, -0.216, -0.182, 2.786, 0.0, 0.0, 0.0, 0.0],
    [-0.336, 0.147, -1.859, 0.006, -0.047, 4.504, 5.413, 0.0, 0.0, 0.0],
    [0.469, -0.618, -0.815, 0.569, -0.010, 1.181, 1.196, 8.985, 0.0, 0.0],
    [0.324, -1.378, 1.109, -0.287, -0.022, -7.366, -5.862, -2.574, 7.987, 0.0],
    [-0.278, 0.334, -0.668, 0.277, 0.041, -0.031, 0.530, 0.638, -0.306, 8.455],
];
