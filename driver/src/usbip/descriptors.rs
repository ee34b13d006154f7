//! Descriptors: what a device says of itself, written and read.
//!
//! The reader's are those of `driver/PROTOCOL.md`, section 1: one vendor interface with bulk OUT, bulk IN and interrupt
//! IN, and the binary object store that makes Windows load WinUSB without a driver file (Microsoft OS 2.0 descriptors).

use crate::limits::{BULK_PACKET_LEN, DESCRIPTORS_MAX};
use crate::protocol::EVENT_LEN;
use crate::usb::{INTERFACE_CLASS, PRODUCT_ID, VENDOR_ID};

/// Bulk OUT of the emulated reader. The driver reads addresses from descriptors; these are deliberately not 1 and 2.
pub const READER_OUT: u8 = 0x03;
/// Bulk IN of the emulated reader.
pub const READER_IN: u8 = 0x85;
/// Interrupt IN of the emulated reader.
pub const READER_EVENTS: u8 = 0x82;
/// `bRequest` of the vendor request (recipient: device) that reads the Microsoft OS 2.0 descriptor set.
pub const MS_OS_VENDOR_CODE: u8 = 0x4d;

const DEVICE: u8 = 1;
const CONFIGURATION: u8 = 2;
const STRING: u8 = 3;
const INTERFACE: u8 = 4;
const ENDPOINT: u8 = 5;
const BOS: u8 = 15;
const DEVICE_CAPABILITY: u8 = 16;

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
    /// Those of a reader with this serial number.
    #[must_use]
    pub fn reader(serial: &str) -> Self {
        let (class, subclass, protocol) = INTERFACE_CLASS;
        let ms_os = ms_os_set();
        let packet = u16::try_from(BULK_PACKET_LEN).unwrap_or(512);
        let event = u16::try_from(EVENT_LEN).unwrap_or(16);
        let mut configuration = interface(0, 3, [class, subclass, protocol]);
        configuration.extend(endpoint(READER_OUT, BULK, packet, 0));
        configuration.extend(endpoint(READER_IN, BULK, packet, 0));
        // 2^(4-1) microframes: a hand is noticed within a millisecond.
        configuration.extend(endpoint(READER_EVENTS, INTERRUPT, event, 4));
        Self {
            device: device(VENDOR_ID, PRODUCT_ID, [0, 0, 0]),
            configuration: configured(1, &configuration),
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

/// A configuration descriptor over what belongs to it: bus-powered, 500 mA.
#[must_use]
pub fn configured(interfaces: u8, parts: &[u8]) -> Vec<u8> {
    let total = u16::try_from(9 + parts.len()).unwrap_or(u16::MAX);
    let [low, high] = total.to_le_bytes();
    let mut bytes = vec![9, CONFIGURATION, low, high, interfaces, 1, 0, 0x80, 250];
    bytes.extend(parts);
    bytes
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
    let set = u16::try_from(ms_os.len()).unwrap_or(u16::MAX);
    let mut capability = vec![28, DEVICE_CAPABILITY, 5, 0];
    capability.extend(MS_OS_UUID);
    capability.extend(WINDOWS_VERSION);
    capability.extend(set.to_le_bytes());
    capability.extend([MS_OS_VENDOR_CODE, 0]);
    let mut bytes = vec![5, BOS, 33, 0, 1];
    bytes.extend(capability);
    bytes
}

/// "WINUSB" for the device, and the name under which programs find it.
fn ms_os_set() -> Vec<u8> {
    let wide = |text: &str| -> Vec<u8> {
        let units = text.encode_utf16().chain([0]);
        units.flat_map(u16::to_le_bytes).collect()
    };
    let short = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
    let mut features = vec![20, 0, 3, 0];
    features.extend(*b"WINUSB\0\0");
    features.extend([0; 8]);
    let name = wide("DeviceInterfaceGUIDs");
    let mut value = wide(INTERFACE_GUID);
    value.extend([0, 0]); // REG_MULTI_SZ ends with an empty string
    features.extend(short(10 + name.len() + value.len()));
    features.extend([4, 0, 7, 0]);
    features.extend(short(name.len()));
    features.extend(&name);
    features.extend(short(value.len()));
    features.extend(&value);
    let mut set = vec![10, 0, 0, 0];
    set.extend(WINDOWS_VERSION);
    set.extend(short(10 + features.len()));
    set.extend(features);
    set
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
