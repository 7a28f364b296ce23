//! Claims about the table in the terminal.

#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use super::terminal;
use crate::sample::Stage;
use expect_test::expect;
use verify::verdict::Verdict;

#[test]
fn a_valid_run_fits_on_a_screen() {
    expect![[r#"
        valid  small, seed 7, simulated: as the scenario expects

            invariant                  judged                     violations
         ✓  accepted_message_survives   1,234  accepted messages           –
         ✓  no_phantom_message          4,321  accepted messages           –

         latency             p50      p90      p99   p99.9     max  count
         accept          8.00 ms  16.0 ms  40.0 ms  160 ms  320 ms  1,234
           calm          7.00 ms  14.0 ms  35.0 ms  140 ms  280 ms  1,000
           under faults  24.0 ms  48.0 ms   120 ms  480 ms  960 ms    234
         deliver         12.0 ms  24.0 ms  60.0 ms  240 ms  480 ms  1,234
           calm          11.0 ms  22.0 ms  55.0 ms  220 ms  440 ms  1,000
           under faults  36.0 ms  72.0 ms   180 ms  720 ms  1.44 s    234

        Latency was back at its baseline within 2 s of each fault: p90 until accepted 14.0 ms before the
        faults, at most 92.0 ms after them.

         ✓  outcome     wanted valid; got valid
         ✓  accept_p99  wanted at most 250 ms; got 40.0 ms (1,234 measured)

        1,240 sent, 1,234 accepted, 0 refused, 6 unanswered, 6,170 delivered to other devices
        5,555 events, 4.4 s simulated, 0.8 s of CPU (5.5 simulated s per CPU s), 1.2 s in all
    "#]]
    .assert_eq(&terminal(&Stage::of(Verdict::Valid).run(), false, 100));
}

#[test]
fn a_violated_run_shows_its_evidence_and_ends_with_the_command() {
    expect![[r#"
        violated  small, seed 7, simulated: not what the scenario expects

        Look at this first: At 2.345 s, message 17 of user 2 was accepted as 9 in
        conversation 1, and is not in the store | <b>at the end</b>. The history has
        power_loss of store-1 (2.000 s to 2.500 s).

            invariant                  judged                     violations
         ✗  accepted_message_survives   1,234  accepted messages           2
         ✓  no_phantom_message          4,321  accepted messages           –

         ✗  accepted_message_survives at 2.345 s: message 17 of user 2 was accepted as
            9 in conversation 1, and is not in the store | <b>at the end</b>
            power_loss of store-1 (2.000 s to 2.500 s)

         latency             p50      p90      p99   p99.9     max  count
         accept          8.00 ms  16.0 ms  40.0 ms  160 ms  320 ms  1,234
           calm          7.00 ms  14.0 ms  35.0 ms  140 ms  280 ms  1,000
           under faults  24.0 ms  48.0 ms   120 ms  480 ms  960 ms    234
         deliver         12.0 ms  24.0 ms  60.0 ms  240 ms  480 ms  1,234
           calm          11.0 ms  22.0 ms  55.0 ms  220 ms  440 ms  1,000
           under faults  36.0 ms  72.0 ms   180 ms  720 ms  1.44 s    234

        Latency was back at its baseline within 2 s of each fault: p90 until accepted
        14.0 ms before the faults, at most 92.0 ms after them.

         ✗  outcome     wanted valid; got violated: accepted_message_survives
         ✓  accept_p99  wanted at most 250 ms; got 40.0 ms (1,234 measured)

        1,240 sent, 1,234 accepted, 0 refused, 6 unanswered, 6,170 delivered to other
        devices
        5,555 events, 4.4 s simulated, 0.8 s of CPU (5.5 simulated s per CPU s), 1.2 s
        in all

        fracas run scenarios/safety/owner-paused.toml --seed 7
    "#]]
    .assert_eq(&terminal(&Stage::of(Verdict::Violated).run(), false, 80));
}

#[test]
fn an_unknown_run_says_why() {
    let text = terminal(&Stage::of(Verdict::Unknown).run(), false, 80);
    assert!(text.contains(" ?  fault 0 (pause of store-1) had no effect"), "{text}");
    assert!(text.starts_with("unknown"), "{text}");
}

#[test]
fn a_failed_run_ends_with_the_command_alone() {
    for verdict in [Verdict::Violated, Verdict::Unknown] {
        let stage = Stage::of(verdict);
        for width in [0, 40, 80, u16::MAX] {
            let text = terminal(&stage.run(), false, width);
            assert_eq!(text.lines().last(), Some(stage.run().reproduce));
        }
    }
    let valid = Stage::of(Verdict::Valid);
    assert!(!terminal(&valid.run(), false, 80).contains(valid.run().reproduce));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let stage = Stage::of(Verdict::Violated);
    for width in [60, 80, 100] {
        let text = terminal(&stage.run(), false, width);
        // The headline and the command are lines to copy and to search for: they are never wrapped.
        for line in text.lines().skip(1).filter(|line| *line != stage.run().reproduce) {
            assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
        }
    }
}

#[test]
fn colour_is_an_addition() {
    for verdict in [Verdict::Valid, Verdict::Violated, Verdict::Unknown] {
        let stage = Stage::of(verdict);
        let plain = terminal(&stage.run(), false, 90);
        let colour = terminal(&stage.run(), true, 90);
        assert!(!plain.contains('\u{1b}'));
        assert!(colour.contains('\u{1b}'));
        let mut stripped = String::new();
        let mut escape = false;
        for character in colour.chars() {
            match (escape, character) {
                (false, '\u{1b}') => escape = true,
                (true, 'm') => escape = false,
                (false, _) => stripped.push(character),
                (true, _) => {}
            }
        }
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&stripped), words(&plain));
    }
}

#[test]
fn a_real_run_tells_what_its_processes_used() {
    let text = terminal(&Stage::real(Verdict::Valid).run(), false, 80);
    let table = " process      CPU    memory  open files      data\n \
                 store-1    1.7 s  34.0 MiB          44  1.24 MiB\n \
                 generator  1.7 s  34.0 MiB          44         –\n";
    assert!(text.contains(table), "{text}");
}

#[test]
fn rest_users_stand_apart_with_their_failures() {
    let text = terminal(&Stage::real(Verdict::Valid).run(), false, 100);
    assert!(text.contains(" REST users (closed loop) "), "{text}");
    let row = text.lines().find(|line| line.starts_with(" page of backlog")).expect("it is there");
    assert!(row.contains(" 1,234 ") && row.ends_with("no answer: 1, 503: 12"), "{row}");
    assert!(!terminal(&Stage::of(Verdict::Valid).run(), false, 100).contains("REST users"));
}
