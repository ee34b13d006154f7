//! Peers that search the same templates in the clear, and how much slower or faster they are.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    process::Command,
};

use palm_models::template::DIMENSIONS;
use pulp::{Arch, Simd, WithSimd};
use rayon::{ThreadPoolBuilder, prelude::*};

use crate::{
    Result,
    data::{Embedding, People},
    report::{Stopwatch, Subject},
};

/// Embeddings that one task of the hand-written scan goes through.
const CHUNK: usize = 2048;
const OURS: &str = "sealed/3";

/// Median times of one size of gallery, by bench and threads.
pub(crate) struct Comparison {
    n: usize,
    medians: BTreeMap<(String, usize), f64>,
}

impl Comparison {
    pub(crate) const fn new(n: usize) -> Self {
        let medians = BTreeMap::new();
        Self { n, medians }
    }

    pub(crate) fn add(&mut self, bench: &str, threads: usize, median_ms: f64) {
        self.medians.insert((bench.to_owned(), threads), median_ms);
    }

    /// How many times longer each peer takes than the sealed gallery with as many threads.
    pub(crate) fn ratios(&self) {
        for ((bench, threads), median) in &self.medians {
            let ours = self.medians.get(&(OURS.to_owned(), *threads));
            if let Some(ours) = ours.filter(|_| !bench.starts_with("sealed")) {
                let subject = Subject {
                    bench,
                    n: self.n,
                    threads: *threads,
                };
                subject.tell("times_slower_than_sealed", median / ours, "ratio");
            }
        }
    }
}

/// The hand-written peer: every inner product, as wide as this machine's registers go.
pub(crate) fn int8(people: &People, bench: &mut Comparison) -> Result<()> {
    for threads in [1, 2] {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
        let mut times = Vec::new();
        for (own, probe) in &people.probes {
            let watch = Stopwatch::start();
            let (found, _) = pool.install(|| {
                let chunks = people.enrolled.par_chunks(CHUNK).enumerate();
                chunks
                    .map(|(at, chunk)| best_of(chunk, probe, at * CHUNK))
                    .reduce(|| (0, i32::MIN), |a, b| if b.1 > a.1 { b } else { a })
            });
            times.push(watch.ms());
            if found != *own {
                return Err("int8: somebody who is enrolled was not found first".into());
            }
        }
        let subject = Subject {
            bench: "int8",
            n: people.enrolled.len(),
            threads,
        };
        let p50 = subject.tell_times("identify", &mut times);
        bench.add("int8", threads, p50);
    }
    Ok(())
}

fn best_of(chunk: &[Embedding], probe: &Embedding, first: usize) -> (usize, i32) {
    let mut scores = [0; CHUNK];
    Arch::new().dispatch(Dots(chunk, probe, &mut scores));
    let best = (first..)
        .zip(&scores[..chunk.len()])
        .max_by_key(|(_, score)| **score);
    best.map_or((first, i32::MIN), |(own, score)| (own, *score))
}

struct Dots<'a>(&'a [Embedding], &'a Embedding, &'a mut [i32; CHUNK]);

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (own, score) in self.0.iter().zip(self.2) {
            let pairs = own.iter().zip(self.1);
            // Without checks for overflow, which would keep it from being wide.
            let sum = pairs.fold(0_i32, |sum, (a, b)| {
                sum.wrapping_add(i32::from(*a).wrapping_mul(i32::from(*b)))
            });
            *score = sum;
        }
    }
}

/// Writes the templates for the Python peers, runs them, and repeats their lines.
pub(crate) fn python(
    python: &Path,
    people: &People,
    folder: &Path,
    bench: &mut Comparison,
) -> Result<()> {
    write(&folder.join("enrolled.i8"), people.enrolled.iter())?;
    write(
        &folder.join("probes.i8"),
        people.probes.iter().map(|(_, probe)| probe),
    )?;
    let owners = people.probes.iter().flat_map(|(own, _)| own.to_le_bytes());
    std::fs::write(folder.join("owners.u64"), owners.collect::<Vec<u8>>())?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gallery/peers.py");
    let output = Command::new(python).arg(script).arg(folder).output()?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err("the Python peers failed".into());
    }
    for line in String::from_utf8(output.stdout)?.lines() {
        println!("{line}");
        let told: serde_json::Value = serde_json::from_str(line)?;
        if told["metric"] == "identify_p50" {
            let name = told["bench"].as_str().ok_or("a line without a bench")?;
            let threads = told["threads"].as_u64().ok_or("a line without threads")?;
            let median = told["value"].as_f64().ok_or("a line without a value")?;
            bench.add(name, usize::try_from(threads)?, median);
        }
    }
    Ok(())
}

fn write<'a>(path: &Path, embeddings: impl Iterator<Item = &'a Embedding>) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for embedding in embeddings {
        let bytes: [u8; DIMENSIONS] = embedding.map(i8::cast_unsigned);
        out.write_all(&bytes)?;
    }
    Ok(out.flush()?)
}
