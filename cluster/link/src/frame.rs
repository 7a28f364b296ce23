//! Frames on a link: length, checksum, payload.
//!
//! TCP's own 16-bit checksum lets flipped bits through; ours closes the link instead. The length is checked by
//! itself, before anybody waits for so many bytes: with a wrong one, whatever follows would be taken for the rest
//! of a frame, and nothing would arrive although the peer is heard.

use protocol::limits::MAX_LINK_FRAME_BYTES;
use serde::Serialize;
use std::io;

/// Length (3 bytes, little-endian), their exclusive or (1 byte), and the payload's CRC-32 (4 bytes, little-endian).
pub const HEADER: usize = 8;
/// Longer ones would need another header.
const LONGEST: usize = 0xFF_FFFF;
/// The longest payload of the first frame: far above any greeting.
const LONGEST_GREETING: usize = 64;

/// Which frame of its end is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The greeting, or a heartbeat before it. Its length is not checked but by being small: it is what it was in
    /// the first version, so that ends of different versions understand each other's.
    First,
    /// Any other.
    Later,
}

impl Place {
    fn check_of(self, length: [u8; 3]) -> u8 {
        match self {
            Self::First => 0,
            Self::Later => length.into_iter().fold(0, |check, byte| check ^ byte),
        }
    }

    fn longest(self) -> usize {
        match self {
            Self::First => LONGEST_GREETING,
            Self::Later => MAX_LINK_FRAME_BYTES,
        }
    }
}

/// A message with its header. An empty payload is a heartbeat.
pub fn encode<T: Serialize>(message: &T, place: Place) -> Vec<u8> {
    let mut bytes = postcard::to_extend(message, vec![0; HEADER]).expect("known lengths");
    seal(&mut bytes, place);
    bytes
}

/// Whether the peer takes a frame of these bytes.
pub fn is_taken(bytes: &[u8]) -> bool {
    bytes.len() - HEADER <= LONGEST.min(MAX_LINK_FRAME_BYTES)
}

/// A frame that only says "alive".
pub fn heartbeat() -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    seal(&mut bytes, Place::Later);
    bytes
}

fn seal(bytes: &mut [u8], place: Place) {
    let (header, payload) = bytes.split_at_mut(HEADER);
    let [a, b, c, _] = (payload.len().min(LONGEST) as u32).to_le_bytes();
    let check = place.check_of([a, b, c]);
    // The peer refuses one that is too long.
    let check = if payload.len() > LONGEST { !check } else { check };
    header[..4].copy_from_slice(&[a, b, c, check]);
    header[4..].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
}

/// Takes the first complete frame off `buffer` from `*start` on; `None` if it is not complete yet.
pub fn take(buffer: &[u8], start: &mut usize, place: Place) -> io::Result<Option<Vec<u8>>> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let rest = &buffer[*start..];
    if rest.len() < HEADER {
        return Ok(None);
    }
    let [a, b, c, check] = [rest[0], rest[1], rest[2], rest[3]];
    let length = u32::from_le_bytes([a, b, c, 0]) as usize;
    let checksum = u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]);
    if check != place.check_of([a, b, c]) {
        return Err(invalid("checksum of a frame's length".to_owned()));
    }
    if length > place.longest() {
        return Err(invalid(format!("frame of {length} bytes")));
    }
    let Some(payload) = rest.get(HEADER..HEADER + length) else { return Ok(None) };
    if crc32fast::hash(payload) != checksum {
        return Err(invalid("checksum of a frame".to_owned()));
    }
    *start += HEADER + length;
    Ok(Some(payload.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_whole() {
        let bytes = encode(&(7_u32, "seven"), Place::Later);
        let mut start = 0;
        assert_eq!(take(&bytes[..bytes.len() - 1], &mut start, Place::Later).unwrap(), None);
        let payload = take(&bytes, &mut start, Place::Later).unwrap().unwrap();
        assert_eq!(postcard::from_bytes::<(u32, &str)>(&payload).unwrap(), (7, "seven"));
        assert_eq!(start, bytes.len());
    }

    #[test]
    fn no_greeting_is_waited_for_that_is_longer_than_any() {
        let waits = |length: u8| take(&[length, 0, 0, 0, 1, 2, 3, 4], &mut 0, Place::First).is_ok();
        assert!(waits(LONGEST_GREETING as u8) && !waits(LONGEST_GREETING as u8 + 1));
        assert!(take(b"GET / HTTP/1.1", &mut 0, Place::First).is_err(), "no node");
    }

    /// At once: not when so many bytes have come as a wrong length says.
    #[test]
    fn a_changed_byte_is_noticed() {
        for frame in [encode(&(7_u32, "seven"), Place::Later), heartbeat()] {
            for (at, bits) in (0..frame.len()).flat_map(|at| (1..=255).map(move |bits| (at, bits)))
            {
                let mut changed = frame.clone();
                changed[at] ^= bits;
                assert!(take(&changed, &mut 0, Place::Later).is_err(), "byte {at} by {bits:#x}");
            }
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_and_its_end_can_know() {
        // A text says how long it is, in four bytes.
        for (more, taken) in [(0, true), (1, false), (2, false)] {
            let bytes = encode(&"a".repeat(LONGEST - 4 + more), Place::Later);
            assert_eq!(bytes.len() - HEADER, LONGEST + more);
            assert_eq!(is_taken(&bytes), taken, "{more} too many");
            assert_eq!(take(&bytes, &mut 0, Place::Later).is_ok(), taken, "{more} too many");
        }
    }
}
