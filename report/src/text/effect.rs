//! What a fault did, in words: the count of its effects with their unit.

use crate::measured::Band;
use crate::number;
use verify::history::event::Engine;

/// `None` of a fault that had not ended.
pub(crate) fn effect(band: &Band, engine: Engine) -> Option<String> {
    let count = band.effect?;
    let (one, many) = units(&band.kind, engine);
    let unit = if count == 1 { one } else { many };
    Some(format!("{}\u{a0}{unit}", number::count(count)))
}

/// Of one, and of several. A real machine counts other things than a simulated one where the latter sees
/// more.
fn units(kind: &str, engine: Engine) -> (&'static str, &'static str) {
    const PROCESSES: (&str, &str) = ("process", "processes");
    match (kind, engine) {
        ("kill" | "drain", _) | ("pause" | "power_loss", Engine::Real) => PROCESSES,
        ("power_loss", Engine::Simulated) => ("process or write", "processes and writes"),
        ("pause", Engine::Simulated) => ("poll", "polls"),
        ("skew", _) => ("reading", "readings"),
        ("full_disk", _) => ("write", "writes"),
        ("corrupt", _) => ("flipped byte", "flipped bytes"),
        ("narrow_link", _) => ("byte that stood in line", "bytes that stood in line"),
        ("surge", _) => ("operation", "operations"),
        ("storm", _) => ("reconnect", "reconnects"),
        ("hostile", _) => ("attack", "attacks"),
        _ => ("write or connect", "writes and connects"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::Recovery;

    #[test]
    fn a_count_has_its_unit() {
        let told = |kind: &str, effect, engine| {
            let band = Band {
                fault: 1,
                kind: kind.into(),
                target: "store-1".into(),
                from_us: 0,
                to_us: None,
                effect,
                recovery: Recovery::Unknown,
            };
            super::effect(&band, engine).map(|words| words.replace('\u{a0}', " "))
        };
        assert_eq!(told("kill", Some(1), Engine::Real).as_deref(), Some("1 process"));
        assert_eq!(told("pause", Some(17), Engine::Simulated).as_deref(), Some("17 polls"));
        assert_eq!(told("pause", Some(2), Engine::Real).as_deref(), Some("2 processes"));
        assert_eq!(told("cut", Some(0), Engine::Real).as_deref(), Some("0 writes and connects"));
        let narrow = told("narrow_link", Some(900), Engine::Simulated);
        assert_eq!(narrow.as_deref(), Some("900 bytes that stood in line"));
        assert_eq!(told("cut", None, Engine::Real), None);
    }
}
