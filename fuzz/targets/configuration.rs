//! Configurations of clusters: a refusal says why, and shows no secret.

#![no_main]

use libfuzzer_sys::fuzz_target;
use node::ClusterConfig;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match ClusterConfig::read(text, "cluster.toml") {
        Ok(config) => assert!(config.mistakes().is_empty(), "it was checked"),
        Err(mistakes) => assert!(!mistakes.to_string().is_empty(), "a refusal says why"),
    }
});
