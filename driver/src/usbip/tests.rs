use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::descriptors::{
    Descriptors, Interface, READER_DFU, READER_EVENTS, READER_IN, READER_OUT,
};
use super::wire::{Command, HEADER_LEN, Reply, WireError};
use super::{Refusal, Server, Setup, UsbIpTransport};
use crate::dfu::request;
use crate::protocol::{CONTROL_INFO, HEADER_LEN as PACKET_HEADER_LEN, Info};
use crate::transport::{Control, Recovery, Transport, TransportError};
use crate::{
    BurstPlan, CancelToken, EmulatorHandle, Event, Frame, HandState, Reader, ReaderError, Signal,
    TestPattern, Trust,
};

const NONCE: [u8; 16] = [9; 16];
const PATIENCE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(30);

/// An emulated reader at the device's end of a cable, the driver at the host's.
fn cabled(width: u32, height: u32) -> (EmulatorHandle, Server, UsbIpTransport) {
    let emulator = EmulatorHandle::new(Box::new(TestPattern::new(width, height)));
    let (server, transport) = plug(&emulator);
    (emulator, server, transport)
}

fn plug(emulator: &EmulatorHandle) -> (Server, UsbIpTransport) {
    let (device, host) = UnixStream::pair().unwrap();
    let server = Server::start(emulator.gadget().unwrap(), device).unwrap();
    (server, UsbIpTransport::connect(host).unwrap())
}

fn plan() -> BurstPlan {
    BurstPlan::coded([1, 2, 3, 4, 5, 6, 7, 8])
}

fn capture(reader: &mut Reader) -> Result<Vec<Frame>, ReaderError> {
    reader.capture(&plan(), NONCE, PATIENCE, &CancelToken::new())
}

fn pixels(frames: &[Frame]) -> Vec<&[u8]> {
    frames.iter().map(Frame::pixels).collect()
}

#[test]
fn burst_over_urbs_is_the_burst_in_process() {
    let straight = EmulatorHandle::new(Box::new(TestPattern::new(72, 100)));
    straight.run_line("PALM 7").unwrap();
    let mut reader = Reader::open(
        Box::new(straight.transport().unwrap()),
        &Trust::development(),
    )
    .unwrap();
    let expected = capture(&mut reader).unwrap();

    let (emulator, _server, transport) = cabled(72, 100);
    emulator.run_line("PALM 7").unwrap();
    let mut reader = Reader::open(Box::new(transport), &Trust::development()).unwrap();
    assert_eq!(reader.info().serial, "EMULATED-1");
    let frames = capture(&mut reader).unwrap();
    assert_eq!(pixels(&frames), pixels(&expected));
    reader.signal(Signal::Captured).unwrap();
    assert!(emulator.shown().is_some());
}

#[test]
fn message_of_whole_packets_ends_with_an_empty_one() {
    let overhead = u32::try_from(PACKET_HEADER_LEN).unwrap() + 36;
    // Every length from 3.9 to 4 USB packets, whatever a frame's message holds besides its pixels.
    for width in 2048 - overhead - 40..=2048 - overhead + 2 {
        let (emulator, _server, transport) = cabled(width, 1);
        emulator.run_line("PALM 7").unwrap();
        let mut reader = Reader::open(Box::new(transport), &Trust::development()).unwrap();
        let frames = capture(&mut reader).unwrap();
        assert_eq!(frames.len(), 5, "{width}");
    }
}

#[test]
fn events_arrive_and_silence_is_a_timeout_that_loses_nothing() {
    let (emulator, _server, transport) = cabled(8, 8);
    let mut reader = Reader::open(Box::new(transport), &Trust::development()).unwrap();
    assert_eq!(
        reader.next_event(PATIENCE),
        Ok(Some(Event::Hand(HandState::Absent)))
    );
    assert_eq!(reader.next_event(SHORT), Ok(None));
    emulator.run_line("BUTTON").unwrap();
    assert_eq!(reader.next_event(PATIENCE), Ok(Some(Event::Button)));
}

#[test]
fn stall_is_cleared_and_the_burst_taken_again() {
    let (emulator, _server, transport) = cabled(64, 48);
    let mut reader = Reader::open(Box::new(transport), &Trust::development()).unwrap();
    emulator.run_script("PALM 7\nSTALL 4").unwrap();
    assert_eq!(capture(&mut reader).unwrap().len(), 5);
}

