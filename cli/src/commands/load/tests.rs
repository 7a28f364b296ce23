//! Claims about the commands that reproduce loads, and about loads without faults.

use super::*;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    load: Load,
}

#[test]
fn the_command_that_makes_a_run_again_says_against_what() {
    let one = Line::try_parse_from("load a.toml --one-process".split(' ')).ok().unwrap().load;
    let told = one.reproduce(Path::new("a.toml"), &[]);
    assert_eq!(told, "fracas load a.toml --seed 1 --one-process");
    assert!(
        Line::try_parse_from("load a.toml --one-process --target h:1".split(' ')).is_err(),
        "whoever runs the cluster decides that"
    );
    let words = "load a.toml --seed 3 --target h:1 --target h:2 --without-faults --quiet";
    let load = Line::try_parse_from(words.split(' ')).map(|line| line.load).ok().unwrap();
    assert_eq!(
        load.reproduce(Path::new("a.toml"), &["users.count=5".to_owned()]),
        "fracas load a.toml --seed 3 --set 'users.count=5' --target h:1 --target h:2 \
         --without-faults"
    );
}

#[test]
fn without_faults_every_library_scenario_has_nothing_left_to_do() {
    let reach = loadgen::Reach { processes: None, alone: true };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
    for listing in scenarios::library(std::path::Path::new(folder)).unwrap() {
        let text = std::fs::read_to_string(&listing.path).unwrap();
        let mut scenario =
            scenarios::parse(&text, &listing.path.display().to_string(), &[]).unwrap();
        leave_out_faults(&mut scenario);
        assert_eq!(loadgen::not_done(&scenario, 1, reach), [""; 0], "{}", scenario.name);
    }
}
