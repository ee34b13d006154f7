use super::*;

/// What every store keeps to.
fn store_contract(store: &dyn Store) {
    assert_eq!(store.get(b"a").unwrap(), None);
    let mut batch = Batch::new();
    for key in ["list/1", "list/2", "list/3", "list0", "lisq"] {
        batch.put(key, key.to_uppercase());
    }
    store.commit(&batch).unwrap();
    assert_eq!(store.get(b"list/2").unwrap().unwrap(), b"LIST/2");

    let keys = |after: Option<&[u8]>, limit| -> Vec<String> {
        let rows = store.scan(b"list/", after, limit).unwrap();
        let keys = store.keys(b"list/", after, limit).unwrap();
        assert!(rows.iter().map(|(key, _)| key).eq(&keys));
        rows.into_iter()
            .map(|(key, _)| String::from_utf8(key).unwrap())
            .collect()
    };
    assert_eq!(keys(None, 10), ["list/1", "list/2", "list/3"]);
    assert_eq!(keys(None, 2), ["list/1", "list/2"]);
    assert_eq!(keys(Some(b"list/2"), 10), ["list/3"]);
    assert_eq!(keys(Some(b"list/3"), 10), Vec::<String>::new());
    assert_eq!(
        keys(Some(b"a"), 1),
        ["list/1"],
        "a start before the prefix is its beginning"
    );

    let mut batch = Batch::new();
    batch.put("list/2", "first");
    batch.put("list/2", "last");
    batch.put("list/4", "gone again");
    batch.delete("list/4");
    batch.delete("list/1");
    batch.delete("never was");
    store.commit(&batch).unwrap();
    assert_eq!(keys(None, 10), ["list/2", "list/3"]);
    assert_eq!(store.get(b"list/2").unwrap().unwrap(), b"last");

    let mut batch = Batch::new();
    batch.put("good", "value");
    batch.put("large", vec![0; VALUE_MAX + 1]);
    assert!(matches!(store.commit(&batch), Err(StoreError::TooLarge)));
    assert_eq!(
        store.get(b"good").unwrap(),
        None,
        "nothing of a refused batch is written"
    );
    let mut batch = Batch::new();
    batch.put(vec![b'k'; KEY_MAX + 1], "value");
    assert!(matches!(store.commit(&batch), Err(StoreError::TooLarge)));
}

#[test]
fn memory_keeps_the_contract() {
    store_contract(&MemoryStore::new());
}

#[test]
fn sled_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    store_contract(&SledStore::open(folder.path()).unwrap());
}

#[test]
fn sled_finds_what_was_committed_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut batch = Batch::new();
    batch.put("key", "value");
    SledStore::open(folder.path())
        .unwrap()
        .commit(&batch)
        .unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    assert_eq!(store.get(b"key").unwrap().unwrap(), b"value");
}

#[test]
fn sled_folder_in_use_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let _first = SledStore::open(folder.path()).unwrap();
    assert!(matches!(
        SledStore::open(folder.path()),
        Err(StoreError::InUse)
    ));
}

#[test]
fn sled_puts_no_value_outside_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    for index in 0..200_u32 {
        let mut batch = Batch::new();
        batch.put(index.to_be_bytes(), vec![7; VALUE_MAX]);
        store.commit(&batch).unwrap();
    }
    let blobs = std::fs::read_dir(folder.path().join("blobs"));
    assert_eq!(blobs.map_or(0, Iterator::count), 0);
}

#[test]
fn sled_folder_that_is_a_file_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    assert!(matches!(
        SledStore::open(&file),
        Err(StoreError::Failed(..))
    ));
}
