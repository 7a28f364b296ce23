//! PostgreSQL under the stores.

use super::{NODES, read};

#[test]
fn postgres_is_chosen_with_all_that_it_needs() {
    let told = |engine: &str| read(&format!("{NODES}[engine]\n{engine}"));
    let table = "[engine.postgres]\nhosts = [\"db:5432\"]\nuser = \"me\"\npassword = \"mine\"\n";
    let chosen = told(&format!("store = \"postgres\"\n{table}tls = true\n")).unwrap();
    assert!(chosen.engine.store.is_shared());
    let postgres = chosen.engine.postgres.unwrap();
    assert_eq!(
        (postgres.hosts, postgres.schema),
        (vec!["db:5432".to_owned()], "fracas".to_owned())
    );
    assert!(postgres.tls && postgres.synchronous_commit);
    for (engine, expected) in [
        ("store = \"postgres\"\n".to_owned(), "the table is needed for store = \"postgres\""),
        (table.to_owned(), "it is for store = \"postgres\" alone"),
        (format!("store = \"postgres\"\n{table}schema = \"No\"\n"), "small letters, digits"),
        (format!("store = \"postgres\"\n{table}authority = \"ca\"\n"), "for tls = true alone"),
    ] {
        let mistakes = told(&engine).unwrap_err();
        assert!(mistakes.contains(expected), "{mistakes}");
    }
}
