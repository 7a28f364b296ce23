//! Mistakes are told all at once, each with its place and what would be right.

use crate::fixtures::{SMALL, told};
use expect_test::{Expect, expect};

fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&told(text));
}

/// The small scenario with something behind it.
fn check_tail(tail: &str, expected: &Expect) {
    check(&format!("{SMALL}{tail}"), expected);
}

#[test]
fn five_mistakes_are_told_at_once_in_their_order() {
    check(
        r#"question = "Does it work?"
lesson = "It does."

[cluster]
gatways = 3
stores = "three"
brokers = 2

[users]
count = 1_000
conversations = { direct = 3, groups = 2 }

[load]
phases = [ { for = "10 parsecs", rate = "5/s" } ]

[[fault]]
at = "1s"
for = "1s"
kind = "kil"
target = "store-1"
"#,
        &expect![[r#"
            smoke.toml:5:1: unknown key "gatways" in [cluster]; did you mean "gateways"?
              5 | gatways = 3
                | ^^^^^^^
            smoke.toml:6:10: cluster.stores: expected a whole number from 1 to 64, found "three"
              6 | stores = "three"
                |          ^^^^^^^
            smoke.toml:7:11: cluster.brokers: expected 1 (this version takes nothing else), found 2
              7 | brokers = 2
                |           ^
            smoke.toml:14:20: load.phases.1.for: expected a duration up to a day, such as "250ms", "6s" or "10m", found "10 parsecs"
              14 | phases = [ { for = "10 parsecs", rate = "5/s" } ]
                 |                    ^^^^^^^^^^^^
            smoke.toml:19:8: fault.1.kind: expected "blip", "cut", "flap", "reset", "corrupt", "slow_link", "narrow_link", "kill", "power_loss", "drain", "pause", "skew", "full_disk", "surge", "storm" or "hostile", found "kil"; did you mean "kill"?
              19 | kind = "kil"
                 |        ^^^^^"#]],
    );
}

#[test]
fn broken_syntax_is_told_with_its_place() {
    check(
        "question = \n[users\n",
        &expect![[r#"
            smoke.toml:1:12: not TOML: string values must be quoted, expected literal string
              1 | question = 
                |            ^
            smoke.toml:2:7: not TOML: unclosed table, expected `]`
              2 | [users
                |       ^"#]],
    );
}

#[test]
fn what_must_be_there_is_named() {
    check(
        "[load]\n",
        &expect![[r#"
            smoke.toml:1:1: the scenario needs "question": text in quotes
            smoke.toml:1:1: the scenario needs "lesson": text in quotes
            smoke.toml:1:1: the scenario needs "users": a table with count, devices, offline, renewing, conversations, connect, codec
            smoke.toml:1:1: [load] needs "phases": a list; each element: a table with for, rate
              1 | [load]
                | ^^^^^^"#]],
    );
}

#[test]
fn design_choices_are_checked_by_name_and_option() {
    check_tail(
        "[design]\nquorum = \"none\"\nacept = \"x\"\naccept = \"before_persists\"\n",
        &expect![[r#"
            smoke.toml:11:1: unknown key "quorum" in [design]; its keys are accept, fsync, deduplication, attach, requeue, client_heartbeat, slow_session, reconnect_jitter, poison, receipts, push, dead_session, push_key, epochs, fencing, delivery, membership, deletion, refusal, tokens, fan_out, unauthorised, signatures
              11 | quorum = "none"
                 | ^^^^^^
            smoke.toml:12:1: unknown key "acept" in [design]; did you mean "accept"?
              12 | acept = "x"
                 | ^^^^^
            smoke.toml:13:10: design.accept: expected one of after_persist, before_persist, found "before_persists"; did you mean "before_persist"?
              13 | accept = "before_persists"
                 |          ^^^^^^^^^^^^^^^^^"#]],
    );
}

#[test]
fn vanishing_users_must_be_there_and_have_a_load_to_vanish_from() {
    check_tail(
        "vanishing = { users = 9, after = \"1s\" }\n",
        &expect![[r#"
            smoke.toml:10:23: load.vanishing.users: 9 of 10 users who are online: at least two must stay
              10 | vanishing = { users = 9, after = "1s" }
                 |                       ^"#]],
    );
    check_tail(
        "vanishing = { users = 1, after = \"10s\" }\n",
        &expect![[r#"
            smoke.toml:10:34: load.vanishing.after: 10s is not within the load, which ends at 10s
              10 | vanishing = { users = 1, after = "10s" }
                 |                                  ^^^^^"#]],
    );
    check_tail(
        "vanishing = { users = 1, after = \"1s\" }\n[users.connect]\nby = \"trunk\"\n",
        &expect![[r#"
            smoke.toml:10:23: load.vanishing.users: a trunk lives and dies with all its sessions
              10 | vanishing = { users = 1, after = "1s" }
                 |                       ^"#]],
    );
}

#[test]
fn values_must_fit_together() {
    check_tail(
        "mix = { send = 0.5, reply = 0.4 }\nslow_readers = { users = 11, stall = \"0s\", read = \"1s\" }\n\
         [cluster]\nstores = 4\npartitions = 3\nreplication = 3\n",
        &expect![[r#"
            smoke.toml:10:7: load.mix: the shares must add up to 1, not 0.9
              10 | mix = { send = 0.5, reply = 0.4 }
                 |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^
            smoke.toml:11:26: load.slow_readers.users: 11 of 10 users who are online
              11 | slow_readers = { users = 11, stall = "0s", read = "1s" }
                 |                          ^^
            smoke.toml:11:38: load.slow_readers.stall: must be longer than zero
              11 | slow_readers = { users = 11, stall = "0s", read = "1s" }
                 |                                      ^^^^
            smoke.toml:14:14: cluster.partitions: 3 partitions are not enough for 4 stores
              14 | partitions = 3
                 |              ^
            smoke.toml:15:15: cluster.replication: expected 1 (this version takes nothing else), found 3
              15 | replication = 3
                 |               ^"#]],
    );
    check(
        &SMALL.replace("direct = 3", "direct = 46"),
        &expect![[r#"
        smoke.toml:6:28: users.conversations.direct: 10 users make 45 pairs, not 46
          6 | conversations = { direct = 46, groups = 2 }
            |                            ^^"#]],
    );
    check(
        &SMALL.replace("groups = 2", "groups = 2, group_size = \"uniform(5..20)\""),
        &expect![[r#"
            smoke.toml:6:56: users.conversations.group_size: a group has 2 to 10 members here, not 5 to 20
              6 | conversations = { direct = 3, groups = 2, group_size = "uniform(5..20)" }
                |                                                        ^^^^^^^^^^^^^^^^"#]],
    );
    check(
        &SMALL.replace("count = 10", "count = 10\noffline = 9"),
        &expect![[r#"
        smoke.toml:6:11: users.offline: 9 of 10 users: at least two must be online
          6 | offline = 9
            |           ^"#]],
    );
    check(
        &SMALL.replace("[ { for = \"10s\", rate = \"5/s\" } ]", "[]"),
        &expect![[r#"
        smoke.toml:9:10: load.phases: there must be at least one phase
          9 | phases = []
            |          ^^"#]],
    );
    check(
        &SMALL.replace("\"5/s\"", "0"),
        &expect![[r#"
            smoke.toml:9:34: load.phases.1.rate: expected a rate above 0, such as "500/s" or "30/min", a number per second, or a shape: "ramp(0/s..500/s)", "staircase(100/s..500/s, 5)", "spike(50/s..500/s)" or "diurnal(50/s..500/s)", found 0
              9 | phases = [ { for = "10s", rate = 0 } ]
                |                                  ^"#]],
    );
}

#[test]
fn faults_must_fit_into_the_load_and_the_cluster() {
    check_tail(
        r#"
[[fault]]
at = "9s"
for = "2s"
kind = "kill"
target = "store-4"

[[fault]]
at = "1s"
every = "1s"
for = "1s"
kind = "kill"
target = "owner(conversation=6)"

[[fault]]
at = "1s"
for = "1s"
kind = "cut"
one_way = true
between = [["gateway(user=11)"], ["any gatway"]]
target = "store-1"

[[fault]]
at = "1s"
for = "1s"
kind = "flap"
from = "store-1"
down = "1s"
"#,
        &expect![[r#"
            smoke.toml:12:6: fault.1.at: from 9s for 2s is not within the load, which ends at 10s
              12 | at = "9s"
                 |      ^^^^
            smoke.toml:15:10: fault.1.target: there is no store-4, only store-1 to store-3
              15 | target = "store-4"
                 |          ^^^^^^^^^
            smoke.toml:19:9: fault.2.every: every 1s begins again before the previous 1s are over
              19 | every = "1s"
                 |         ^^^^
            smoke.toml:22:10: fault.2.target: conversations are 1 to 5, not 6
              22 | target = "owner(conversation=6)"
                 |          ^^^^^^^^^^^^^^^^^^^^^^^
            smoke.toml:29:35: fault.3.between.2.1: expected a target: "store-1", "owner(conversation=3)", "broker(conversation=3)", "gateway(user=7)", "clients(user=7)", "any store" or "every store", found "any gatway"; did you mean "any gateway"?
              29 | between = [["gateway(user=11)"], ["any gatway"]]
                 |                                   ^^^^^^^^^^^^
            smoke.toml:30:10: fault.3.target: a cut takes between, from, to, one_way, not "target"
              30 | target = "store-1"
                 |          ^^^^^^^^^
            smoke.toml:35:8: fault.4.kind: a flap needs "up": a duration up to a day, such as "250ms", "6s" or "10m"
              35 | kind = "flap"
                 |        ^^^^^^"#]],
    );
}

#[test]
fn expectations_name_invariants_of_the_judge() {
    check_tail(
        "[expect]\nverdict = \"valid\"\nviolates = [\"no_gap_in_sequence\", \"no_gaps_in_sequence\"]\n\
         may_be_idle = \"edits_converge\"\naccept = { p99 = \"250ms\" }\nrefused = \"1%\"\nthroughput = \"> 9\"\n\
         deliver_p99 = \"< 1s\"\n",
        &expect![[r#"
            smoke.toml:12:35: expect.violates.2: expected the name of an invariant, such as "accepted_message_survives", found "no_gaps_in_sequence"; did you mean "no_gap_in_sequence"?
              12 | violates = ["no_gap_in_sequence", "no_gaps_in_sequence"]
                 |                                   ^^^^^^^^^^^^^^^^^^^^^
            smoke.toml:14:18: expect.accept.p99: expected an upper bound such as "< 250ms", found "250ms"
              14 | accept = { p99 = "250ms" }
                 |                  ^^^^^^^
            smoke.toml:15:11: expect.refused: expected an upper bound such as "< 1%", found "1%"
              15 | refused = "1%"
                 |           ^^^^
            smoke.toml:16:14: expect.throughput: expected a lower bound such as "> 900/s", found "> 9"
              16 | throughput = "> 9"
                 |              ^^^^^
            smoke.toml:17:1: unknown key "deliver_p99" in [expect]; did you mean "deliver_calm"?
              17 | deliver_p99 = "< 1s"
                 | ^^^^^^^^^^^"#]],
    );
    check_tail(
        "[expect]\nverdict = \"valid\"\nviolates = [\"no_gap_in_sequence\"]\n",
        &expect![[r#"
            smoke.toml:12:12: expect.violates: set either verdict = "valid" or violates, not both
              12 | violates = ["no_gap_in_sequence"]
                 |            ^^^^^^^^^^^^^^^^^^^^^^"#]],
    );
}

#[test]
fn a_caret_stands_below_what_is_meant_behind_tabs_and_wide_letters() {
    check_tail(
        "\t# größer\n\tarivals = \"poisson\" # é\n",
        &expect![[r#"
        smoke.toml:11:2: unknown key "arivals" in [load]; did you mean "arrivals"?
          11 | 	arivals = "poisson" # é
             | 	^^^^^^^"#]],
    );
}

#[test]
fn nothing_ends_the_clients_who_observe_the_run() {
    let text = format!(
        "{SMALL}{}",
        r#"[[fault]]
at = "1s"
for = "1s"
kind = "kill"
target = "any clients"
[[fault]]
at = "1s"
for = "1s"
kind = "power_loss"
target = "clients(user=1)"
[random_faults]
every = "1s"
for = "1s..6s"
kinds = ["pause", "kill"]
roles = ["clients"]
"#
    );
    expect![[r#"
        smoke.toml:14:10: fault.1.target: kill cannot hit any clients: the users observe the run, and dead ones observe nothing; pause clients, or cut their links
          14 | target = "any clients"
             |          ^^^^^^^^^^^^^
        smoke.toml:19:10: fault.2.target: power_loss cannot hit clients(user=1): the users observe the run, and dead ones observe nothing; pause clients, or cut their links
          19 | target = "clients(user=1)"
             |          ^^^^^^^^^^^^^^^^^
        smoke.toml:22:7: random_faults.for: an episode must be longer than zero and end within the load: lead takes 5s of 10s
          22 | for = "1s..6s"
             |       ^^^^^^^^
        smoke.toml:24:9: random_faults.roles: a kill cannot hit any of them: the users observe the run, and dead ones observe nothing; pause clients, or cut their links
          24 | roles = ["clients"]
             |         ^^^^^^^^^^^"#]].assert_eq(&told(&text));
}

#[test]
fn more_than_a_gateway_takes_from_a_user_is_refused() {
    let fast = SMALL.replace("5/s", "900/s");
    assert_ne!(fast, SMALL);
    check(
        &fast,
        &expect![[r#"
            smoke.toml:9:34: load.phases.1.rate: 90 messages a second for each user who is online; a gateway takes at most 50 per user
              9 | phases = [ { for = "10s", rate = "900/s" } ]
                |                                  ^^^^^^^"#]],
    );
}
