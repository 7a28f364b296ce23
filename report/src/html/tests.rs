//! Claims about the page: nothing of a run can become markup, and nothing is loaded.

use super::page;
use crate::expectation::expectations;
use crate::measured::Measured;
use crate::sample::Stage;
use crate::violations::fixture;
use protocol::design::Accept;
use scenarios::Override;
use scenarios::scenario::ExpectedOutcome;
use verify::verdict::Verdict;

const VERDICTS: [Verdict; 3] = [Verdict::Valid, Verdict::Violated, Verdict::Unknown];

/// Every opening tag of a page, in order, by its name.
fn tags(page: &str) -> Vec<&str> {
    let openings = page.split('<').skip(1).filter(|rest| rest.starts_with(char::is_alphabetic));
    openings.filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next()).collect()
}

#[test]
fn text_of_a_run_is_never_markup() {
    for verdict in VERDICTS {
        let mut stage = Stage::of(verdict);
        stage.tried = Some(stage.scenario.tries[0].clone());
        let clean = tags(&page(&stage.run())).len();
        let hostile = "\"'></script><script>alert(1)</script><img src=x onerror=alert(1)>&";
        stage.scenario.question = hostile.to_owned();
        stage.scenario.lesson = hostile.to_owned();
        let tried = &mut stage.scenario.tries[0];
        tried.because = hostile.to_owned();
        tried.set = vec![Override::parse(&format!("users.count={hostile}")).expect("it has a key")];
        stage.tried = Some(tried.clone());
        stage.header.scenario = hostile.to_owned();
        for band in &mut stage.measured.faults {
            band.kind = hostile.into();
            band.target = hostile.into();
        }
        for found in &mut stage.judgement.findings {
            for shown in &mut found.evidence {
                shown.what = hostile.to_owned();
                shown.faults = vec![hostile.to_owned()];
                shown.history[1] = hostile.to_owned();
            }
        }
        for expectation in &mut stage.expectations {
            expectation.got = hostile.to_owned();
        }
        for doubt in &mut stage.judgement.doubts {
            *doubt = hostile.to_owned();
        }
        let mut run = stage.run();
        run.scenario_toml = hostile;
        run.reproduce = hostile;
        run.version = hostile;
        run.history_file = hostile;
        let page = page(&run);
        assert!(!page.contains("<img"), "{verdict:?}");
        assert_eq!(page.matches("<script").count(), 1, "{verdict:?}");
        // A label that does not fit may be left out; nothing may be added.
        assert!(tags(&page).len() <= clean, "{verdict:?}");
    }
}

#[test]
fn a_page_loads_nothing() {
    let page = page(&Stage::of(Verdict::Violated).run());
    for source in [" src=", "<link", "@import", "url(", "http:", "https:", "fetch(", "import("] {
        assert!(!page.contains(source), "{source}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn the_verdict_is_said_in_words_and_signs() {
    for (verdict, class, word) in [
        (Verdict::Valid, "good", "valid"),
        (Verdict::Violated, "bad", "violated"),
        (Verdict::Unknown, "doubt", "unknown"),
    ] {
        let page = page(&Stage::of(verdict).run());
        assert!(page.contains(&format!("<html lang=\"en\" class=\"{class}\">")), "{word}");
        assert!(page.contains(&format!("<p class=\"word\">{word}</p>")), "{word}");
        assert!(page.contains("<svg class=\"sign\""), "{word}");
    }
}

#[test]
fn faults_are_drawn_as_labelled_bands() {
    let page = page(&Stage::of(Verdict::Valid).run());
    assert_eq!(page.matches("<rect class=\"band\"").count(), 1);
    assert!(page.contains(">power_loss store-1</text>"));
    assert!(page.contains("power_loss store-1: 2.000 s to 2.500 s, effect 3"));
}

#[test]
fn a_run_without_anything_has_a_page() {
    for verdict in VERDICTS {
        let mut stage = Stage::of(verdict);
        stage.measured = Measured::default();
        stage.judgement.findings.clear();
        stage.expectations.clear();
        let page = page(&stage.run());
        assert!(page.contains("nothing was accepted or delivered"));
        assert!(!page.contains("NaN") && !page.contains(">inf"), "{verdict:?}");
    }
}

#[test]
fn every_tag_is_closed() {
    const VOID: [&str; 1] = ["meta"];
    for verdict in VERDICTS {
        let page = page(&Stage::real(verdict).run());
        let (body, _) = page.split_once("<script>").expect("the script is last");
        let mut names = tags(body);
        names.sort_unstable();
        names.dedup();
        for name in names.into_iter().filter(|name| !VOID.contains(name)) {
            let opened = tags(body).iter().filter(|tag| **tag == name).count();
            let closed = body.matches(&format!("</{name}>")).count();
            // `html`, `body` and `script` end behind the script.
            let behind = usize::from(matches!(name, "html" | "body"));
            assert_eq!(opened, closed + behind, "{name}");
        }
    }
}

#[test]
fn a_real_run_draws_what_its_processes_used() {
    let page = page(&Stage::real(Verdict::Valid).run());
    assert_eq!(
        page.matches("<svg class=\"chart spark\"").count(),
        7,
        "three for each, and the data of one"
    );
    assert!(page.contains("<td>store-1</td>") && page.contains(">1.24 MiB</td>"));
    assert!(!page.contains("NaN"));
}

#[test]
fn rest_users_stand_apart_with_their_failures() {
    let real = page(&Stage::real(Verdict::Valid).run());
    assert!(real.contains("<h2>REST users</h2>") && real.contains("A closed loop"));
    assert!(real.contains(">no answer: 1, 503: 12</td>"));
    assert!(!page(&Stage::of(Verdict::Valid).run()).contains("REST users"));
}

#[test]
fn every_step_of_a_diagram_leads_to_a_line_of_the_page() {
    let stage = fixture::stage(&fixture::after_power_loss(fixture::replaced));
    let page = page(&stage.run());
    let (_, drawn) = page.split_once("<figure class=\"space\">").expect("there is a diagram");
    let (drawn, _) = drawn.split_once("</figure>").expect("it ends");
    let links: Vec<&str> = drawn.split("href=\"#").skip(1).collect();
    assert!(links.len() >= 4, "{drawn}");
    for link in links {
        let (id, _) = link.split_once('"').expect("it is quoted");
        assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
    }
    assert!(drawn.contains("<rect class=\"band\"") && drawn.contains("mark violation"), "{drawn}");
    assert!(!page.contains("NaN"));
}

#[test]
fn no_id_is_used_twice() {
    let stage = fixture::stage(&fixture::after_power_loss(fixture::lost));
    let page = page(&stage.run());
    let mut ids: Vec<&str> =
        page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[test]
fn a_violation_that_the_scenario_wants_is_green() {
    let mut stage = fixture::stage(&fixture::after_power_loss(fixture::lost));
    let survives = vec!["accepted_message_survives".to_owned()];
    stage.scenario.expect.outcome = ExpectedOutcome::Violates(survives);
    stage.scenario.design.accept = Accept::BeforePersist;
    stage.expectations =
        expectations(&stage.scenario, &stage.judgement, &stage.measured)[..1].to_vec();
    let page = page(&stage.run());
    assert!(page.contains("<html lang=\"en\" class=\"good caught\">"));
    assert!(page.contains("<p class=\"word\">caught</p><p class=\"agreement\">as expected</p>"));
    assert!(page.contains("<tr class=\"caught-as-expected\">"), "the row is green, too");
    assert!(page.contains(
        "<code>accept = before_persist</code>, where <code>after_persist</code> is sound."
    ));
}
