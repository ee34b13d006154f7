//! Descriptors: what a device says of itself, written and read.
//!
//! The reader's are those of `driver/PROTOCOL.md`, section 1, at work and in DFU mode: a vendor interface with bulk
//! OUT, bulk IN and interrupt IN, a DFU interface, and the binary object store that makes Windows load WinUSB without a
//! driver file (Microsoft OS 2.0 descriptors).

use crate::dfu::{DFU_CLASS, LOADER_PRODUCT_ID, Mode};
use crate::limits::{BULK_PACKET_LEN, DESCRIPTORS_MAX, DFU_BLOCK_LEN};
use crate::protocol::EVENT_LEN;
use crate::usb::{INTERFACE_CLASS, PRODUCT_ID, VENDOR_ID};

/// Bulk OUT of the emulated reader. The driver reads addresses from descriptors; these are deliberately not 1 and 2.
pub const READER_OUT: u8 = 0x03;
/// Bulk IN of the emulated reader.
pub const READER_IN: u8 = 0x85;
/// Interrupt IN of the emulated reader.
pub const READER_EVENTS: u8 = 0x82;
/// Number of the DFU interface of the emulated reader at work; in DFU mode it is the only one, 0.
pub const READER_DFU: u8 = 1;
/// `bRequest` of the vendor request (recipient: device) that reads the Microsoft OS 2.0 descriptor set.
pub const MS_OS_VENDOR_CODE: u8 = 0x4d;

const DEVICE: u8 = 1;
const CONFIGURATION: u8 = 2;
const STRING: u8 = 3;
const INTERFACE: u8 = 4;
const ENDPOINT: u8 = 5;
const BOS: u8 = 15;
const DEVICE_CAPABILITY: u8 = 16;
const DFU_FUNCTIONAL: u8 = 0x21;

/// Transfer type in an endpoint descriptor.
pub const BULK: u8 = 2;
/// Transfer type in an endpoint descriptor.
pub const INTERRUPT: u8 = 3;

/// "MS OS 2.0 platform capability", {D8DD60DF-4589-4CC7-9CD2-659D9E648A9F}, in wire order.
const MS_OS_UUID: [u8; 16] = [
    0xdf, 0x60, 0xdd, 0xd8, 0x89, 0x45, 0xc7, 0x4c, 0x9c, 0xd2, 0x65, 0x9d, 0x9e, 0x64, 0x8a, 0x9f,
];
/// Windows 8.1, the first that reads them.
const WINDOWS_VERSION: [u8; 4] = [0x00, 0x00, 0x03, 0x06];
/// Under which programs on Windows find readers.
const INTERFACE_GUID: &str = "{6B1C4C57-0E0C-4E5B-9B1F-6F70656E706D}";

/// What a device says of itself, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptors {
    /// Device descriptor, 18 bytes.
    pub device: Vec<u8>,
    /// The one configuration, with all that belongs to it.
    pub configuration: Vec<u8>,
    /// Binary object store; empty: none.
    pub bos: Vec<u8>,
    /// Microsoft OS 2.0 descriptor set; empty: none.
    pub ms_os: Vec<u8>,
    /// Strings from index 1 on.
    pub strings: Vec<String>,
}

impl Descriptors {
    /// Those of a reader at work with this serial number.
    #[must_use]
    pub fn reader(serial: &str) -> Self {
        let (class, subclass, protocol) = INTERFACE_CLASS;
        let packet = u16::try_from(BULK_PACKET_LEN).unwrap_or(512);
        let event = u16::try_from(EVENT_LEN).unwrap_or(16);
        let mut parts = interface(0, 3, [class, subclass, protocol]);
        parts.extend(endpoint(READER_OUT, BULK, packet, 0));
        parts.extend(endpoint(READER_IN, BULK, packet, 0));
        // 2^(4-1) microframes: a hand is noticed within a millisecond.
        parts.extend(endpoint(READER_EVENTS, INTERRUPT, event, 4));
        parts.extend(dfu(READER_DFU, Mode::RunTime));
        let own = [winusb(), interface_guid()].concat();
        let functions = [subset(2, 0, &own), subset(2, READER_DFU, &winusb())].concat();
        Self {
            device: device(VENDOR_ID, PRODUCT_ID, [0, 0, 0]),
            configuration: configured(2, REMOTE_WAKEUP, 500, &parts),
            ..Self::windows(&subset(1, 0, &functions), serial)
        }
    }