#[test]
fn halted_endpoint_says_so_until_it_is_cleared() {
    let (emulator, _server, mut transport) = cabled(8, 8);
    emulator.run_line("STALL").unwrap();
    assert_eq!(
        transport.bulk_out(&[1, 2, 3], PATIENCE),
        Err(TransportError::Stalled)
    );
    assert_eq!(
        transport.bulk_in(PATIENCE).unwrap_err(),
        TransportError::Stalled
    );
    transport.recover(Recovery::ClearHalt).unwrap();
    transport.bulk_out(&[1, 2, 3], PATIENCE).unwrap();
    // Three bytes are no packet: refused by the firmware, in whole.
    assert!(transport.bulk_in(PATIENCE).unwrap().last);
}

#[test]
fn sleeping_reader_times_out_and_the_transfer_is_taken_back() {
    let (emulator, _server, mut transport) = cabled(8, 8);
    emulator.run_line("SLEEP 600000").unwrap();
    let info = Control::In {
        request: CONTROL_INFO,
        value: 0,
        length: 88,
    };
    assert_eq!(
        transport.control(info, SHORT),
        Err(TransportError::TimedOut)
    );
    assert_eq!(
        transport.bulk_in(SHORT).unwrap_err(),
        TransportError::TimedOut
    );
    // The port reset wakes it.
    transport.recover(Recovery::Reset).unwrap();
    let bytes = transport.control(info, PATIENCE).unwrap();
    assert_eq!(Info::parse(&bytes).unwrap().serial, "EMULATED-1");
}

#[test]
fn unknown_request_is_stalled() {
    let (_emulator, _server, mut transport) = cabled(8, 8);
    let unknown = Control::In {
        request: 0x77,
        value: 0,
        length: 8,
    };
    assert_eq!(
        transport.control(unknown, PATIENCE),
        Err(TransportError::Stalled)
    );
}

#[test]
fn unplugged_at_any_transfer_the_reader_is_gone_and_comes_back() {
    let mut gone = 0;
    loop {
        let (emulator, server, transport) = cabled(64, 48);
        let script = format!("PALM 7\nUNPLUG {}", gone + 1);
        emulator.run_script(&script).unwrap();
        let outcome = Reader::open(Box::new(transport), &Trust::development())
            .and_then(|mut reader| capture(&mut reader));
        if outcome.is_ok() {
            break;
        }
        assert_eq!(outcome.map(drop), Err(ReaderError::Gone), "{gone}");
        drop(server);
        emulator.run_script("PLUG\nPALM 7").unwrap();
        let (_server, transport) = plug(&emulator);
        let mut reader = Reader::open(Box::new(transport), &Trust::development()).unwrap();
        assert_eq!(capture(&mut reader).unwrap().len(), 5, "{gone}");
        gone += 1;
    }
    // HELLO out and in, ARM out and in, CAPTURE out, five frames and the end of the capture in, at least.
    assert!(gone >= 11, "{gone}");
}

#[test]
fn unplugged_while_idle_a_waiting_read_ends_at_once() {
    let (emulator, server, mut transport) = cabled(8, 8);
    let waiting = std::thread::spawn(move || transport.interrupt_in(PATIENCE).map(<[u8]>::to_vec));
    emulator.run_line("UNPLUG").unwrap();
    assert_eq!(waiting.join().unwrap(), Err(TransportError::Disconnected));
    drop(server);
}

#[test]
fn claimed_reader_has_no_second_gadget_until_the_cable_is_gone() {
    let (emulator, server, transport) = cabled(8, 8);
    assert!(emulator.gadget().is_none());
    drop(transport);
    drop(server);
    assert!(emulator.gadget().is_some());
}

