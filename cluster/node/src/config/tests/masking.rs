//! Secrets in files with mistakes: no message repeats one.

use super::super::masking::Masking;
use super::keys::EVERY_KEY;
use super::{NODES, check, read};
use crate::config::{engine_tables, file};
use expect_test::expect;
use settings::Section;

/// What stands for a secret below.
const HIDDEN: [&str; 2] = ["hunter2", "swordfish"];

fn told(text: &str) -> String {
    let mistakes = read(text).expect_err("a mistake");
    for secret in HIDDEN {
        assert!(!mistakes.contains(secret), "{text}\n{mistakes}");
    }
    mistakes
}

#[test]
fn what_may_have_been_meant_as_a_secret_is_hidden() {
    for key in [
        "development_pasword",
        "passwrd",
        "passwd",
        "Password",
        "PASSWORD",
        "pwd",
        "secrets",
        "client_secrt",
        "db-pass",
        "clientsecret",
        "\"development_password\\u0020\"",
    ] {
        let text = format!("{NODES}[design]\n{key} = \"hunter2\"\n");
        assert!(told(&text).contains("unknown key"), "{key}");
        told(&format!("{key} = \"\"\"\nswordfish\nhunter2\"\"\" 5\n{NODES}"));
        told(&format!("{NODES}[{key}]\nfile = \"hunter2\"\n"));
    }
    check(
        &format!("development_pasword = \"hunter2\"\n{NODES}"),
        &expect![[r#"
            cluster.toml:1:1: unknown key "development_pasword" in the configuration; did you mean "development_password"?
              1 | development_pasword = *********
                | ^^^^^^^^^^^^^^^^^^^"#]],
    );
}

#[test]
fn what_stands_behind_a_key_that_there_is_not_may_be_anything() {
    for key in ["api_key", "header_token", "devpw", "passcode", "x"] {
        let of_tree = format!("{NODES}[traces]\n{key} = \"hunter2\"\n");
        assert!(told(&of_tree).contains("unknown key"), "{key}");
        // Something that is no TOML follows, on that line or on the next.
        told(&format!("{NODES}[traces]\n{key} = \"hunter2\" swordfish\n"));
        told(&format!("{NODES}[traces]\n{key} = [\"hunter2\",\nswordfish\n"));
    }
}

#[test]
fn values_of_several_lines_are_hidden_to_their_end() {
    for text in [
        "development_password = \"\"\"\nhunter2\"\"\" swordfish\n",
        "development_password = '''\nhosts\nhunter2''' 5\nswordfish = \n",
        "development_password = \"hunter2\nswordfish\"\n",
        "development_password = \"\"\"\nhunter2\nc3dvcmRmaXNo=\nswordfish",
        "development_password = [\n\"hunter2\",\n\"swordfish\"\n]\n",
        "services = [{ id = \"me\", secret = { hunter2\nswordfish } }]\n",
        "services = [{ id = \"me\", secret = \"\"\"\nhunter2\"\"\", scope = 5 }]\n",
        "services = [{ id = \"me\", passwrd = \"\"\"\nswordfish\"\"\", scopes = 5, id = \"hunter2\" }]\n",
        "development_password: \"hunter2\"\n",
        "development_password \"hunter2\"\nswordfish\n",
        "[development_password]\nhunter2\n",
    ] {
        told(text);
        told(&format!("{text}{NODES}"));
    }
}

#[test]
fn the_users_of_urls_are_hidden() {
    for text in [
        "[oidc]\nissuer = \"https://me:hunter2@id.example\"\naudience = \"chat\"\n",
        "[oidc]\nissuer = \"https://me:hun@hunter2@id.example\"\naudience = \"chat\"\n",
        "[oidc]\nissuer = \"https://me\\u0040hunter2@id.example\"\naudience = \"chat\"\n",
        "[oidc]\nissuer = 'https://me:hunter2@id.example' 5\n",
        "[traces]\nendpoint = \"http://hunter2@traces.example/v1/traces\"\n",
        "[traces]\nendpoint = \"\"\"http://swordfish:hunter2@traces.example/v1/traces\"\"\"\n",
        "[engine]\nbroker = \"kafka\"\n[engine.kafka]\nservers = [\"kafka://me:hunter2@k:9092\"]\n",
        "[engine]\nbroker = \"kafka\"\n[engine.kafka]\nservers = \"me:hunter2@k\"\n",
    ] {
        assert!(told(&format!("{NODES}{text}")).contains('*'), "{text}");
    }
    check(
        &format!("{NODES}[traces]\nendpoint = \"http://me:hunter2@traces.example/v1\" # hunter2\n"),
        &expect![[r#"
            cluster.toml:7:12: traces.endpoint: expected a URL like "http://127.0.0.1:4318/v1/traces", found "http://***@traces.example/v1"
              7 | endpoint = "http://**********@traces.example/v1" #********
                |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#]],
    );
}

#[test]
fn what_is_no_secret_is_shown() {
    check(
        "partitions = 0\n[design]\nfsync = \"#2\"\n[topology\ngateways = [\"127.0.0.1:1\"]\n",
        &expect![[r"
            cluster.toml:4:10: not TOML: unclosed table, expected `]`
              4 | [topology
                |          ^"]],
    );
    let broken = "development_password = \"a\"\npartitions = 8 8\n";
    assert!(told(broken).contains("partitions = 8 8\n"));
    let masking = Masking::new();
    let keys = [file::File::keys(), file::Account::keys(), file::Addresses::keys()].concat();
    let engines = [
        engine_tables::RabbitTable::keys(),
        engine_tables::KafkaTable::keys(),
        engine_tables::PostgresTable::keys(),
        engine_tables::CassandraTable::keys(),
    ];
    for key in keys.iter().chain(engines.iter().flatten()) {
        assert_eq!(masking.is_secret(key.name), file::SECRETS.contains(&key.name), "{}", key.name);
    }
}

#[test]
fn any_text_is_masked_byte_for_byte() {
    let masking = Masking::new();
    for at in (0..EVERY_KEY.len()).step_by(23) {
        let (before, after) = EVERY_KEY.split_at(at);
        for put in ["", "\n", "\"", "'''", "[", "]", "}", "#", "ä", "@", "= ", "\\"] {
            let text = format!("{before}{put}{after}");
            let lengths = |text: &str| text.lines().map(str::len).collect::<Vec<_>>();
            assert_eq!(lengths(&masking.of_broken(&text)), lengths(&text), "{text}");
            let _ = read(&text);
        }
    }
}
