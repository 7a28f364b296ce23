//! Frozen samples of what leaves a process: a change of its bytes that comes without another version
//! fails a test.

use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;
use std::fmt::{Debug, Write};

/// Compares samples with their fixture, both ways. The fixture's first line names the version; each
/// further line holds the bytes of a sample in hexadecimal and, for readers, what they say.
///
/// # Panics
/// They differ, or a variant of `T` has no sample.
pub fn check<T: Serialize + DeserializeOwned + Debug>(fixture: &str, version: u16, samples: &[T]) {
    every_variant(samples);
    let mut now = format!("version {version}\n");
    for sample in samples {
        for byte in encoded(sample) {
            write!(now, "{byte:02x}").expect("text takes all text");
        }
        writeln!(now, " {sample:?}").expect("text takes all text");
    }
    // What the bytes say is for readers: other names are no other bytes.
    let bytes = |text: &str| -> Vec<String> {
        text.lines().skip(1).map(|line| line.split(' ').next().unwrap_or_default().into()).collect()
    };
    assert!(
        fixture.lines().next() == now.lines().next() && bytes(fixture) == bytes(&now),
        "other bytes need another version, and a fixture of its own:\n{now}"
    );
    for (line, sample) in bytes(fixture).iter().zip(samples) {
        let decoded: T = postcard::from_bytes(&unhex(line)).expect("frozen bytes decode");
        assert_eq!(format!("{decoded:?}"), format!("{sample:?}"));
    }
}

/// Checks that each variant of an enum has a sample. Its number is the first byte, in postcard.
///
/// # Panics
/// One has none.
pub fn every_variant<T: Serialize + DeserializeOwned + Debug>(samples: &[T]) {
    let seen: BTreeSet<u8> = samples.iter().map(|sample| encoded(sample)[0]).collect();
    let count = seen.len() as u8;
    assert_eq!(seen, (0..count).collect(), "a variant before the last one has no sample");
    // Zeros are a value of everything that a variant can hold.
    let mut beyond = vec![count];
    beyond.resize(256, 0);
    let known = postcard::from_bytes::<T>(&beyond);
    assert!(known.is_err(), "a variant without a sample: {known:?}");
}

fn encoded<T: Serialize>(sample: &T) -> Vec<u8> {
    postcard::to_stdvec(sample).expect("plain data")
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = (0..text.len()).step_by(2).map(|at| text.get(at..at + 2));
    let byte = |pair: Option<&str>| u8::from_str_radix(pair?, 16).ok();
    digits.map(|pair| byte(pair).expect("two hexadecimal digits")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Serialize, Deserialize)]
    enum Two {
        One(u8),
        Other { name: String },
    }

    /// A later version of the same, with another order and one more.
    #[derive(Debug, Serialize, Deserialize)]
    enum Three {
        Other { name: String },
        One(u8),
        Third,
    }

    const FROZEN: &str = "version 1\n0007 One(7)\n01026869 Other { name: \"hi\" }\n";

    fn hi() -> String {
        "hi".into()
    }

    #[test]
    fn what_is_as_it_was_passes_whatever_it_is_called() {
        let samples = [Two::One(7), Two::Other { name: hi() }];
        check(FROZEN, 1, &samples);
        check(&FROZEN.replace("One(7)", "Seven"), 1, &samples);
    }

    #[test]
    #[should_panic(expected = "another version")]
    fn other_bytes_are_found() {
        check(FROZEN, 1, &[Three::One(7), Three::Other { name: hi() }, Three::Third]);
    }

    #[test]
    #[should_panic(expected = "another version")]
    fn another_version_needs_a_fixture_of_its_own() {
        check(FROZEN, 2, &[Two::One(7), Two::Other { name: hi() }]);
    }

    #[test]
    #[should_panic(expected = "a variant without a sample")]
    fn a_variant_without_a_sample_is_found() {
        every_variant(&[Three::One(7), Three::Other { name: hi() }]);
    }
}
