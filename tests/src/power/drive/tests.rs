use super::*;

const SECTORS: usize = 64;

fn drive(seed: u64) -> Drive {
    Drive::new(vec![0; SECTORS * SECTOR], seed)
}

fn filled(byte: u8, sectors: usize) -> Vec<u8> {
    vec![byte; sectors * SECTOR]
}

fn first(drive: &Drive, sector: usize) -> u8 {
    drive.read((sector * SECTOR) as u64, SECTOR).unwrap()[0]
}

#[test]
fn what_was_flushed_or_forced_outlasts_every_cut() {
    for seed in 0..200 {
        let mut drive = drive(seed);
        drive.write(0, &filled(1, 8), false).unwrap();
        drive.write(0, &filled(2, 4), false).unwrap();
        drive.flush();
        let forced = (8 * SECTOR) as u64;
        drive.write(forced, &filled(3, 1), false).unwrap();
        drive.write(forced, &filled(4, 1), true).unwrap();
        drive.cut();
        let expected = [2, 2, 2, 2, 1, 1, 1, 1, 4];
        assert_eq!(expected, std::array::from_fn(|n| first(&drive, n)));
    }
}

#[test]
fn what_was_not_flushed_is_lost_torn_kept_and_reordered() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..2_000 {
        let mut drive = drive(seed);
        drive.write(0, &filled(1, 2), false).unwrap();
        drive.write(0, &filled(2, 2), false).unwrap();
        assert_eq!(first(&drive, 0), 2, "before the cut the last is read");
        let damage = drive.cut();
        assert_eq!(damage.lost + damage.torn + damage.kept, 2);
        let left = (first(&drive, 0), first(&drive, 1));
        seen.insert(left);
        drive.cut();
        assert_eq!(left, (first(&drive, 0), first(&drive, 1)));
    }
    // Each sector is what it was, or either of the two: all nine together.
    assert_eq!(seen.len(), 9, "{seen:?}");
}

#[test]
fn the_same_seed_and_writes_leave_the_same() {
    let left = |seed| {
        let mut drive = drive(seed);
        for n in 0..SECTORS {
            drive
                .write((n * SECTOR) as u64, &filled(1, 1), false)
                .unwrap();
        }
        drive.cut();
        drive.read(0, SECTORS * SECTOR).unwrap().to_vec()
    };
    assert_eq!(left(5), left(5));
    assert_ne!(left(5), left(7));
}

#[test]
fn a_drive_that_lies_loses_what_was_flushed_and_forced() {
    let is_lost = |seed| {
        let mut drive = drive(seed);
        drive.lie();
        drive.write(0, &filled(1, 1), true).unwrap();
        drive.flush();
        drive.cut();
        first(&drive, 0) == 0
    };
    assert!((0..50).any(is_lost));
}

#[test]
fn a_range_outside_or_within_a_sector_is_refused() {
    let mut drive = drive(0);
    let end = (SECTORS * SECTOR) as u64;
    for (offset, length) in [(end, SECTOR), (0, 100), (100, SECTOR), (u64::MAX, SECTOR)] {
        assert_eq!(drive.read(offset, length), Err(OutOfRange));
        let data = vec![0; length];
        assert_eq!(drive.write(offset, &data, false), Err(OutOfRange));
    }
}
