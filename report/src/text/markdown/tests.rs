//! Claims about the Markdown.

#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use super::{block, markdown, text};
use crate::sample::Stage;
use expect_test::expect;
use verify::verdict::Verdict;

/// The judge's sentences are its own to change.
fn without_claims(report: &str) -> String {
    let claims = verify::CATALOGUE.iter().map(|claim| text(claim.claim));
    claims.fold(report.to_owned(), |report, claim| report.replace(&claim, "(the claim)"))
}

#[test]
fn a_violated_run_reads_like_a_page() {
    expect![[r##"
        # small: violated

        **violated**, not what the scenario expects. Seed 7, simulated, Fracas 0.1.0.

        1 of 2 invariants was violated.

        Look at this first: At 2.345 s, message 17 of user 2 was accepted as 9 in conversation 1, and is not in the store \| &lt;b&gt;at the end&lt;/b&gt;. The history has power\_loss of store-1 (2.000 s to 2.500 s).

        > Does an owner that &lt;script&gt;sleeps&lt;/script&gt; corrupt a conversation?

        Lesson: A lease is not a lock.

        ## Expectations

        | | what | wanted | got |
        | --- | --- | --- | --- |
        | ✗ | outcome | valid | violated: accepted\_message\_survives |
        | ✓ | accept\_p99 | at most 250 ms | 40.0 ms (1 234 measured) |

        ## Invariants

        | | invariant | claim | judged | violations |
        | --- | --- | --- | --: | --: |
        | ✗ | `accepted_message_survives` | (the claim) | 1 234 accepted messages | 2 |
        | ✓ | `no_phantom_message` | (the claim) | 4 321 accepted messages | 0 |

        ## Latency, from the intended time

        | | p50 | p90 | p99 | p99.9 | max | count |
        | --- | --: | --: | --: | --: | --: | --: |
        | until accepted | 8.00 ms | 16.0 ms | 40.0 ms | 160 ms | 320 ms | 1 234 |
        | &emsp;calm | 7.00 ms | 14.0 ms | 35.0 ms | 140 ms | 280 ms | 1 000 |
        | &emsp;under faults | 24.0 ms | 48.0 ms | 120 ms | 480 ms | 960 ms | 234 |
        | until shown elsewhere | 12.0 ms | 24.0 ms | 60.0 ms | 240 ms | 480 ms | 1 234 |
        | &emsp;calm | 11.0 ms | 22.0 ms | 55.0 ms | 220 ms | 440 ms | 1 000 |
        | &emsp;under faults | 36.0 ms | 72.0 ms | 180 ms | 720 ms | 1.44 s | 234 |
        | generator's lateness | 100 µs | 200 µs | 500 µs | 2.00 ms | 4.00 ms | 1 240 |

        Latency was back at its baseline within 2 s of each fault: p90 until accepted 14.0 ms before the faults, at most 92.0 ms after them.

        Latency counts from the intended time, the moment at which the open-loop schedule wanted the operation, so that a stall cannot hide the operations that it delayed (coordinated omission). Percentiles are exact to 0.1 %, and nothing is sampled.

        6 operations had no answer at the end of the run; they count with the time that they had waited until then, which is too short.

        ## Faults

        | fault | target | from | to | effect | back within |
        | --- | --- | --: | --: | --: | --: |
        | power\_loss | store-1 | 2.000 s | 2.500 s | 3 processes and writes | 2 s |

        ## Violations

        ### `accepted_message_survives`: 2 violations

        **2.345 s** message 17 of user 2 was accepted as 9 in conversation 1, and is not in the store \| &lt;b&gt;at the end&lt;/b&gt;

        - power\_loss of store-1 (2.000 s to 2.500 s)

        <details><summary>history</summary>

        ```json
        {"at":1999000,"is":{"sent":{"device":{"user":2,"device":1}}}}
        not  JSON </script> ]]>
        ```

        </details>

        ## Counts

        | | |
        | --- | --: |
        | messages sent | 1 240 |
        | edits sent | 0 |
        | deletions sent | 0 |
        | accepted | 1 234 |
        | delivered to other devices | 6 170 |
        | sent again | 0 |
        | unanswered at the end | 6 |
        | sessions opened | 8 |
        | most devices connected at once | 6 |
        | faults | 1 |
        | events of the history | 5 555 |

        ## Reproduce this run

        ```sh
        fracas run scenarios/safety/owner-paused.toml --seed 7
        ```

        It took 1.2 s (0.8 s of CPU). The history is in `history.jsonl`.

        <details><summary>the scenario in effect</summary>

        ```toml
        name = "owner-paused" # </script>
        ```

        </details>
    "##]].assert_eq(&without_claims(&markdown(&Stage::of(Verdict::Violated).run())));
}

#[test]
fn text_of_a_run_stays_text() {
    let report = markdown(&Stage::of(Verdict::Violated).run());
    let fenced: Vec<&str> = report.split("```").skip(1).step_by(2).collect();
    let outside = fenced.iter().fold(report.clone(), |rest, block| rest.replace(block, ""));
    assert!(!outside.contains("<script>") && !outside.contains("<b>"), "{outside}");
    for line in outside.lines().filter(|line| line.starts_with("| ✗")) {
        let bars = line.replace("\\|", "").matches('|').count();
        assert!(bars == 5 || bars == 6, "{line}");
    }
}

#[test]
fn a_fence_is_longer_than_what_it_holds() {
    let mut out = String::new();
    block("toml", "a ```` b", &mut out);
    assert_eq!(out, "`````toml\na ```` b\n`````\n");
}

#[test]
fn a_real_run_tells_what_its_processes_used() {
    let page = markdown(&Stage::real(Verdict::Valid).run());
    let rows = "| store-1 | 1.7 s | 34.0 MiB | 44 | 1.24 MiB |\n\
                | generator | 1.7 s | 34.0 MiB | 44 | – |\n";
    assert!(page.contains(rows), "{page}");
}

#[test]
fn rest_users_stand_apart_with_their_failures() {
    let page = markdown(&Stage::real(Verdict::Valid).run());
    assert!(page.contains("## REST users\n\n| request | p50 |"), "{page}");
    let row = page.lines().find(|line| line.starts_with("| page of backlog |"));
    assert!(row.is_some_and(|row| row.ends_with("| no answer: 1, 503: 12 |")), "{row:?}");
    assert!(!markdown(&Stage::of(Verdict::Valid).run()).contains("REST users"));
}