    /// Those of a reader in DFU mode.
    #[must_use]
    pub fn loader(serial: &str) -> Self {
        Self {
            device: device(VENDOR_ID, LOADER_PRODUCT_ID, [0, 0, 0]),
            configuration: configured(1, BUS_POWERED, 100, &dfu(0, Mode::Loader)),
            ..Self::windows(&winusb(), serial)
        }
    }

    /// What both have: strings, and a Microsoft OS 2.0 set of these features with the store that names it.
    fn windows(features: &[u8], serial: &str) -> Self {
        let total = short(10 + features.len());
        let ms_os = [&[10, 0, 0, 0][..], &WINDOWS_VERSION, &total, features].concat();
        Self {
            device: Vec::new(),
            configuration: Vec::new(),
            bos: bos(&ms_os),
            ms_os,
            strings: vec![
                "OpenPalm".to_owned(),
                "Palm reader".to_owned(),
                serial.to_owned(),
            ],
        }
    }

    /// The answer to GET_DESCRIPTOR, or `None`: stall.
    #[must_use]
    pub fn answer(&self, kind: u8, index: u8) -> Option<Vec<u8>> {
        match (kind, index) {
            (DEVICE, 0) => Some(self.device.clone()),
            (CONFIGURATION, 0) => Some(self.configuration.clone()),
            (BOS, 0) if !self.bos.is_empty() => Some(self.bos.clone()),
            (STRING, 0) => Some(vec![4, STRING, 0x09, 0x04]), // English is all there is.
            (STRING, index) => self
                .strings
                .get(usize::from(index) - 1)
                .map(|text| string(text)),
            _ => None,
        }
    }

    /// Endpoints of the configuration.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointInfo> {
        Interface::parse_all(&self.configuration)
            .into_iter()
            .flat_map(|interface| interface.endpoints)
            .collect()
    }
}

/// A device descriptor of USB 2.1 (which announces a binary object store) with strings 1, 2 and 3.
#[must_use]
pub fn device(vendor: u16, product: u16, class: [u8; 3]) -> Vec<u8> {
    let mut bytes = vec![18, DEVICE, 0x10, 0x02];
    bytes.extend(class);
    bytes.push(64);
    bytes.extend(vendor.to_le_bytes());
    bytes.extend(product.to_le_bytes());
    bytes.extend([0x00, 0x01, 1, 2, 3, 1]); // release 1.00, strings, one configuration
    bytes
}

/// `bmAttributes` of a configuration: bus-powered.
pub const BUS_POWERED: u8 = 0x80;
/// `bmAttributes` of a configuration: bus-powered, can wake the host.
pub const REMOTE_WAKEUP: u8 = 0xa0;

/// A configuration descriptor over what belongs to it, for a device that draws at most `current_ma` (up to 510).
#[must_use]
pub fn configured(interfaces: u8, attributes: u8, current_ma: u16, parts: &[u8]) -> Vec<u8> {
    let [low, high] = short(9 + parts.len());
    let power = u8::try_from(current_ma / 2).unwrap_or(u8::MAX);
    let head = [9, CONFIGURATION, low, high, interfaces, 1, 0];
    [&head[..], &[attributes, power], parts].concat()
}

/// A DFU interface with its functional descriptor: can download, detaches by itself; DFU 1.1.
fn dfu(number: u8, mode: Mode) -> Vec<u8> {
    let (class, subclass) = DFU_CLASS;
    let mut bytes = interface(number, 0, [class, subclass, mode.protocol()]);
    let [low, high] = short(DFU_BLOCK_LEN);
    bytes.extend([9, DFU_FUNCTIONAL, 0x09, 0, 0, low, high, 0x10, 0x01]);
    bytes
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()
}

/// An interface descriptor: number, endpoints, class.
#[must_use]
pub fn interface(number: u8, endpoints: u8, [class, subclass, protocol]: [u8; 3]) -> Vec<u8> {
    let head = [9, INTERFACE, number, 0, endpoints];
    [&head[..], &[class, subclass, protocol, 0]].concat()
}

/// An endpoint descriptor: address, transfer type, packet size, interval.
#[must_use]
pub fn endpoint(address: u8, kind: u8, packet: u16, interval: u8) -> Vec<u8> {
    let [low, high] = packet.to_le_bytes();
    vec![7, ENDPOINT, address, kind, low, high, interval]
}

fn string(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text
        .encode_utf16()
        .take(126)
        .flat_map(u16::to_le_bytes)
        .collect();
    let length = u8::try_from(units.len() + 2).unwrap_or(u8::MAX);
    [&[length, STRING], &units[..]].concat()
}

