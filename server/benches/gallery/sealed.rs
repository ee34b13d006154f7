//! The sealed gallery.

use std::{collections::BTreeSet, path::Path};

use palm_models::template::{Hand, ModelVersion, SearchCode};
use palm_server::{
    entropy::SystemEntropy,
    gallery::sealed::{
        Best, EpochKey, Packing, SealedGallery, block::Kind, folder::Folder, inexact_scores,
    },
    limits,
};
use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};

use crate::{
    Result,
    data::{People, capture, code, embedding, record},
    machine::Memory,
    peers::Comparison,
    report::{Stopwatch, Subject, number},
};

const EXACT_SCORES: usize = 100_000_000;
/// Codes that the keyholder gets to see after a search.
const KEEP: usize = 64;
/// Scans between two readings of what the memory gives.
const SCANS_A_READING: usize = 16;
/// Searches one after another for each group of them that go together.
const ALONE: usize = 24;
const REFERENCE_WEIGHT: usize = 341;
const ROW_BYTES: usize = 8192;
pub(crate) const KIND: Kind = Kind {
    hand: Hand::Right,
    model: ModelVersion::WITH_SEARCH_CODE,
};

pub(crate) fn name(packing: Packing) -> &'static str {
    match packing {
        Packing::Three => "sealed/3",
        Packing::Two => "sealed/2",
    }
}

pub(crate) fn exactness() -> Result<()> {
    let entropy = SystemEntropy::new();
    for packing in [Packing::Three, Packing::Two] {
        let (capacity, weight) = (packing.capacity(), packing.probe_weight_max());
        let codes: Vec<_> = (0..capacity)
            .map(|n| code(&embedding(n), REFERENCE_WEIGHT))
            .collect();
        let count = EXACT_SCORES.div_ceil(capacity);
        let probe = |n| code(&capture(n), weight);
        let probes: Vec<_> = (0..count).into_par_iter().map(probe).collect();
        let (scores, differing) = inexact_scores(packing, &codes, &probes, &entropy);
        let bench = format!("exact/{}", packing.per_word());
        let subject = Subject {
            bench: &bench,
            n: capacity,
            threads: 2,
        };
        subject.tell("scores", number(scores), "");
        subject.tell("differing", number(differing), "");
        if differing > 0 {
            return Err("scores differ from the plain ones".into());
        }
    }
    Ok(())
}

pub(crate) fn measure(people: &People, folder: &Path, bench: &mut Comparison) -> Result<()> {
    for packing in [Packing::Three, Packing::Two] {
        // The packing that the goals are for is measured with both numbers of threads.
        let threads: &[usize] = if packing == Packing::Three {
            &[1, 2]
        } else {
            &[2]
        };
        for &threads in threads {
            let subject = Subject {
                bench: name(packing),
                n: people.enrolled.len(),
                threads,
            };
            let gallery = filled(people, packing, subject)?;
            let probes: Vec<_> = people
                .probes
                .iter()
                .map(|(own, probe)| (*own, code(probe, packing.probe_weight_max())))
                .collect();
            let p50 = identify(&gallery, &probes, subject)?;
            bench.add(name(packing), threads, p50);
            scan(&gallery, &probes, subject)?;
            shared(&gallery, &probes, subject)?;
            parts(&gallery, &probes, subject)?;
            if threads == 2 {
                start_up(gallery, people, folder, subject)?;
            }
        }
    }
    Ok(())
}

fn pool(threads: usize) -> Result<ThreadPool> {
    Ok(ThreadPoolBuilder::new().num_threads(threads).build()?)
}

pub(crate) fn empty(packing: Packing, threads: usize) -> Result<SealedGallery> {
    Ok(SealedGallery::new(
        EpochKey::new([7; 32]),
        KIND,
        packing,
        palm_server::gallery::threads(threads)?,
    ))
}

