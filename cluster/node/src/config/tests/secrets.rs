//! Secrets that the configuration keeps elsewhere.

use super::super::*;
use super::example;

fn fetch(kept: Kept<'_>) -> Result<String, String> {
    match kept {
        Kept::File("users") => Ok("of-the-users\n".to_owned()),
        Kept::Variable("SERVICE") => Ok("of-the-service".to_owned()),
        Kept::File("empty") => Ok("\n".to_owned()),
        Kept::File(path) => Err(format!("cannot read {path}: no such file")),
        Kept::Variable(name) => Err(format!("the variable {name} is not set")),
    }
}

fn read_with(users: &str, service: &str) -> Result<ClusterConfig, String> {
    let text = example()
        .replace("\"fracas\"\n", &format!("{users}\n"))
        .replace("\"fracas-secret\"", service);
    ClusterConfig::read_with(&text, "cluster.toml", &fetch).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn secrets_come_from_files_and_from_the_environment() {
    let config = read_with("{ file = \"users\" }", "{ variable = \"SERVICE\" }").unwrap();
    assert_eq!(config.development_password, "of-the-users".into());
    assert_eq!(config.services[0].secret, "of-the-service".into());
}

#[test]
fn a_secret_that_cannot_be_had_is_told_with_its_place() {
    let (good, other) = ("{ file = \"users\" }", "{ variable = \"SERVICE\" }");
    for (users, service, told) in [
        ("{ file = \"none\" }", other, "development_password: cannot read none: no such file"),
        ("{ file = \"empty\" }", other, "development_password: the file empty is empty"),
        (good, "{ variable = \"NO\" }", "services.1.secret: the variable NO is not set"),
        (good, "{ files = \"users\" }", "services.1.secret: expected text in quotes, { file ="),
        (good, "{ file = 3 }", "found another table"),
        (good, "{}", "found another table"),
        (good, "{ file = \"users\", variable = \"SERVICE\" }", "found another table"),
    ] {
        let mistakes = read_with(users, service).unwrap_err();
        assert!(mistakes.contains(told), "{told}\n{mistakes}");
        assert_eq!(mistakes.matches("cluster.toml:").count(), 1, "{mistakes}");
    }
}

#[test]
fn without_a_way_to_other_places_a_secret_there_is_a_mistake() {
    let text = example().replace("\"fracas-secret\"", "{ file = \"users\" }");
    let mistakes = ClusterConfig::read(&text, "cluster.toml").unwrap_err().to_string();
    assert!(mistakes.contains("no secrets are read from elsewhere"), "{mistakes}");
}

#[test]
fn a_service_of_all_scopes_is_found() {
    let config = read_with("\"a\"", "\"b\"").unwrap();
    assert_eq!(config.service_of_all_scopes().map(|found| &*found.id), Some("fracas-service"));
    let mut audit_alone = config;
    audit_alone.services[0].scopes = vec!["audit".to_owned()];
    assert_eq!(audit_alone.service_of_all_scopes(), None);
}