fn bos(ms_os: &[u8]) -> Vec<u8> {
    let mut capability = vec![28, DEVICE_CAPABILITY, 5, 0];
    capability.extend(MS_OS_UUID);
    capability.extend(WINDOWS_VERSION);
    capability.extend(short(ms_os.len()));
    capability.extend([MS_OS_VENDOR_CODE, 0]);
    let mut bytes = vec![5, BOS, 33, 0, 1];
    bytes.extend(capability);
    bytes
}

/// A subset header over its features: kind 1, of the configuration with this index; kind 2, of the function whose first
/// interface has this number.
fn subset(kind: u8, which: u8, features: &[u8]) -> Vec<u8> {
    let [low, high] = short(8 + features.len());
    [&[8, 0, kind, 0, which, 0, low, high][..], features].concat()
}

/// Compatible id: Windows loads WinUSB.
fn winusb() -> Vec<u8> {
    [&[20, 0, 3, 0][..], b"WINUSB\0\0", &[0; 8]].concat()
}

/// Registry property: the name under which programs on Windows find readers.
fn interface_guid() -> Vec<u8> {
    let wide = |text: &str| -> Vec<u8> {
        let units = text.encode_utf16().chain([0]);
        units.flat_map(u16::to_le_bytes).collect()
    };
    let name = wide("DeviceInterfaceGUIDs");
    let mut value = wide(INTERFACE_GUID);
    value.extend([0, 0]); // REG_MULTI_SZ ends with an empty string
    let mut bytes = short(10 + name.len() + value.len()).to_vec();
    bytes.extend([4, 0, 7, 0]);
    bytes.extend(short(name.len()));
    bytes.extend(&name);
    bytes.extend(short(value.len()));
    bytes.extend(&value);
    bytes
}

/// One endpoint as a configuration descriptor tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointInfo {
    /// `bEndpointAddress`; bit 7 set: IN.
    pub address: u8,
    /// Transfer type: 0 control, 1 isochronous, 2 bulk, 3 interrupt.
    pub kind: u8,
    /// Bytes of the largest packet.
    pub packet: u16,
    /// `bInterval`.
    pub interval: u8,
    /// The interface it belongs to.
    pub interface: u8,
}

/// One interface (first setting) as a configuration descriptor tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// `bInterfaceNumber`.
    pub number: u8,
    /// Class, subclass, protocol.
    pub class: (u8, u8, u8),
    /// Its endpoints.
    pub endpoints: Vec<EndpointInfo>,
}

impl Interface {
    /// Reads a configuration descriptor. Damaged parts end the reading: what came before counts.
    #[must_use]
    pub fn parse_all(bytes: &[u8]) -> Vec<Self> {
        let mut interfaces: Vec<Self> = Vec::new();
        let mut rest = bytes.get(..DESCRIPTORS_MAX).unwrap_or(bytes);
        let mut skipping = false;
        while let Some((descriptor, after)) = split(rest) {
            rest = after;
            match *descriptor {
                [
                    _,
                    INTERFACE,
                    number,
                    setting,
                    _,
                    class,
                    subclass,
                    protocol,
                    ..,
                ] => {
                    skipping = setting != 0;
                    if !skipping {
                        interfaces.push(Self {
                            number,
                            class: (class, subclass, protocol),
                            endpoints: Vec::new(),
                        });
                    }
                }
                [_, ENDPOINT, address, attributes, low, high, interval, ..] if !skipping => {
                    if let Some(interface) = interfaces.last_mut() {
                        interface.endpoints.push(EndpointInfo {
                            address,
                            kind: attributes & 3,
                            packet: u16::from_le_bytes([low, high]) & 0x07ff,
                            interval,
                            interface: interface.number,
                        });
                    }
                }
                _ => {}
            }
        }
        interfaces
    }

    /// The first endpoint of this transfer type and direction.
    #[must_use]
    pub fn find(&self, kind: u8, is_in: bool) -> Option<EndpointInfo> {
        let mut endpoints = self.endpoints.iter();
        endpoints
            .find(|endpoint| endpoint.kind == kind && (endpoint.address & 0x80 != 0) == is_in)
            .copied()
    }
}

/// The next descriptor, by its own length.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(*bytes.first()?);
    if length < 2 {
        return None;
    }
    bytes.split_at_checked(length)
}

/// Reads arbitrary bytes as a configuration descriptor; must not panic.
#[doc(hidden)]
pub fn fuzz_descriptors(bytes: &[u8]) {
    for interface in Interface::parse_all(bytes) {
        assert!(interface.endpoints.len() <= DESCRIPTORS_MAX);
        let _ = interface.find(BULK, true);
    }
}
