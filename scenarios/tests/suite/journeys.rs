//! Mistakes in `[journeys]`, and bounds of what a scenario does not bring about.

use crate::fixtures::{SMALL, told};
use expect_test::{Expect, expect};

/// The small scenario with something behind it.
fn check(tail: &str, expected: &Expect) {
    expected.assert_eq(&told(&format!("{SMALL}{tail}")));
}

#[test]
fn journeys_that_nobody_can_go_on_are_told() {
    check(
        r#"
[journeys]
user = 5
users = 20_000
think = "1ms"
mix = { page_backlog = 0.5, sign_inn = 0.5 }
"#,
        &expect![[r#"
            smoke.toml:12:1: unknown key "user" in [journeys]; did you mean "users"?
              12 | user = 5
                 | ^^^^
            smoke.toml:13:9: journeys.users: spread over 2 groups they would make a group of 10005; it takes 10000
              13 | users = 20_000
                 |         ^^^^^^
            smoke.toml:14:9: journeys.think: 1ms is no time to think: at least 10ms
              14 | think = "1ms"
                 |         ^^^^^
            smoke.toml:15:7: journeys.mix: the shares must add up to 1, not 0.5
              15 | mix = { page_backlog = 0.5, sign_inn = 0.5 }
                 |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            smoke.toml:15:29: unknown key "sign_inn" in [journeys.mix]; did you mean "sign_in"?
              15 | mix = { page_backlog = 0.5, sign_inn = 0.5 }
                 |                             ^^^^^^^^"#]],
    );
    check(
        "[journeys]\nusers = 3\ngroups = 3\n",
        &expect![[r#"
        smoke.toml:12:10: journeys.groups: 3 groups for each user, and there are 2
          12 | groups = 3
             |          ^"#]],
    );
}

#[test]
fn what_the_rest_of_a_scenario_cannot_bring_about_is_not_bounded() {
    check(
        "[expect]\naccept_steady = { p99 = \"< 1s\" }\nrequests = { failed = \"< 1%\" }\n\
         [[fault]]\nat = \"1s\"\nkind = \"kill\"\ntarget = \"store-1\"\nfor = \"1s\"\n",
        &expect![[r#"
            smoke.toml:11:17: expect.accept_steady: only a load at one rate and without faults (--set fault=[]) has a steady state
              11 | accept_steady = { p99 = "< 1s" }
                 |                 ^^^^^^^^^^^^^^^^
            smoke.toml:12:12: expect.requests: there are no users of the REST interface: add [journeys]
              12 | requests = { failed = "< 1%" }
                 |            ^^^^^^^^^^^^^^^^^^^"#]],
    );
}
