//! Frames on a link: length, checksum, payload.
//!
//! TCP's own 16-bit checksum lets flipped bits through; ours closes the link instead.

use protocol::limits::MAX_LINK_FRAME_BYTES;
use serde::Serialize;
use std::io;

/// Length (4 bytes) and CRC-32 (4 bytes), both little-endian.
pub const HEADER: usize = 8;

/// A message with its header. An empty payload is a heartbeat.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let mut bytes = postcard::to_extend(message, vec![0; HEADER]).expect("known lengths");
    seal(&mut bytes);
    bytes
}

/// A frame that only says "alive".
pub fn heartbeat() -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    seal(&mut bytes);
    bytes
}

fn seal(bytes: &mut [u8]) {
    let (header, payload) = bytes.split_at_mut(HEADER);
    header[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[4..].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
}

/// Takes the first complete frame off `buffer` from `*start` on; `None` if it is not complete yet.
pub fn take(buffer: &[u8], start: &mut usize) -> io::Result<Option<Vec<u8>>> {
    let rest = &buffer[*start..];
    if rest.len() < HEADER {
        return Ok(None);
    }
    let length = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
    let checksum = u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]);
    if length > MAX_LINK_FRAME_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("frame of {length} bytes")));
    }
    let Some(payload) = rest.get(HEADER..HEADER + length) else { return Ok(None) };
    if crc32fast::hash(payload) != checksum {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "checksum of a frame"));
    }
    *start += HEADER + length;
    Ok(Some(payload.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_whole() {
        let bytes = encode(&(7_u32, "seven"));
        let mut start = 0;
        assert_eq!(take(&bytes[..bytes.len() - 1], &mut start).unwrap(), None);
        let payload = take(&bytes, &mut start).unwrap().unwrap();
        assert_eq!(postcard::from_bytes::<(u32, &str)>(&payload).unwrap(), (7, "seven"));
        assert_eq!(start, bytes.len());
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let mut bytes = encode(&(7_u32, "seven"));
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(take(&bytes, &mut 0).is_err());
    }
}