fn filled(people: &People, packing: Packing, subject: Subject<'_>) -> Result<SealedGallery> {
    let entropy = SystemEntropy::new();
    let mut gallery = empty(packing, subject.threads)?;
    let codes: Vec<SearchCode> = people
        .enrolled
        .par_iter()
        .map(|own| code(own, REFERENCE_WEIGHT))
        .collect();
    let watch = Stopwatch::start();
    for (n, code) in codes.iter().enumerate() {
        gallery.enrol(record(n), code)?;
        if let Some(draft) = gallery.draft() {
            let fresh = gallery.encrypt(draft, &entropy);
            gallery.publish(fresh);
        }
    }
    subject.tell("enrol", number(codes.len()) / watch.ms() * 1e3, "1/s");
    // So that every code is searched as ciphertext.
    while let Some(draft) = gallery.draft_any() {
        let fresh = gallery.encrypt(draft, &entropy);
        gallery.publish(fresh);
    }
    let bytes: usize = gallery.blocks().map(|block| block.size()).sum();
    subject.tell("bytes", number(bytes) / number(codes.len()), "B/template");
    Ok(gallery)
}

fn identify(
    gallery: &SealedGallery,
    probes: &[(usize, SearchCode)],
    subject: Subject<'_>,
) -> Result<f64> {
    let mut times = Vec::new();
    for (own, probe) in probes {
        let watch = Stopwatch::start();
        let found = gallery.search(probe, KEEP)?;
        times.push(watch.ms());
        if found[0].record != record(*own) {
            return Err("somebody who is enrolled was not found first".into());
        }
    }
    Ok(subject.tell_times("identify", &mut times))
}

/// What the matcher does, without the keyholder, against what the memory gives meanwhile.
fn scan(
    gallery: &SealedGallery,
    probes: &[(usize, SearchCode)],
    subject: Subject<'_>,
) -> Result<()> {
    let (pool, memory) = (pool(subject.threads)?, Memory::new());
    let blocks: Vec<_> = gallery.blocks().collect();
    let (mut times, mut rates) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for (at, (_, probe)) in probes.iter().enumerate() {
        if at % SCANS_A_READING == 0 {
            rates.push(memory.bandwidth(&pool));
        }
        let probe = [gallery.keyholder().probe(probe)?];
        bytes = blocks.len() * ROW_BYTES * probe[0].rows();
        let watch = Stopwatch::start();
        pool.install(|| {
            blocks.par_iter().for_each(|block| {
                std::hint::black_box(block.sums_of(&probe));
            });
        });
        times.push(watch.ms());
    }
    let p50 = subject.tell_times("scan", &mut times);
    rates.sort_by(f64::total_cmp);
    let (best, middle) = (rates[rates.len() - 1], rates[rates.len() / 2]);
    let rate = |ms: f64| number(bytes) / ms / 1e6;
    subject.tell("memory_best", best, "GB/s");
    subject.tell("memory_p50", middle, "GB/s");
    subject.tell("scan_rate_p50", rate(p50), "GB/s");
    subject.tell("scan_of_memory_p50", 100.0 * rate(p50) / middle, "%");
    subject.tell("scan_of_memory_best", 100.0 * rate(times[0]) / best, "%");
    Ok(())
}

/// Many at once against one after another, in turn.
fn shared(
    gallery: &SealedGallery,
    probes: &[(usize, SearchCode)],
    subject: Subject<'_>,
) -> Result<()> {
    let (mut each, mut alone) = (Vec::new(), Vec::new());
    for group in probes.chunks_exact(limits::SEARCHES_TOGETHER) {
        for (_, probe) in &group[..ALONE] {
            let watch = Stopwatch::start();
            std::hint::black_box(gallery.search(probe, KEEP)?);
            alone.push(watch.ms());
        }
        let codes: Vec<_> = group.iter().map(|(_, probe)| probe).collect();
        let watch = Stopwatch::start();
        let found = gallery.search_all(&codes, KEEP)?;
        each.push(watch.ms() / number(group.len()));
        let all_found = found
            .iter()
            .zip(group)
            .all(|(found, (own, _))| found[0].record == record(*own));
        if !all_found {
            return Err("somebody who is enrolled was not found first in a shared scan".into());
        }
    }
    let middle = subject.tell_times("shared_each", &mut each);
    subject.tell("shared_rate", 1e3 / middle, "1/s");
    alone.sort_by(f64::total_cmp);
    let ratio = alone[alone.len() / 2] / middle;
    subject.tell("shared_rate_per_unshared_rate", ratio, "ratio");
    let ratio = alone[0] / each[0];
    subject.tell("shared_rate_per_unshared_rate_best", ratio, "ratio");
    Ok(())
}

