use std::collections::BTreeSet;

use palm_models::template::{Hand, ModelVersion};

use super::*;
use crate::{
    entropy::SeededEntropy,
    gallery::sealed::{
        Packing,
        block::Kind,
        fixture::{code, key, record},
        keyholder::Keyholder,
    },
};

fn keyholder(epoch: u8) -> Keyholder {
    let kind = Kind {
        hand: Hand::Right,
        model: ModelVersion::WITH_SEARCH_CODE,
    };
    let mut keyholder = Keyholder::new(key(epoch), kind, Packing::Two);
    (0..3).for_each(|n| keyholder.enrol(record(n), &code(n, 341)).unwrap());
    keyholder
}

fn fresh(keyholder: &mut Keyholder) -> FreshBlock {
    let draft = keyholder.draft_any().unwrap();
    draft.encrypt(&SeededEntropy::new(1))
}

#[test]
fn blocks_are_read_back_the_latest_first_and_opened_by_their_keyholder() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(&place.path().join("gallery")).unwrap();
    let mut keyholder_1 = keyholder(1);
    let epoch = keyholder_1.epoch();
    for _ in 0..3 {
        folder.keep(&fresh(&mut keyholder_1)).unwrap();
    }
    folder.keep(&fresh(&mut keyholder(2))).unwrap();
    let ids = folder.blocks(epoch).unwrap();
    assert_eq!(ids, [BlockId(2), BlockId(1), BlockId(0)]);
    let stored = folder.read(epoch, ids[0]).unwrap();
    let mut wanted: BTreeSet<_> = (0..3).map(record).collect();
    let live = keyholder_1.admit(stored.block.header(), &stored.directory, &mut wanted);
    assert_eq!((live.unwrap(), wanted.len()), (3, 0));

    assert_eq!(folder.delete_other_epochs(epoch).unwrap(), 1);
    assert_eq!(folder.blocks(keyholder(2).epoch()).unwrap(), []);
    folder.delete(epoch, ids[0]).unwrap();
    folder.delete(epoch, ids[0]).unwrap();
    assert_eq!(folder.blocks(epoch).unwrap(), ids[1..]);
}

#[test]
fn what_a_stop_left_unfinished_is_never_a_block() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let mut keyholder = keyholder(1);
    let fresh = fresh(&mut keyholder);
    folder.keep(&fresh).unwrap();
    let epoch = keyholder.epoch();
    let path = folder.path_of(epoch, BlockId(0));
    let whole = fs::read(&path).unwrap();
    // A stop while writing leaves the file under its other name, at any length.
    for length in [0, 91, 4_000_000, whole.len()] {
        fs::rename(&path, path.with_extension("unfinished")).unwrap();
        let file = File::options()
            .write(true)
            .open(path.with_extension("unfinished"));
        file.unwrap().set_len(length.try_into().unwrap()).unwrap();
        let folder = Folder::open(place.path()).unwrap();
        assert_eq!(folder.blocks(epoch).unwrap(), []);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
        folder.keep(&fresh).unwrap();
    }
    assert_eq!(fs::read(&path).unwrap(), whole);
}

#[test]
fn damaged_and_renamed_files_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let mut keyholder = keyholder(1);
    folder.keep(&fresh(&mut keyholder)).unwrap();
    let (epoch, id) = (keyholder.epoch(), BlockId(0));
    let path = folder.path_of(epoch, id);
    fs::copy(&path, folder.path_of(epoch, BlockId(7))).unwrap();
    let refused = folder.read(epoch, BlockId(7));
    assert!(matches!(refused, Err(SealedError::Forged)));
    let mut bytes = fs::read(&path).unwrap();
    bytes[1_000_000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let refused = folder.read(epoch, id);
    assert!(matches!(refused, Err(SealedError::Damaged)));
    fs::write(&path, &bytes[..1_000_000]).unwrap();
    let refused = folder.read(epoch, id);
    assert!(matches!(refused, Err(SealedError::Truncated)));
}
