//! Measures palm recognition: error rates over folders of palm images, or over synthetic palms.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that answers on its terminal"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use palm_models::burst::Light;
use palm_models::eval::acquire::{Acquired, Content, Synthetic, from_images, from_synthetic};
use palm_models::eval::attacks;
use palm_models::eval::load::{ImageSet, SideRule};
use palm_models::eval::matcher::{Codes, Matcher};
use palm_models::eval::plot::{Curve, svg};
use palm_models::eval::protocol::{Outcome, Sample, all_pairs, cross_session};
use palm_models::eval::report::SetReport;
use palm_models::synth::Species;
use palm_models::template::Hand;

/// Error rates of palm recognition, reported as ISO/IEC 19795-1 asks for.
///
/// PATH is a set: one folder an identity (one hand), in it s<session>_<sample>.png (or jpg, jpeg, bmp). Give several
/// for several reports.
#[derive(Debug, Parser)]
#[command(name = "palm-eval", version)]
struct Arguments {
    /// Sets to measure.
    #[arg(value_name = "PATH", required_unless_present_any = ["synthetic", "attacks"])]
    paths: Vec<PathBuf>,
    /// The images are palm regions, cut out already; otherwise whole hands.
    #[arg(long)]
    region: bool,
    /// Side of the hands in regions. auto: a folder's name ends in _l or _r, else its number is odd for left and even
    /// for right. Whole hands show their side themselves.
    #[arg(long, value_enum, default_value = "auto")]
    hand: HandChoice,
    /// Light of whole-hand images. auto: near infrared if the set's name has "nir" in it, else visible.
    #[arg(long, value_enum, default_value = "auto")]
    light: LightChoice,
    /// How samples are compared; may be given several times.
    #[arg(long, value_enum, default_value = "fused")]
    matcher: Vec<MatcherChoice>,
    /// One JSON object a set and protocol, one a line; images that failed are listed on standard error.
    #[arg(long)]
    json: bool,
    /// Draw the detection error trade-off of every set and protocol into this SVG file.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// The sets hold no palms: count how many images are refused, and why.
    #[arg(long, conflicts_with_all = ["synthetic", "plot"])]
    expect_refusal: bool,
    /// Measure this many synthetic hands as well; thresholds are frozen on these.
    #[arg(long, value_name = "HANDS", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    synthetic: Option<u64>,
    /// Draw attacks on this many synthetic hands and count what the detector lets through, by species; simulated.
    #[arg(long, value_name = "VICTIMS", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    attacks: Option<u64>,
    /// With --attacks: how the cues scatter, by species.
    #[arg(long, requires = "attacks")]
    cues: bool,
    /// Samples of each synthetic hand; half of them are the second session.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    samples: u32,
    /// Number of the first synthetic hand.
    #[arg(long, default_value_t = 0)]
    first: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum HandChoice {
    Auto,
    Left,
    Right,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MatcherChoice {
    /// Search and orientation codes, as the product compares.
    Fused,
    /// Embeddings in place of search codes: what the sparse codes cost.
    FusedUnprotected,
    /// Orientation codes alone.
    Orientation,
    /// Search codes alone.
    Search,
    /// Embeddings alone.
    Embedding,
}

impl MatcherChoice {
    fn matcher(self) -> Matcher {
        match self {
            Self::Fused => Matcher::Fused,
            Self::FusedUnprotected => Matcher::FusedUnprotected,
            Self::Orientation => Matcher::Orientation,
            Self::Search => Matcher::Search,
            Self::Embedding => Matcher::Embedding,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LightChoice {
    Auto,
    Nir,
    Visible,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("palm-eval: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut curves = Vec::new();
    for path in &arguments.paths {
        let set = ImageSet::open(path)?;
        let acquired = from_images(&set, arguments.content(&set.name))?;
        let report = arguments.measured(set.name, set.subjects.len(), acquired);
        arguments.show(&report)?;
        curves.extend(curves_of(&report));
    }
    if let Some(hands) = arguments.synthetic {
        let (first, samples, regions) = (arguments.first, arguments.samples, arguments.region);
        let acquired = from_synthetic(Synthetic {
            first,
            hands,
            samples,
            regions,
        });
        let name = if regions {
            "synthetic_region"
        } else {
            "synthetic_hand"
        };
        let hands = usize::try_from(hands).context("too many hands for this machine")?;
        let report = arguments.measured(name.to_owned(), hands, acquired);
        arguments.show(&report)?;
        curves.extend(curves_of(&report));
    }
    if let Some(victims) = arguments.attacks {
        arguments.attacked(victims)?;
    }
    if let Some(file) = &arguments.plot {
        ensure!(
            !curves.is_empty(),
            "nothing to draw: no set gave two templates to compare"
        );
        std::fs::write(file, svg(&curves)).with_context(|| {
            format!(
                "{}: cannot be written: check the folder and its permissions",
                file.display()
            )
        })?;
    }
    Ok(())
}

impl Arguments {
    fn attacked(&self, victims: u64) -> anyhow::Result<()> {
        let first = self.first;
        let shown = attacks::presentations(attacks::Plan { first, victims });
        if self.json {
            for row in attacks::rows(&shown) {
                println!("{}", serde_json::to_string(&row)?);
            }
        } else {
            print!("{}", attacks::table(&shown));
        }
        if self.cues {
            let kinds = [None].into_iter().chain(Species::ALL.map(Some));
            eprint!("{}", attacks::fit(&shown));
            kinds.for_each(|kind| eprint!("{}", attacks::scatter(&shown, kind)));
        }
        Ok(())
    }

    fn content(&self, set: &str) -> Content {
        if self.region {
            return Content::Region(match self.hand {
                HandChoice::Auto => SideRule::Auto,
                HandChoice::Left => SideRule::Fixed(Hand::Left),
                HandChoice::Right => SideRule::Fixed(Hand::Right),
            });
        }
        Content::WholeHand(match self.light {
            LightChoice::Auto if set.to_lowercase().contains("nir") => Light::Nir,
            LightChoice::Auto | LightChoice::Visible => Light::Visible,
            LightChoice::Nir => Light::Nir,
        })
    }

    fn measured(&self, set: String, hands: usize, acquired: Acquired) -> SetReport {
        let Acquired {
            samples,
            failures,
            ms_per_image,
        } = acquired;
        let images = samples.len() + failures.len();
        let outcomes = if self.expect_refusal {
            Vec::new()
        } else {
            self.compared(&samples)
        };
        SetReport {
            set,
            hands,
            images,
            failures,
            ms_per_image,
            outcomes,
        }
    }

    fn compared(&self, samples: &[Sample<Codes>]) -> Vec<(Matcher, Outcome)> {
        let mut outcomes = Vec::new();
        for choice in &self.matcher {
            let matcher = choice.matcher();
            let prepared = |probe: &Codes| matcher.prepared(probe);
            let crossed = cross_session(samples, prepared).into_iter();
            let protocols = crossed.chain([all_pairs(samples, prepared)]);
            outcomes.extend(protocols.map(|outcome| (matcher, outcome)));
        }
        outcomes
    }

    fn show(&self, report: &SetReport) -> anyhow::Result<()> {
        match (self.json, self.expect_refusal) {
            (true, true) => println!("{}", report.refusal_json()?),
            (true, false) => print!("{}", report.json_lines()?),
            (false, true) => print!("{}", report.refusal_table()),
            (false, false) => print!("{}", report.table()),
        }
        eprint!("{}", report.failure_list());
        Ok(())
    }
}

fn curves_of(report: &SetReport) -> Vec<Curve> {
    let curve = |(matcher, outcome): &(Matcher, Outcome)| Curve {
        name: format!(
            "{} {} {}",
            report.set,
            outcome.protocol.name(),
            matcher.name()
        ),
        points: outcome.scores.trade_off(),
    };
    report
        .outcomes
        .iter()
        .map(curve)
        .filter(|curve| !curve.points.is_empty())
        .collect()
}
