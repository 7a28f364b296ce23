//! Histories of anybody, with the judge behind them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use verify::history::Reader;
use verify::{Judge, JudgeOptions};

fuzz_target!(|bytes: &[u8]| {
    let Ok(reader) = Reader::new(Cursor::new(bytes.to_vec())) else { return };
    let mut judge = Judge::new(reader.header(), JudgeOptions::default());
    for event in reader.map_while(Result::ok) {
        judge.observe(&event);
    }
    judge.finish();
});
