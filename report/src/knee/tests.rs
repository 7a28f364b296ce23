//! A whole search, told in every form.

use super::{End, Knee, Level, Outcome, Resource, Saturated, Searched};
use crate::html;
use crate::text::knee::{knee as terminal, markdown};

/// A cluster of the law λ = 100/s, σ = 0.05: 2,000/s at most.
fn level(in_flight: f64, outcome: Outcome) -> Level {
    let rate = (100.0 * in_flight / (1.0 + 0.05 * (in_flight - 1.0))).round();
    Level {
        rate,
        seed: 1,
        is_hold: false,
        outcome,
        why: Vec::new(),
        sent: Some(rate),
        accepted: Some(rate),
        is_steady: true,
        mean_us: Some(in_flight / rate * 1e6),
        accept_p99_us: Some(20_000),
        deliver_p99_us: Some(30_000),
        cpu: vec![("store-1".to_owned(), 0.42)],
        saturated: vec![
            found(Resource::Process, "CPU: store-1 alone kept 0.95 processors busy"),
            found(Resource::Disk, "disk: something waited"),
        ],
        folder: Some("1".to_owned()),
    }
}

fn found(resource: Resource, told: &str) -> Saturated {
    Saturated { resource, told: told.to_owned() }
}

fn levels() -> Vec<Level> {
    let steady = [1.0, 2.0, 4.0, 8.0, 16.0, 20.0];
    let mut levels: Vec<Level> = steady.iter().map(|n| level(*n, Outcome::Sustained)).collect();
    let mut broken = level(30.0, Outcome::Broken);
    broken.why.push("accept_p99: 300 ms, wanted at most <100> ms".to_owned());
    levels.push(broken);
    levels
}

fn searched(levels: Vec<Level>, end: End, bounds: (Option<f64>, Option<f64>)) -> Knee {
    let searched = Searched {
        version: "0.1.0",
        scenario: "a <b>",
        thresholds: &["accept p99 < 100 ms".to_owned()],
        reproduce: "fracas knee a.toml",
    };
    Knee::new(searched, levels, end, bounds)
}

fn held() -> Knee {
    let (levels, broken) = (levels(), level(30.0, Outcome::Broken).rate);
    let sustained = levels[5].rate;
    searched(levels, End::Held, (Some(sustained), Some(broken)))
}

#[test]
fn a_knee_says_what_it_is_what_was_used_up_and_how_it_scales() {
    let knee = held();
    assert_eq!(knee.end.status(), 0);
    let told = terminal(&knee, false, 100);
    assert!(
        told.starts_with("1,026/s  a <b>\n\n1,026/s were sustained, 1,224/s were not; held"),
        "{told}"
    );
    for part in [
        "✗  1,224/s",
        "not sustained: accept_p99: 300 ms",
        "CPU: store-1 alone kept 0.95 processors busy",
        "no retrograde region seen",
        "fitted to 7 levels",
        "accept p99 < 100 ms",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    assert!(!told.contains("fracas knee a.toml"), "nobody has to look at it again:\n{told}");
    let fit = knee.fit.as_ref().expect("seven levels");
    assert!((fit.sigma.value - 0.05).abs() < 0.001, "{fit:?}");
    let ceiling = fit.ceiling;
    assert!(
        ceiling.low < 2_000.0 && 2_000.0 < ceiling.high && ceiling.low > 1_500.0,
        "{ceiling:?}"
    );
}

#[test]
fn the_pages_link_every_level_and_hold_no_markup_of_others() {
    let knee = held();
    let page = html::knee::page(&knee);
    assert_eq!(page.matches("href=\"1/report.html\"").count(), 7);
    assert!(page.contains("class=\"area accept\"") && page.contains("class=\"line accept\""));
    assert_eq!(page.matches("class=\"dot deliver\"").count(), 7);
    assert!(page.contains("a &lt;b&gt;") && !page.contains("a <b>"));
    assert!(!page.contains("NaN") && !page.contains("inf\""), "{page}");
    let markdown = markdown(&knee);
    assert!(markdown.contains("](1/report.md)") && markdown.contains("## Universal"), "{markdown}");
    let json = serde_json::to_value(&knee).expect("plain data");
    assert_eq!((&json["end"], &json["levels"][6]["outcome"]), (&"held".into(), &"broken".into()));
    assert!(json["fit"]["sigma"]["low"].is_number());
}

#[test]
fn a_search_that_found_nothing_says_why() {
    let mut limited = level(4.0, Outcome::GeneratorLimited);
    limited.why.push("processors 7 times".to_owned());
    let three = [levels()[..2].to_vec(), vec![limited]].concat();
    let sustained = three[1].rate;
    let knee = searched(three, End::GeneratorLimited, (Some(sustained), None));
    assert_eq!(knee.end.status(), 2);
    let told = terminal(&knee, false, 100);
    assert!(told.starts_with("190/s at least"), "{told}");
    let flat = told.replace('\n', " ");
    assert!(flat.contains("the generator or its machine, not the cluster, is the limit"), "{told}");
    assert!(told.contains("not fitted: 2 levels can be used, it takes 6"), "{told}");
    assert!(told.contains("generator limited: processors 7 times"), "{told}");
    assert!(told.contains("disk: something") && !told.contains("store-1 alone"), "{told}");
    assert!(told.ends_with("\nfracas knee a.toml\n"));
    let nothing = searched(Vec::new(), End::Interrupted, (None, None));
    let page = html::knee::page(&nothing);
    assert!(page.contains("no level was steady") && page.contains("no knee"), "{page}");
}
