//! What attackers show to the reader in place of a palm (presentation attack instruments, ISO/IEC 30107-1).
//!
//! Drawn as well as the attacker could wish: prints are cut out along the hand's outline and made of a near-infrared
//! picture, screens shine in near infrared as brightly as under white light, films keep time with the reader's frames.
//! A simulation of ours, not a likeness of materials: it says which physics a detector uses, not what it would do to a
//! real mask.

use super::canvas::{Point, Raster};
use super::identity::{Identity, VEIN};
use super::pose::{Camera, Pose};
use super::random::{Rng, Span, mix};
use super::render::{self, Form, Halftone, Noise, Shown};
use super::{FRAME_WIDTH, TAG_ATTACK};
use crate::burst::{Burst, LEDS_ALL, Light};

/// A kind of attack instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Species {
    /// The victim's near-infrared picture on paper, held flat.
    FlatPrint,
    /// The same, bent round an axis.
    CurvedPrint,
    /// The victim's picture on a screen that also shines in near infrared; every other one only while a flash lasts.
    Screen,
    /// A film of the victim's hand in time with the reader's frames, under another code.
    Replay,
    /// Somebody else's hand under a film with the victim's veins in toner.
    VeinPrint,
    /// A cast of the victim's hand: its shape and creases, one material, no veins.
    Silicone,
    /// Somebody else's hand with a printed pattern on the palm that is to mislead a network.
    Patch,
    /// The victim's picture printed on a glove that somebody wears.
    Glove,
}

impl Species {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::FlatPrint,
        Self::CurvedPrint,
        Self::Screen,
        Self::Replay,
        Self::VeinPrint,
        Self::Silicone,
        Self::Patch,
        Self::Glove,
    ];

    /// The name in a report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FlatPrint => "flat print",
            Self::CurvedPrint => "curved print",
            Self::Screen => "screen",
            Self::Replay => "replay, wrong code",
            Self::VeinPrint => "vein print on a hand",
            Self::Silicone => "silicone cast",
            Self::Patch => "adversarial patch",
            Self::Glove => "printed glove",
        }
    }

    /// Whether it was kept away from every choice of a cue: only the others were looked at then.
    #[must_use]
    pub fn held_out(self) -> bool {
        !matches!(self, Self::FlatPrint | Self::Screen | Self::Replay)
    }
}

/// One capture of an attack on `victim`; what is left of a real hand in it is `attacker`'s. Arguments as for
/// [`super::burst`].
#[must_use]
pub fn attack(
    species: Species,
    victim: &Identity,
    attacker: &Identity,
    pose: &Pose,
    shots: &[(Light, u8)],
    sample_seed: u64,
) -> Burst {
    let mut rng = victim.rng(TAG_ATTACK, mix(sample_seed ^ species as u64));
    let shown =
        |hand: &Identity, shown: &Shown<'_>| render::burst(hand, pose, shots, sample_seed, shown);
    match species {
        Species::FlatPrint => shown(victim, &print(victim, &flat(), &mut rng).shown()),
        Species::CurvedPrint => {
            let form = bent(&mut rng);
            shown(victim, &print(victim, &form, &mut rng).shown())
        }
        Species::Glove => shown(victim, &print(victim, &Form::Hand, &mut rng).shown()),
        Species::Silicone => shown(victim, &silicone(&mut rng).shown()),
        Species::VeinPrint => shown(attacker, &vein_print(victim, &mut rng).shown()),
        Species::Patch => shown(attacker, &patch(attacker, &mut rng).shown()),
        Species::Screen | Species::Replay => {
            let played = match species {
                Species::Screen => shots.iter().map(|_| (Light::Nir, LEDS_ALL)).collect(),
                _ => shots
                    .iter()
                    .map(|shot| other_code(*shot, &mut rng))
                    .collect::<Vec<_>>(),
            };
            let film = render::burst(victim, pose, &played, mix(sample_seed), &Shown::HAND);
            let waits = species == Species::Replay || rng.chance(0.5);
            displayed(film, shots, waits, &mut rng)
        }
    }
}

type Paint = Box<dyn Fn(Raster<f32, 2>) -> Raster<f32, 2>>;

