//! Cassandra under the stores.

use super::{NODES, read};

#[test]
fn cassandra_is_chosen_with_all_that_it_needs() {
    let told = |engine: &str| read(&format!("{NODES}[engine]\n{engine}"));
    let table = "[engine.cassandra]\nhosts = [\"db:9042\"]\n";
    let chosen = told(&format!("store = \"cassandra\"\n{table}")).unwrap();
    assert!(chosen.engine.store.is_shared());
    let cassandra = chosen.engine.cassandra.unwrap();
    assert_eq!((cassandra.keyspace.as_str(), cassandra.replication), ("fracas", 3));
    for (engine, expected) in [
        ("store = \"cassandra\"\n".to_owned(), "the table is needed for store = \"cassandra\""),
        (table.to_owned(), "it is for store = \"cassandra\" alone"),
        (format!("store = \"cassandra\"\n{table}keyspace = \"No\"\n"), "small letters, digits"),
        (format!("store = \"cassandra\"\n{table}user = \"me\"\n"), "it goes with a password"),
        ("store = \"casandra\"\n".to_owned(), "cassandra"),
    ] {
        let mistakes = told(&engine).unwrap_err();
        assert!(mistakes.contains(expected), "{mistakes}");
    }
}
