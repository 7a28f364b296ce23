//! Forms that anybody may send to the issuer of tokens.

#![no_main]

use auth::core::request::{RevocationRequest, TokenRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The header before the first line break, if there is one.
    let (header, form) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (std::str::from_utf8(&bytes[..end]).ok(), &bytes[end + 1..]),
        None => (None, bytes),
    };
    // What is wrong with it is the client's to hear.
    let _ = TokenRequest::parse(form, header);
    let _ = RevocationRequest::parse(form, header);
});
