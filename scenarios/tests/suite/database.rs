//! The database that stores share, as a target of faults.

use crate::fixtures::{SMALL, told};
use expect_test::{Expect, expect};

fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&told(text));
}

#[test]
fn a_database_is_there_where_stores_share_one_and_is_hit_as_a_process_is() {
    let fault = |target: &str| {
        format!("[[fault]]\nat = \"1s\"\nfor = \"1s\"\nkind = \"kill\"\ntarget = \"{target}\"\n")
    };
    check(
        &format!("{SMALL}{}{}", fault("database-1"), fault("any databse")),
        &expect![[r#"
        smoke.toml:14:10: fault.1.target: there is no database-1: the stores share no engine; with cluster.engine = "shared" they do
          14 | target = "database-1"
             |          ^^^^^^^^^^^^
        smoke.toml:19:10: fault.2.target: expected a target: "store-1", "owner(conversation=3)", "broker(conversation=3)", "gateway(user=7)", "clients(user=7)", "any store" or "every store", found "any databse"; did you mean "any database"?
          19 | target = "any databse"
             |          ^^^^^^^^^^^^^"#]],
    );
    check(
        &format!(
            "{}{}",
            SMALL.replacen("[users]", "[cluster]\nengine = \"shared\"\n\n[users]", 1),
            r#"[[fault]]
at = "1s"
for = "1s"
kind = "pause"
target = "database-2"
[[fault]]
at = "1s"
for = "1s"
kind = "skew"
offset = "1s"
target = "every database"
[[fault]]
at = "1s"
for = "1s"
kind = "cut"
from = ["any store"]
to = ["database-1"]
[random_faults]
lead = "1s"
every = "1s"
for = "1s..2s"
kinds = ["full_disk"]
roles = ["database"]
"#
        ),
        &expect![[r#"
            smoke.toml:17:10: fault.1.target: there is no database-2, only database-1
              17 | target = "database-2"
                 |          ^^^^^^^^^^^^
            smoke.toml:23:10: fault.2.target: skew cannot hit every database: a database can be killed and paused; nodes reach it beside broker-1
              23 | target = "every database"
                 |          ^^^^^^^^^^^^^^^^
            smoke.toml:29:6: fault.3.to: cut cannot hit database-1: a database can be killed and paused; nodes reach it beside broker-1
              29 | to = ["database-1"]
                 |      ^^^^^^^^^^^^^^
            smoke.toml:35:9: random_faults.roles: a full_disk cannot hit any of them: a database can be killed and paused; nodes reach it beside broker-1
              35 | roles = ["database"]
                 |         ^^^^^^^^^^^^"#]],
    );
}