#[test]
fn host_that_is_no_usbip_host_is_hung_up_on() {
    let emulator = EmulatorHandle::new(Box::new(TestPattern::new(8, 8)));
    let (device, mut host) = UnixStream::pair().unwrap();
    let _server = Server::start(emulator.gadget().unwrap(), device).unwrap();
    host.write_all(&[0x77; HEADER_LEN]).unwrap();
    assert_eq!(host.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn device_that_sends_more_than_asked_is_hung_up_on() {
    let (mut device, host) = UnixStream::pair().unwrap();
    let connecting = std::thread::spawn(move || UsbIpTransport::connect(host).map(drop));
    let mut header = [0; HEADER_LEN];
    device.read_exact(&mut header).unwrap();
    let Ok(Command::Submit {
        sequence, length, ..
    }) = Command::parse(&header)
    else {
        panic!("no transfer")
    };
    let reply = Reply::Submit {
        sequence,
        status: 0,
        length: length + 1,
    };
    device.write_all(&reply.encode()).unwrap();
    assert_eq!(
        connecting.join().unwrap(),
        Err(TransportError::Disconnected)
    );
}

#[test]
fn headers_are_read_as_they_are_written() {
    let setup = Setup {
        request_type: 0x80,
        request: 6,
        value: 0x0100,
        index: 0,
        length: 18,
    };
    assert_eq!(Setup::parse(setup.encode()), setup);
    let command = Command::Submit {
        sequence: 7,
        device: 0x10002,
        endpoint: 0x85,
        length: 1 << 20,
        setup,
    };
    assert_eq!(Command::parse(&command.encode()), Ok(command));
    assert_eq!(
        command.encode()[..24],
        [
            0, 0, 0, 1, 0, 0, 0, 7, 0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 0
        ]
    );
    let mut isochronous = command.encode();
    isochronous[35] = 8;
    assert_eq!(Command::parse(&isochronous), Err(WireError::Isochronous));
    let mut long = command.encode();
    long[24] = 0xff;
    assert_eq!(Command::parse(&long), Err(WireError::Length(0xff10_0000)));
    assert_eq!(Reply::parse(&command.encode()), Err(WireError::Kind(1)));
}

#[test]
fn reader_descriptors_are_those_of_the_protocol() {
    let reader = Descriptors::reader("A-1");
    assert_eq!(reader.device, vector("DEVICE_DESCRIPTOR"));
    // Endpoint addresses are a maker's to choose.
    let mut configuration = vector("CONFIGURATION_DESCRIPTOR");
    for (at, address) in [(20, READER_OUT), (27, READER_IN), (34, READER_EVENTS)] {
        configuration[at] = address;
    }
    assert_eq!(reader.configuration, configuration);
    assert_eq!(reader.bos, vector("BOS_DESCRIPTOR"));
    assert_eq!(reader.ms_os, vector("MS_OS_DESCRIPTOR"));
    let loader = Descriptors::loader("A-1");
    assert_eq!(loader.device, vector("DFU_DEVICE_DESCRIPTOR"));
    assert_eq!(loader.configuration, vector("DFU_CONFIGURATION_DESCRIPTOR"));
    assert_eq!(loader.bos, vector("DFU_BOS_DESCRIPTOR"));
    assert_eq!(loader.ms_os, vector("DFU_MS_OS_DESCRIPTOR"));
    let serial = [8, 3, b'A', 0, b'-', 0, b'1', 0];
    for descriptors in [reader, loader] {
        assert_eq!(descriptors.answer(3, 3).unwrap(), serial);
        assert_eq!(descriptors.answer(3, 4), None);
    }
}

#[test]
fn reader_at_work_and_in_dfu_mode_are_two_devices() {
    let emulator = EmulatorHandle::new(Box::new(TestPattern::new(8, 8)));
    let mut gadget = emulator.gadget().unwrap();
    let setup = |request_type, request, index| Setup {
        request_type,
        request,
        value: 0,
        index,
        length: 6,
    };
    let detach = setup(0x21, request::DETACH, u16::from(READER_DFU));
    assert_eq!(gadget.control(detach, &[]), Some(Err(Refusal::Stall)));
    drop(gadget);
    let transport = Box::new(emulator.transport().unwrap());
    let mut reader = Reader::open(transport, &Trust::development()).unwrap();
    reader.allow_update().unwrap();
    drop(reader);
    let mut gadget = emulator.gadget().unwrap();
    assert_eq!(gadget.control(detach, &[]), Some(Ok(Vec::new())));
    assert!(!gadget.is_plugged(), "it left the bus");
    assert_eq!(gadget.control(detach, &[]), Some(Err(Refusal::Gone)));
    let mut loader = emulator.gadget().unwrap();
    assert_eq!(loader.descriptors(), &Descriptors::loader("EMULATED-1"));
    let status = setup(0xa1, request::GETSTATUS, 0);
    let idle = vec![0, 0, 0, 0, 2, 0];
    assert_eq!(loader.control(status, &[]), Some(Ok(idle.clone())));
    loader.restart();
    assert_eq!(loader.control(status, &[]), Some(Ok(idle)), "enumerated");
    let info = setup(0xc1, CONTROL_INFO, 0);
    assert_eq!(loader.control(info, &[]), Some(Err(Refusal::Stall)));
    assert!(emulator.transport().is_none() && emulator.address().is_none());
}

/// Bytes of a vector of the specification.
fn vector(name: &str) -> Vec<u8> {
    let (_, after) = include_str!("../../PROTOCOL.md")
        .split_once(&format!("Vector `{name}`"))
        .unwrap();
    let block = after.split("```").nth(1).unwrap().split_whitespace();
    block
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

#[test]
fn damaged_configuration_ends_where_it_is_damaged() {
    let whole = Descriptors::reader("A-1").configuration;
    for length in 0..whole.len() {
        assert!(Interface::parse_all(&whole[..length]).len() <= 2);
    }
    let mut zero = whole;
    zero[9] = 0; // the interface's own length
    assert!(Interface::parse_all(&zero).is_empty());
}
