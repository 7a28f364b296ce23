//! Scenario files: one that is read is written in full and read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use scenarios::{effective_toml, parse};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse(text, "any.toml", &[]) {
        Ok(scenario) => {
            let again = effective_toml(&scenario);
            let read = parse(&again, "any.toml", &[]);
            assert_eq!(read.ok().as_ref(), Some(&scenario), "{again}");
        }
        Err(mistakes) => assert!(!mistakes.to_string().is_empty(), "a refusal says why"),
    }
});
