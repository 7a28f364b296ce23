//! Every scenario of the library can be read.

use super::Finding;
use crate::repository::Repository;

pub fn check(repository: &Repository) -> Vec<Finding> {
    repository
        .files
        .iter()
        .filter(|file| file.path.starts_with("scenarios/") && file.has_extension("toml"))
        // scenarios/safety/smoke.toml is one, scenarios/Cargo.toml is none.
        .filter(|file| file.path.matches('/').count() == 2)
        .filter_map(|file| scenarios::parse(&file.text, &file.path, &[]).err().map(|e| (file, e)))
        .flat_map(|(file, mistakes)| {
            let finding = |mistake: &scenarios::Mistake| {
                let remedy = "see docs/scenarios.md";
                Finding::new(&file.path, mistake.line, mistake.problem.to_string(), remedy)
            };
            mistakes.list().iter().map(finding).collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::check;

    #[test]
    fn a_mistake_is_found_at_its_line() {
        let text = "question = \"?\"\nlesson = \"!\"\nquestin = \"\"\n[users]\ncount = 10\n\
                    conversations = { groups = 1 }\n[load]\nphases = [{ for = \"1s\", rate = 1 }]\n";
        let files = [("scenarios/safety/a.toml", text), ("scenarios/Cargo.toml", "[package]\n")];
        assert_eq!(told(check, &files), ["scenarios/safety/a.toml:3"]);
    }
}
