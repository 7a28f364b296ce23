//! An issuer outside of the cluster.

use super::{NODES, Oidc, check, read};
use expect_test::expect;

#[test]
fn an_issuer_and_an_audience_are_enough() {
    let table = "[oidc]\nissuer = \"http://127.0.0.1:9000\"\naudience = \"chat\"\n";
    let expected = Oidc {
        issuer: "http://127.0.0.1:9000".into(),
        audience: "chat".into(),
        user_claim: "sub".into(),
        authority: None,
        refresh_seconds: 300,
    };
    let read = read(&format!("{NODES}{table}")).unwrap();
    assert_eq!(read.oidc, Some(expected));
}

#[test]
fn what_is_wrong_with_an_issuer_is_told_with_its_place() {
    check(
        &format!(
            "{NODES}[oidc]\nissuer = \"id.example\"\naudience = \"\"\nuser_claim = 5\n\
             refresh_seconds = 9\nauthorty = \"a\"\n"
        ),
        &expect![[r#"
            cluster.toml:7:10: oidc.issuer: expected a URL like "https://id.example", without a query, found "id.example"
              7 | issuer = "id.example"
                |          ^^^^^^^^^^^^
            cluster.toml:8:12: oidc.audience: expected text in quotes that is not empty, found ""
              8 | audience = ""
                |            ^^
            cluster.toml:9:14: oidc.user_claim: expected text in quotes that is not empty, found 5
              9 | user_claim = 5
                |              ^
            cluster.toml:10:19: oidc.refresh_seconds: expected a whole number from 10 to 86400, found 9
              10 | refresh_seconds = 9
                 |                   ^
            cluster.toml:11:1: unknown key "authorty" in [oidc]; did you mean "authority"?
              11 | authorty = ***
                 | ^^^^^^^^"#]],
    );
    check(
        &format!("{NODES}[oidc]\nuser_claim = \"sub\"\n"),
        &expect![[r#"
        cluster.toml:6:1: [oidc] needs "issuer": a URL like "https://id.example", without a query
          6 | [oidc]
            | ^^^^^^
        cluster.toml:6:1: [oidc] needs "audience": text in quotes that is not empty
          6 | [oidc]
            | ^^^^^^"#]],
    );
}

#[test]
fn what_does_not_go_together_with_an_issuer_is_told_with_its_place() {
    for (table, expected) in [
        (
            "issuer = \"http://127.0.0.1:1\"\n",
            "oidc.issuer: it is the cluster's own, which needs no table",
        ),
        (
            "issuer = \"http://id\"\nauthority = \"a.pem\"\n",
            "oidc.authority: it is for an issuer at https:// alone",
        ),
        ("issuer = \"https://id?a=b\"\n", "oidc.issuer: expected a URL"),
        ("issuer = \"https://me:you@id\"\n", "oidc.issuer: expected a URL"),
    ] {
        let mistakes = read(&format!("{NODES}[oidc]\naudience = \"chat\"\n{table}")).unwrap_err();
        assert!(mistakes.contains(expected), "{mistakes}");
    }
}
