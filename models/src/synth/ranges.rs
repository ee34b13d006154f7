//! Every number that the generator draws within, in one place, so that a second set can be held out.
//!
//! Lengths are millimetres unless they say "half sides" (half the palm square, about 38 mm). Crease statistics come
//! from the 1 000 labelled palms that Diff-Palm published (Apache-2.0); counts and gains of lines follow BezierPalm and
//! PCE-Palm. The hand's proportions and everything named `frame` or `sample` that has no source are choices of ours,
//! judged by eye and by what the extractor makes of them.

use super::random::Span;

/// What hands, lines and veins are drawn from, and how one sample differs from the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ranges {
    pub(crate) hand: HandRanges,
    pub(crate) crease: CreaseRanges,
    pub(crate) vein: VeinRanges,
    pub(crate) sample: SampleRanges,
}

/// Size and proportion of the hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HandRanges {
    /// Wrist to the tip of the middle finger.
    pub(crate) length: Span,
    /// Width of the palm over its length.
    pub(crate) width_to_length: Span,
    /// Standard deviation of each finger's length and thickness, as a fraction.
    pub(crate) finger_sd: f32,
}

/// Number and look of the lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CreaseRanges {
    /// Share of palms with one transverse line in place of head and heart line.
    pub(crate) simian: f32,
    /// Share of palms whose head line crosses the whole palm.
    pub(crate) sydney: f32,
    pub(crate) strands: Span,
    pub(crate) branches: Span,
    /// Half width of a principal line.
    pub(crate) principal_width: Span,
    pub(crate) secondaries: Span,
    pub(crate) wrinkles: Span,
    /// Bundles of long fine lines, and lines in one.
    pub(crate) hatches: Span,
    pub(crate) hatch_lines: Span,
}

/// The vein tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VeinRanges {
    pub(crate) roots: Span,
    pub(crate) terminals: Span,
    /// Half width of the thinnest vein as it is seen through the skin.
    pub(crate) width: Span,
}

/// How one sample of a palm differs from the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SampleRanges {
    /// Standard deviation of the coarse and the fine part of the non-rigid warp of a region, half sides. It stands for
    /// posture and faults of the cut as well as for soft skin.
    pub(crate) warp_coarse: f32,
    pub(crate) warp_fine: f32,
    /// Share of that warp in a frame: there the pose is drawn, the cut is the extractor's own, and skin on bone is
    /// left.
    pub(crate) frame_warp: f32,
    pub(crate) gain_crease: Span,
    pub(crate) gain_fine: Span,
    pub(crate) gain_vein: Span,
    pub(crate) gain_tone: Span,
    /// How much the contrast of a layer varies from frame to frame of one hand: there the gains above are the hand's.
    pub(crate) frame_gain: Span,
    /// Share of the palm whose lines are faint in one sample.
    pub(crate) dropout: f32,
    /// Regions only: rotation (radians, standard deviation), scale, shift and perspective (half sides), stretch.
    pub(crate) region_rotation_sd: f32,
    pub(crate) region_scale: Span,
    pub(crate) region_shift: f32,
    pub(crate) region_perspective: f32,
    pub(crate) region_stretch: f32,
    pub(crate) gamma: Span,
    pub(crate) light_plane: f32,
    pub(crate) vignette: f32,
    /// Read noise and shot noise, as fractions of full scale.
    pub(crate) read_noise: Span,
    pub(crate) shot_noise: f32,
}

/// The ordinary set: what [`super::Identity::new`] draws from.
pub(crate) const ORDINARY: Ranges = Ranges {
    hand: HandRanges {
        length: Span(162.0, 200.0),
        width_to_length: Span(0.43, 0.48),
        finger_sd: 0.025,
    },
    crease: CreaseRanges {
        simian: 0.04,
        sydney: 0.07,
        strands: Span(1.0, 3.0),
        branches: Span(0.0, 4.0),
        principal_width: Span(0.30, 0.62),
        secondaries: Span(3.0, 13.0),
        wrinkles: Span(40.0, 150.0),
        hatches: Span(0.0, 4.0),
        hatch_lines: Span(3.0, 10.0),
    },
    vein: VeinRanges {
        roots: Span(2.0, 3.0),
        terminals: Span(24.0, 44.0),
        width: Span(0.75, 1.15),
    },
    sample: SampleRanges {
        warp_coarse: 0.035,
        warp_fine: 0.010,
        frame_warp: 0.35,
        gain_crease: Span(0.16, 0.42),
        gain_fine: Span(0.05, 0.22),
        gain_vein: Span(0.06, 0.20),
        gain_tone: Span(0.10, 0.30),
        frame_gain: Span(0.75, 1.25),
        dropout: 0.18,
        region_rotation_sd: 0.10,
        region_scale: Span(0.84, 1.04),
        region_shift: 0.09,
        region_perspective: 0.10,
        region_stretch: 0.06,
        gamma: Span(0.7, 1.4),
        light_plane: 0.35,
        vignette: 0.2,
        read_noise: Span(0.003, 0.009),
        shot_noise: 0.016,
    },
};