struct Instrument {
    form: Form,
    paint: Paint,
    halftone: Option<Halftone>,
}

impl Instrument {
    fn shown(&self) -> Shown<'_> {
        Shown {
            form: self.form,
            paint: &*self.paint,
            halftone: self.halftone,
        }
    }
}

fn flat() -> Form {
    Form::Sheet {
        curvature: 0.0,
        across: (1.0, 0.0),
    }
}

fn bent(rng: &mut Rng) -> Form {
    let (across_v, across_u) = (std::f32::consts::TAU * rng.unit()).sin_cos();
    Form::Sheet {
        curvature: 1.0 / rng.within(Span(60.0, 200.0)),
        across: (across_u, across_v),
    }
}

/// Dots 0.25 to 0.7 mm apart; half of the printers have dots that no lens sees.
fn dots(rng: &mut Rng) -> Option<Halftone> {
    let visible = rng.chance(0.5);
    let wave = std::f32::consts::TAU / rng.within(Span(0.25, 0.7));
    let (sin, cos) = (std::f32::consts::TAU * rng.unit()).sin_cos();
    // A sensor's pixel of about 0.22 mm takes the mean over the dots that it sees.
    let half = 0.5 * wave * 0.22;
    let contrast = rng.within(Span(0.1, 0.4)) * (half.sin() / half).abs();
    visible.then_some(Halftone {
        waves: [(wave * cos, wave * sin), (-wave * sin, wave * cos)],
        contrast,
    })
}

/// Ink reflects in both bands alike; half of the pictures still have the shading of the hand that they show.
fn print(victim: &Identity, form: &Form, rng: &mut Rng) -> Instrument {
    let (paper, depth) = (rng.within(Span(0.75, 1.0)), rng.within(Span(0.8, 1.3)));
    let shade = rng.chance(0.5).then(|| baked(victim));
    let base = victim.reflectance[0];
    let paint = move |skin: Raster<f32, 2>| {
        skin.map(|v| {
            let shade = shade.as_ref();
            move |u, [nir, _]: [f32; 2]| {
                let ink = 1.0 - depth * (1.0 - nir / base);
                let shade = shade.map_or(1.0, |shade| shade.at((u, v))[0]);
                [(paper * ink * shade).clamp(0.03, 1.1); 2]
            }
        })
    };
    Instrument {
        form: *form,
        paint: Box::new(paint),
        halftone: dots(rng),
    }
}

/// The light that fell on the hand when the picture was taken, about 1.
fn baked(victim: &Identity) -> Raster<f32, 1> {
    const SCALE: f32 = 1.5;
    let shape = &victim.shape;
    let chains = shape.chains(Pose::centred().spread);
    let distance = Raster::build(SCALE, |v| {
        let chains = &chains;
        move |u| [shape.distance(chains, (u, v))]
    });
    let camera = Camera::new(&Pose::centred(), victim.hand());
    let light = render::light(&distance, shape, Form::Hand, camera, &[LEDS_ALL]);
    light.map(|_| |_, texel: [f32; _]| [texel[1].clamp(0.2, 1.3)])
}

/// One material, a little pigment mixed in: the creases' shade is the same in both bands.
fn silicone(rng: &mut Rng) -> Instrument {
    let [nir, visible] = [rng.within(Span(0.6, 1.0)), rng.within(Span(0.45, 1.0))];
    let paint = move |skin: Raster<f32, 2>| {
        let mean = mean_visible(&skin);
        skin.map(|_| {
            move |_, [_, seen]: [f32; 2]| {
                let relief = seen / mean;
                [nir * relief, visible * relief]
            }
        })
    };
    Instrument {
        form: Form::Hand,
        paint: Box::new(paint),
        halftone: None,
    }
}

fn mean_visible(skin: &Raster<f32, 2>) -> f32 {
    let texels = skin.texels();
    texels.iter().map(|texel| texel[1]).sum::<f32>() / texels.len() as f32
}

