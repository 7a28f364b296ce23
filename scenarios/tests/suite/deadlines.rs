//! Deadlines that cannot be missed, or not be met.

use crate::fixtures::{SMALL, told};
use expect_test::{Expect, expect};

/// The small scenario with something behind it.
fn check_tail(tail: &str, expected: &Expect) {
    expected.assert_eq(&told(&format!("{SMALL}{tail}")));
}

/// They stay away by themselves, and the cluster would be accused of it.
#[test]
fn revoked_users_must_have_the_time_that_they_take() {
    check_tail(
        "[load.mix]\nsend = 0.99\nrevoke = 0.01\n[expect]\nno_stuck_session = \"7s\"\n",
        &expect![[r#"
            smoke.toml:14:20: expect.no_stuck_session: users whose tokens are revoked (load.mix.revoke) stay away by themselves and log in again: expected at least 8s, found 7s
              14 | no_stuck_session = "7s"
                 |                    ^^^^"#]],
    );
}

#[test]
fn deadlines_that_cannot_be_missed_are_refused() {
    check_tail(
        "[users.connect]\nover = \"4s\"\n[phases]\nwarm_up = \"3s\"\nheal = \"2s\"\nsettle = \"5s\"\n\
         [expect]\ndelivered_after_heal = \"7s\"\nno_stuck_session = \"6s\"\nrecovers_within = \"2s\"\n",
        &expect![[r#"
            smoke.toml:10:1: users.connect: connecting takes 4s, but phases.warm_up only 3s
              10 | [users.connect]
                 | ^^^^^^^^^^^^^^^
            smoke.toml:16:1: expect.pushed_within: a deadline of 20s would pass only after the judgement: phases.settle takes 5s and must take at least 20s
              16 | [expect]
                 | ^^^^^^^^
            smoke.toml:17:24: expect.delivered_after_heal: a deadline of 7s would pass only after the judgement: phases.settle takes 5s and must take at least 7s
              17 | delivered_after_heal = "7s"
                 |                        ^^^^
            smoke.toml:18:20: expect.no_stuck_session: a deadline of 6s would pass only after the judgement: phases.settle takes 5s and must take at least 6s
              18 | no_stuck_session = "6s"
                 |                    ^^^^
            smoke.toml:19:19: expect.recovers_within: nobody would be sending when the recovery is judged, 2s after the heal: phases.heal takes 2s and must take more than 2s
              19 | recovers_within = "2s"
                 |                   ^^^^"#]],
    );
}

#[test]
fn a_heartbeat_fits_to_what_is_expected() {
    let text = |heartbeat: &str, fault: &str| {
        format!(
            "[cluster]\nheartbeat = \"{heartbeat}\"\n{fault}[phases]\nsettle = \"30s\"\n[expect]\n\
             pushed_within = \"25s\"\n"
        )
    };
    let fault = "[[fault]]\nat = \"1s\"\nfor = \"1s\"\nkind = \"kill\"\ntarget = \"store-1\"\n";
    check_tail(
        &text("4s", ""),
        &expect![[r#"
        smoke.toml:11:13: cluster.heartbeat: a heartbeat takes whole seconds, 5 to 600
          11 | heartbeat = "4s"
             |             ^^^^"#]],
    );
    check_tail(
        &text("5s\"\nlink_timeout = \"61s", ""),
        &expect![[r#"
        smoke.toml:12:16: cluster.link_timeout: a link is given up after 1s to 60s of silence
          12 | link_timeout = "61s"
             |                ^^^^^"#]],
    );
    check_tail(
        &text("11s", fault),
        &expect![[r#"
        smoke.toml:20:17: expect.pushed_within: a session whose connection a fault has cut is given up only after 27500ms, by cluster.heartbeat, and nobody is told by a push before that; found 25s
          20 | pushed_within = "25s"
             |                 ^^^^^"#]],
    );
    // Without faults no connection dies unnoticed.
    assert!(scenarios::parse(&format!("{SMALL}{}", text("11s", "")), "smoke.toml", &[]).is_ok());
    assert!(scenarios::parse(&format!("{SMALL}{}", text("10s", fault)), "smoke.toml", &[]).is_ok());
}
