//! A small scenario to vary.

/// The least that a scenario needs.
pub const SMALL: &str = r#"question = "Does it work?"
lesson = "It does."

[users]
count = 10
conversations = { direct = 3, groups = 2 }

[load]
phases = [ { for = "10s", rate = "5/s" } ]
"#;

/// All mistakes of a text, as they are shown.
pub fn told(text: &str) -> String {
    match scenarios::parse(text, "smoke.toml", &[]) {
        Ok(scenario) => panic!("no mistake was found in {scenario:#?}"),
        Err(mistakes) => mistakes.to_string(),
    }
}
