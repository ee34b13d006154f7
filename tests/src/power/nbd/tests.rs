use super::*;

const SIZE: usize = 64 * 512;

/// A client that has shaken hands.
fn client(folder: &Path) -> (Export, UnixStream) {
    let line = folder.join("line");
    let export = Export::open(Drive::new(vec![0; SIZE], 1), &line).unwrap();
    let mut client = UnixStream::connect(line).unwrap();
    assert_eq!(take::<16>(&client).unwrap(), GREETING);
    assert_eq!(take::<2>(&client).unwrap(), HANDSHAKE_FLAGS.to_be_bytes());
    client.write_all(&[0, 0, 0, 0b11]).unwrap();
    // Structured replies, which it does not give; then the export without a name.
    for (option, data) in [(8_u32, vec![]), (OPTION_GO, vec![0; 6])] {
        client.write_all(&OPTION_MAGIC).unwrap();
        client.write_all(&option.to_be_bytes()).unwrap();
        client
            .write_all(&u32::try_from(data.len()).unwrap().to_be_bytes())
            .unwrap();
        client.write_all(&data).unwrap();
    }
    let reply = || {
        let magic = u64::from_be_bytes(take(&client).unwrap());
        assert_eq!(magic, OPTION_REPLY_MAGIC);
        let [option, kind] = [(); 2].map(|()| u32::from_be_bytes(take(&client).unwrap()));
        (option, kind, take_bytes(&client, 100).unwrap())
    };
    assert_eq!(reply(), (8, REPLY_UNSUPPORTED, vec![]));
    let (_, _, export_info) = reply();
    assert_eq!(export_info[2..10], (SIZE as u64).to_be_bytes());
    let (_, _, sizes) = reply();
    assert_eq!(sizes[2..6], 512_u32.to_be_bytes());
    assert_eq!(reply(), (OPTION_GO, REPLY_ACK, vec![]));
    (export, client)
}

fn ask(mut client: &UnixStream, kind: u16, offset: u64, length: u32, data: &[u8]) {
    let mut request = REQUEST_MAGIC.to_be_bytes().to_vec();
    request.extend(0_u16.to_be_bytes());
    request.extend(kind.to_be_bytes());
    request.extend(*b"a cookie");
    request.extend(offset.to_be_bytes());
    request.extend(length.to_be_bytes());
    request.extend(data);
    client.write_all(&request).unwrap();
}

fn answer(client: &UnixStream) -> u32 {
    assert_eq!(take::<4>(client).unwrap(), REPLY_MAGIC.to_be_bytes());
    let error = u32::from_be_bytes(take(client).unwrap());
    assert_eq!(take::<8>(client).unwrap(), *b"a cookie");
    error
}

#[test]
fn a_client_writes_flushes_and_reads_until_the_drive_goes_dark() {
    let folder = tempfile::tempdir().unwrap();
    let (export, client) = client(folder.path());
    ask(&client, WRITE, 512, 512, &[7; 512]);
    assert_eq!(answer(&client), 0);
    ask(&client, FLUSH, 0, 0, &[]);
    assert_eq!(answer(&client), 0);
    ask(&client, READ, 512, 512, &[]);
    assert_eq!(answer(&client), 0);
    assert_eq!(take::<512>(&client).unwrap(), [7; 512]);
    for (kind, offset, length) in [(READ, SIZE as u64, 512), (READ, 3, 512), (99, 0, 0)] {
        ask(&client, kind, offset, length, &[]);
        assert_eq!(answer(&client), INVALID);
    }
    export.darken(u64::MAX, Duration::ZERO);
    ask(&client, WRITE, 1024, 512, &[8; 512]);
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let drive = export.close().unwrap();
    assert_eq!(drive.read(512, 512).unwrap()[0], 7);
    assert_eq!(drive.read(1024, 512).unwrap()[0], 0);
}

#[test]
fn a_client_that_speaks_something_else_is_an_error_and_one_that_goes_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (export, mut line) = client(folder.path());
    line.write_all(&[0; 28]).unwrap();
    drop(line);
    assert!(export.close().is_err());
    let folder = tempfile::tempdir().unwrap();
    let (export, mut line) = client(folder.path());
    line.write_all(&REQUEST_MAGIC.to_be_bytes()).unwrap();
    drop(line);
    export.close().unwrap();
}
