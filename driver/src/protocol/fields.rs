//! A cursor over a payload that names the field it could not read.

use super::ProtocolError;

pub(crate) struct Fields<'a> {
    message: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'static str, bytes: &'a [u8]) -> Self {
        Self {
            message,
            rest: bytes,
        }
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], ProtocolError> {
        let short = ProtocolError::TooShort {
            message: self.message,
            field,
        };
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(short)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, ProtocolError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, ProtocolError> {
        self.array(field).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, ProtocolError> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, ProtocolError> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// Reads reserved bytes, which must be zero so that they can mean something later.
    pub(crate) fn zeros<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<(), ProtocolError> {
        if self.array::<N>(field)? == [0; N] {
            Ok(())
        } else {
            Err(ProtocolError::ReservedNotZero {
                message: self.message,
                field,
            })
        }
    }

    /// Printable ASCII, padded with zeros to `N` bytes.
    pub(crate) fn text<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<String, ProtocolError> {
        let bytes = self.array::<N>(field)?;
        let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(N);
        let (text, padding) = bytes.split_at_checked(len).unwrap_or((&bytes, &[]));
        let stray = text.iter().find(|byte| !(b' '..=b'~').contains(*byte));
        match stray.or_else(|| padding.iter().find(|byte| **byte != 0)) {
            None => Ok(text.iter().map(|byte| char::from(*byte)).collect()),
            Some(value) => Err(self.unknown(field, u32::from(*value))),
        }
    }

    /// The next so many bytes.
    pub(crate) fn bytes(
        &mut self,
        length: usize,
        field: &'static str,
    ) -> Result<&'a [u8], ProtocolError> {
        let short = ProtocolError::TooShort {
            message: self.message,
            field,
        };
        let (head, rest) = self.rest.split_at_checked(length).ok_or(short)?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn unknown(&self, field: &'static str, value: u32) -> ProtocolError {
        ProtocolError::UnknownValue {
            message: self.message,
            field,
            value,
        }
    }

    pub(crate) fn end(self) -> Result<(), ProtocolError> {
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(ProtocolError::TooLong {
                message: self.message,
                extra,
            }),
        }
    }
}
