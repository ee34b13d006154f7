use super::*;
use crate::{
    entropy::SeededEntropy,
    gallery::sealed::{
        fixture::{code, key, record},
        keyholder::Keyholder,
    },
};

const KIND: Kind = Kind {
    hand: Hand::Left,
    model: ModelVersion::WITH_SEARCH_CODE,
};

fn block() -> Block {
    let mut keyholder = Keyholder::new(key(1), KIND, Packing::Two);
    (0..5).for_each(|n| keyholder.enrol(record(n), &code(n, 341)).unwrap());
    let draft = keyholder.draft_any().unwrap();
    draft.encrypt(&SeededEntropy::new(1)).block
}

fn written(block: &Block) -> Vec<u8> {
    let mut bytes = Vec::new();
    block.write_to(&mut bytes).unwrap();
    bytes
}

#[test]
fn block_is_read_as_it_was_written() {
    let block = block();
    let bytes = written(&block);
    assert_eq!(bytes.len(), 92 + 512 * 2048 * 4);
    assert_eq!(bytes[..8], *b"OPGB\x01\x02\x01\x02");
    let back = Block::read_from(&mut bytes.as_slice()).unwrap();
    assert_eq!(back.header(), block.header());
    assert_eq!(back.rows, block.rows);
    assert_eq!(back.header().count(), 5);
    fuzz_block(&bytes);
}

#[test]
fn what_is_wrong_is_named() {
    let bytes = written(&block());
    let with = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        Block::read_from(&mut bytes.as_slice()).map(drop)
    };
    for (at, value) in [(0, 0), (4, 2), (5, 4), (6, 2), (7, 9), (26, 1)] {
        assert!(
            matches!(with(at, value), Err(SealedError::Format)),
            "byte {at}"
        );
    }
    assert!(matches!(
        with(bytes.len() - 1, !bytes[bytes.len() - 1]),
        Err(SealedError::Damaged)
    ));
    for length in [0, 91, 92, bytes.len() - 1] {
        let cut = Block::read_from(&mut &bytes[..length]).map(drop);
        assert!(matches!(cut, Err(SealedError::Truncated)), "{length} bytes");
    }
}
