//! Claims about the JUnit file.

#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use super::{Member, escape, junit, members};
use crate::sample::{self, Stage};
use expect_test::expect;
use scenarios::scenario::ExpectedOutcome;
use verify::verdict::Verdict;

#[test]
fn a_violated_run_has_failures_with_evidence() {
    expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="fracas" tests="4" failures="2" errors="0" skipped="0" time="1.200">
          <testsuite name="small" tests="4" failures="2" errors="0" skipped="0" time="1.200">
            <properties>
              <property name="verdict" value="violated"/>
              <property name="engine" value="simulated"/>
              <property name="seed" value="7"/>
              <property name="version" value="0.1.0"/>
              <property name="reproduce" value="fracas run scenarios/safety/owner-paused.toml --seed 7"/>
            </properties>
            <testcase classname="small.expectation" name="outcome" time="0.000">
              <failure type="unmet" message="wanted valid; got violated: accepted_message_survives"></failure>
              <system-out>wanted valid; got violated: accepted_message_survives</system-out>
            </testcase>
            <testcase classname="small.expectation" name="accept_p99" time="0.000">
              <system-out>wanted at most 250 ms; got 40.0 ms (1 234 measured)</system-out>
            </testcase>
            <testcase classname="small.invariant" name="accepted_message_survives" time="0.000">
              <failure type="violated" message="message 17 of user 2 was accepted as 9 in conversation 1, and is not in the store | &lt;b&gt;at the end&lt;/b&gt;">2.345 s: message 17 of user 2 was accepted as 9 in conversation 1, and is not in the store | &lt;b&gt;at the end&lt;/b&gt;
          fault: power_loss of store-1 (2.000 s to 2.500 s)
          {&quot;at&quot;:1999000,&quot;is&quot;:{&quot;sent&quot;:{&quot;device&quot;:{&quot;user&quot;:2,&quot;device&quot;:1}}}}
          not \u{1} JSON &lt;/script&gt; ]]&gt;
        </failure>
              <system-out>violated; judged 1,234 accepted messages; 2 violations</system-out>
            </testcase>
            <testcase classname="small.invariant" name="no_phantom_message" time="0.000">
              <system-out>held; judged 4,321 accepted messages; 0 violations</system-out>
            </testcase>
          </testsuite>
        </testsuites>
    "#]].assert_eq(&junit(&Stage::of(Verdict::Violated).run()));
}

#[test]
fn of_many_runs_each_has_its_seed_in_its_class() {
    let member = |seed, outcome, why: &str| Member {
        name: "smoke".to_owned(),
        seed,
        outcome,
        why: why.to_owned(),
        first: (outcome == Verdict::Violated).then(|| "Nobody sent message 7.".to_owned()),
        seconds: 1.25,
        reproduce: format!("fracas run smoke --seed {seed}"),
    };
    let runs = [
        member(1, Verdict::Valid, ""),
        member(2, Verdict::Violated, "no_phantom_message"),
        member(3, Verdict::Unknown, "processors"),
    ];
    let file = members("fracas", "0.1.0", &runs);
    assert!(file.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""), "{file}");
    let failed = "<failure type=\"violated\" message=\"no_phantom_message\">Nobody sent message 7.\nfracas run smoke --seed 2</failure>";
    assert!(file.contains(failed), "{file}");
    assert!(file.contains("classname=\"fracas.seed-3\" name=\"smoke\""), "{file}");
    assert!(
        file.contains("skipped=\"1\" time=\"3.750\"") && file.contains("time=\"1.250\">"),
        "{file}"
    );
    assert!(file.contains("<skipped message=\"unknown: processors\"/>"), "{file}");
}

#[test]
fn unknown_is_skipped() {
    let text = junit(&Stage::of(Verdict::Unknown).run());
    assert!(text.contains("failures=\"0\" errors=\"0\" skipped=\"2\""), "{text}");
    assert!(text.contains("<skipped message=\"unknown: nothing was judged\"/>"), "{text}");
    assert!(text.contains("<system-out>fault 0 (pause of store-1) had no effect</system-out>"));
}

#[test]
fn a_wanted_violation_does_not_turn_ci_red() {
    let mut stage = Stage::of(Verdict::Violated);
    stage.scenario.expect.outcome =
        ExpectedOutcome::Violates(vec!["accepted_message_survives".to_owned()]);
    stage.expectations =
        crate::expectations(&stage.scenario, &stage.judgement, &sample::measured());
    let text = junit(&stage.run());
    assert!(text.contains("failures=\"0\""), "{text}");
    assert!(text.contains("caught, as expected"), "{text}");
}

#[test]
fn control_characters_are_written_in_words() {
    assert_eq!(escape("a\u{0}b\u{1b}[1m\u{fffe}"), "a\\u{0}b\\u{1b}[1m\\u{fffe}");
    assert_eq!(escape("<&\"'>]]>\t\n"), "&lt;&amp;&quot;'&gt;]]&gt;\t\n");
}

#[test]
fn no_unescaped_text_is_left() {
    let mut stage = Stage::of(Verdict::Violated);
    stage.header.scenario = "a \"b\" <c> & \u{2}".to_owned();
    let text = junit(&stage.run());
    assert!(text.contains("<testsuite name=\"a &quot;b&quot; &lt;c&gt; &amp; \\u{2}\""), "{text}");
    assert!(text.chars().all(|c| !c.is_control() || c == '\n'));
}