/// Toner on a clear film: dark in both bands.
fn vein_print(victim: &Identity, rng: &mut Rng) -> Instrument {
    let depth = rng.within(Span(0.25, 0.6));
    let veins = victim.skin.map(|_| |_, layers: [u8; 4]| [layers[VEIN]]);
    let paint = move |skin: Raster<f32, 2>| {
        skin.map(|v| {
            let veins = &veins;
            move |u, bands: [f32; 2]| {
                let ink = 1.0 - depth * veins.at((u, v))[0] / 255.0;
                bands.map(|band| 0.95 * band * ink)
            }
        })
    };
    Instrument {
        form: Form::Hand,
        paint: Box::new(paint),
        halftone: dots(rng),
    }
}

/// A cross of black and white squares on the palm (after "CAAP", 2026: cross-shaped patches that are printed and worn).
fn patch(wearer: &Identity, rng: &mut Rng) -> Instrument {
    let (half, arm) = (rng.within(Span(18.0, 30.0)), rng.within(Span(5.0, 9.0)));
    let (cell, pattern) = (rng.within(Span(1.5, 3.0)), rng.next());
    let (sin, cos) = (0.4 * rng.normal()).sin_cos();
    let middle = wearer.shape.square;
    let ink = move |(u, v): Point| {
        let (du, dv) = (u - middle.0, v - middle.1);
        let (x, y) = (du * cos + dv * sin, dv * cos - du * sin);
        let long = |a: f32, b: f32| a.abs() < half && b.abs() < arm;
        let square =
            ((x / cell).floor() as i64 as u64) ^ ((y / cell).floor() as i64 as u64).rotate_left(32);
        let shade = if mix(pattern ^ square) & 1 == 0 {
            0.15
        } else {
            0.95
        };
        (long(x, y) || long(y, x)).then_some(shade)
    };
    let paint = move |skin: Raster<f32, 2>| {
        skin.map(|v| move |u, bands: [f32; 2]| ink((u, v)).map_or(bands, |shade| [shade; 2]))
    };
    Instrument {
        form: Form::Hand,
        paint: Box::new(paint),
        halftone: dots(rng),
    }
}

/// The shot under another mask of as many LEDs, where it was coded.
fn other_code((light, mask): (Light, u8), rng: &mut Rng) -> (Light, u8) {
    let coded = !matches!(mask, 0 | LEDS_ALL);
    let others: Vec<u8> = (0..=u8::MAX)
        .filter(|other| other.count_ones() == mask.count_ones() && *other != mask)
        .collect();
    if coded && !others.is_empty() {
        (light, others[rng.next() as usize % others.len()])
    } else {
        (light, mask)
    }
}

/// Film on a screen in front of the lens: its pixels, a pane that mirrors a little of the LEDs, and the sensor again.
/// `waits`: it is dark while no flash lasts, unless the film shows that itself.
fn displayed(mut film: Burst, shots: &[(Light, u8)], waits: bool, rng: &mut Rng) -> Burst {
    let wave = std::f32::consts::TAU / rng.within(Span(0.9, 5.0));
    let tilt = 0.1 * rng.normal();
    let grid = Halftone {
        waves: [(wave, wave * tilt), (-wave * tilt, wave)],
        contrast: rng.within(Span(0.0, 0.12)),
    };
    let (gloss, gain) = (rng.within(Span(0.01, 0.05)), rng.within(Span(0.7, 1.0)));
    for (shot, (light, mask)) in film.shots.iter_mut().zip(shots) {
        let noise = Noise {
            read: 0.005,
            shot: 0.016,
            seed: rng.next(),
        };
        let leds = f32::from(mask.count_ones() as u8) / 8.0;
        let pane = if *light == Light::Ambient {
            0.0
        } else {
            gloss * leds
        };
        let shine = if waits && *light == Light::Ambient && shot.light != Light::Ambient {
            0.0
        } else {
            gain / 255.0
        };
        let seen = shot.image.pixels().iter().enumerate().map(|(at, pixel)| {
            let point = ((at % FRAME_WIDTH) as f32, (at / FRAME_WIDTH) as f32);
            let value = shine * f32::from(*pixel) * grid.at(point);
            noise.seen(value + pane, at)
        });
        shot.image = render::image(seen.collect());
        (shot.light, shot.led_mask) = (*light, *mask);
    }
    film
}
