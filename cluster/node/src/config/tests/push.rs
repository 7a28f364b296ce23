//! The table `[push]`.

use super::{NODES, check, read};
use crate::config::Push;
use expect_test::expect;

/// `NODES` ends in the table of the addresses.
fn with_provider(table: &str) -> String {
    format!("{NODES}push_provider = \"push.example:443\"\n[push]\n{table}")
}

#[test]
fn a_provider_is_reached_in_the_plainest_way_unless_the_table_says_otherwise() {
    assert_eq!(read(NODES).unwrap().push, None);
    assert_eq!(read(&with_provider("")).unwrap().push, Some(Push::default()));
    let read = read(&with_provider("tls = true\nsecret = \"known\"\n")).unwrap();
    let expected = Push { tls: true, secret: Some("known".into()), ..Push::default() };
    assert_eq!(read.push, Some(expected));
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (table, expected) in [
        ("authority = \"push.pem\"\n", "push.authority: it is for tls = true alone"),
        ("secret = \"known\"\n", "push.secret: it would be sent in plaintext"),
        ("tls = true\nsecret = \"\"\n", "push.secret: expected visible ASCII characters"),
        ("tls = true\nsecret = \"well known\"\n", "push.secret: expected visible ASCII characters"),
        ("path = \"push\"\n", "push.path: expected a path like \"/push\", found \"push\""),
        ("path = \"/a b\"\n", "push.path: expected a path like"),
        ("path = \"/a<b\"\n", "push.path: expected a path like"),
        ("path = '/a`b'\n", "push.path: expected a path like"),
    ] {
        let mistakes = read(&with_provider(table)).unwrap_err();
        assert!(mistakes.contains(expected), "{table}\n{mistakes}");
        assert!(!mistakes.contains("known"), "{mistakes}");
    }
    check(
        &format!("{NODES}[push]\ntls = true\n"),
        &expect![[r"
        cluster.toml:6:1: push: there is no provider: its address stands in topology.push_provider
          6 | [push]
            | ^^^^^^"]],
    );
}