/// What one block costs each role, alone, in one thread.
fn parts(
    gallery: &SealedGallery,
    probes: &[(usize, SearchCode)],
    subject: Subject<'_>,
) -> Result<()> {
    let block = gallery.blocks().next().ok_or("the gallery is empty")?;
    let probes: Vec<_> = probes
        .iter()
        .map(|(_, probe)| gallery.keyholder().probe(probe))
        .collect::<std::result::Result<_, _>>()?;
    let (mut cached, mut read) = (Vec::new(), Vec::new());
    for probes in probes.chunks_exact(limits::SEARCHES_TOGETHER) {
        let watch = Stopwatch::start();
        let sums = block.sums_of(probes);
        cached.push(watch.ms() * 1e3 / number(probes.len()));
        for (probe, sums) in probes.iter().zip(&sums) {
            let query = gallery.keyholder().query(probe);
            let mut best = Best::new(KEEP);
            gallery.keyholder().rank(&query, sums, &mut best)?;
            let watch = Stopwatch::start();
            gallery.keyholder().rank(&query, sums, &mut best)?;
            read.push(watch.ms() * 1e3);
        }
    }
    let middle = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    subject.tell("block_shared_sums", middle(&mut cached), "us");
    subject.tell("block_scores", middle(&mut read), "us");
    Ok(())
}

/// Writes the gallery to disk, forgets it, and reads it until it answers.
fn start_up(
    gallery: SealedGallery,
    people: &People,
    folder: &Path,
    subject: Subject<'_>,
) -> Result<()> {
    let place = folder.join("blocks");
    let disk = Folder::open(&place)?;
    let (n, packing) = (
        people.enrolled.len(),
        gallery.blocks().next().map(|b| b.header().packing),
    );
    let packing = packing.ok_or("the gallery is empty")?;
    let epoch = gallery.keyholder().epoch();
    drop(gallery);
    let entropy = SystemEntropy::new();
    let mut gallery = empty(packing, subject.threads)?;
    let mut writing = 0.0;
    for (n, own) in people.enrolled.iter().enumerate() {
        gallery.enrol(record(n), &code(own, REFERENCE_WEIGHT))?;
        if let Some(draft) = gallery.draft() {
            let fresh = gallery.encrypt(draft, &entropy);
            let watch = Stopwatch::start();
            disk.keep(&fresh)?;
            writing += watch.ms();
            gallery.publish(fresh);
        }
    }
    drop(gallery);
    subject.tell("write_blocks", writing, "ms");
    let watch = Stopwatch::start();
    let mut wanted: BTreeSet<_> = (0..n).map(record).collect();
    let mut gallery = empty(packing, subject.threads)?;
    gallery.load(&disk, &mut wanted)?;
    let left: Vec<_> = (0..n).filter(|n| wanted.contains(&record(*n))).collect();
    for n in left {
        gallery.enrol(record(n), &code(&people.enrolled[n], REFERENCE_WEIGHT))?;
    }
    let (own, probe) = &people.probes[0];
    let found = gallery.search(&code(probe, packing.probe_weight_max()), 1)?;
    subject.tell("start_up", watch.ms(), "ms");
    if found[0].record != record(*own) {
        return Err("the gallery that was read does not find who is enrolled".into());
    }
    for id in disk.blocks(epoch)? {
        disk.delete(epoch, id)?;
    }
    Ok(())
}
