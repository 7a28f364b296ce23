//! What became of each part of a stack: which orders it may get, and what its end means.

use protocol::nearest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long a part that has ended by itself waits until it is started again: what it had started may not be gone yet.
/// Twice as long after each start that fails.
const AGAIN: Duration = Duration::from_secs(1);
/// Starts that may fail in a row.
const STARTS: u32 = 5;

/// What may be done to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// End it at once, with SIGKILL.
    Kill,
    /// Let it drain and end.
    Stop,
    /// Start it on its data.
    Start,
    /// Stop all of its processes where they stand.
    Pause,
    /// Let them go on.
    Resume,
}

impl Action {
    /// In a sentence.
    const fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }
}

/// How a part is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It has a process that does not take work yet.
    Starting,
    /// It takes work.
    Running,
    /// Its processes stand still.
    Paused,
    /// It was asked to end.
    Stopping,
    /// It has ended, as it was asked to.
    Stopped,
    /// It was killed.
    Killed,
    /// It has ended by itself, and waits until it is started again.
    Restarting,
    /// It ended instead of starting: how.
    Failed(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Killed => "killed",
            Self::Restarting => "restarting",
            Self::Failed(how) => return write!(f, "failed: {how}"),
        })
    }
}

/// All parts of a stack.
#[derive(Debug)]
pub struct Parts(BTreeMap<Arc<str>, Part>);

#[derive(Debug)]
struct Part {
    state: State,
    /// Starts without an order since it ran.
    restarts: u32,
}

impl Part {
    const fn new(state: State) -> Self {
        Self { state, restarts: 0 }
    }

    /// When it is to be started again, if it is.
    fn restart(&mut self) -> Option<Duration> {
        let delay = AGAIN * 2_u32.pow(self.restarts);
        self.restarts += 1;
        (self.restarts <= STARTS).then_some(delay)
    }
}

impl Parts {
    /// All of them start.
    pub fn new(names: impl Iterator<Item = Arc<str>>) -> Self {
        Self(names.map(|name| (name, Part::new(State::Starting))).collect())
    }

    /// How one of them is.
    pub fn state(&self, name: &str) -> &State {
        &self.0.get(name).expect("only parts are asked for").state
    }

    /// Those that are like that.
    pub fn those(&self, state: &State) -> Vec<Arc<str>> {
        let like = self.0.iter().filter(|(_, it)| it.state == *state);
        like.map(|(name, _)| name.clone()).collect()
    }

    /// The parts that an order names, each of which may get it.
    ///
    /// # Errors
    /// There is no such part, or it is not in a state for this: with what there is.
    pub fn ordered(&self, action: Action, named: &[String]) -> Result<Vec<Arc<str>>, String> {
        named.iter().map(|name| self.one(action, name)).collect()
    }

    fn one(&self, action: Action, name: &str) -> Result<Arc<str>, String> {
        let Some((name, Part { state, .. })) = self.0.get_key_value(name) else {
            let names = || self.0.keys().map(|name| &**name);
            let all = names().collect::<Vec<_>>().join(", ");
            return Err(nearest(name, names()).map_or_else(
                || format!("there is no part {name}: there are {all}"),
                |meant| format!("there is no part {name}; did you mean {meant}? There are {all}"),
            ));
        };
        let has_process =
            matches!(state, State::Starting | State::Running | State::Paused | State::Stopping);
        let may = match action {
            // What waits to be started again is left down.
            Action::Kill => has_process || *state == State::Restarting,
            Action::Stop => matches!(state, State::Running | State::Starting),
            Action::Start => !has_process,
            Action::Pause => *state == State::Running,
            Action::Resume => *state == State::Paused,
        };
        let refused = || format!("cannot {} {name}: it is {state}", action.word());
        if may { Ok(name.clone()) } else { Err(refused()) }
    }

    /// Something was done to a part.
    pub fn done(&mut self, action: Action, name: &Arc<str>) {
        let state = match action {
            Action::Kill => State::Killed,
            Action::Stop => State::Stopping,
            Action::Start => State::Starting,
            Action::Pause => State::Paused,
            Action::Resume => State::Running,
        };
        self.0.insert(name.clone(), Part::new(state));
    }

    /// A start has come to something: after how long it is tried again, if it is. What was killed or asked to end
    /// meanwhile is left as it is.
    pub fn started(&mut self, name: &Arc<str>, failure: Option<String>) -> Option<Duration> {
        let part = self.0.get_mut(name).expect("only parts are started");
        if part.state != State::Starting {
            return None;
        }
        let Some(how) = failure else {
            *part = Part::new(State::Running);
            return None;
        };
        // An order that fails is the business of whoever gave it.
        let again = if part.restarts == 0 { None } else { part.restart() };
        part.state = if again.is_some() { State::Restarting } else { State::Failed(how) };
        again
    }

    /// A part has ended: after how long it is to be started again, if it ended by itself.
    pub fn ended(&mut self, name: &Arc<str>) -> Option<Duration> {
        let part = self.0.get_mut(name).expect("only parts end");
        let is_asked = part.state == State::Stopping;
        part.state = if is_asked { State::Stopped } else { State::Restarting };
        if is_asked { None } else { part.restart() }
    }

    /// A part is started again, unless an order was faster; whether it is.
    pub fn restarts(&mut self, name: &Arc<str>) -> bool {
        let part = self.0.get_mut(name).expect("only parts are started");
        let is_due = part.state == State::Restarting;
        if is_due {
            part.state = State::Starting;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Parts {
        let mut parts = Parts::new(["gateway-1", "store-1", "store-2"].map(Arc::from).into_iter());
        for name in parts.those(&State::Starting) {
            parts.started(&name, None);
        }
        parts
    }

    fn order(parts: &mut Parts, action: Action, name: &str) -> Result<(), String> {
        let ordered = parts.ordered(action, &[name.to_owned()])?;
        for name in &ordered {
            parts.done(action, name);
        }
        Ok(())
    }

    #[test]
    fn a_part_goes_through_its_states() {
        let mut parts = parts();
        let name: Arc<str> = "store-1".into();
        for (action, state) in [
            (Action::Pause, State::Paused),
            (Action::Resume, State::Running),
            (Action::Kill, State::Killed),
            (Action::Start, State::Starting),
        ] {
            order(&mut parts, action, &name).unwrap();
            assert_eq!(*parts.state(&name), state);
        }
        assert_eq!(parts.started(&name, Some("exit status: 3".to_owned())), None);
        assert_eq!(parts.state(&name).to_string(), "failed: exit status: 3");
        order(&mut parts, Action::Start, &name).unwrap();
        order(&mut parts, Action::Stop, &name).unwrap();
        // It ended before it had started.
        parts.started(&name, Some("no status".to_owned()));
        assert_eq!(parts.ended(&name), None, "it was asked to");
        assert_eq!(*parts.state(&name), State::Stopped);
    }

    #[test]
    fn what_ends_by_itself_is_started_again_but_not_for_ever() {
        let mut parts = parts();
        let name: Arc<str> = "store-2".into();
        let mut waits = vec![parts.ended(&name).unwrap()];
        assert_eq!(*parts.state(&name), State::Restarting);
        assert_eq!(parts.those(&State::Running), ["gateway-1".into(), "store-1".into()]);
        while parts.restarts(&name) {
            waits.extend(parts.started(&name, Some("exit status: 2".to_owned())));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16].map(Duration::from_secs));
        assert_eq!(parts.state(&name).to_string(), "failed: exit status: 2");
        order(&mut parts, Action::Start, &name).unwrap();
        assert_eq!(parts.started(&name, None), None);
        assert_eq!(parts.ended(&name), Some(AGAIN), "it ran: that is a new end");
        order(&mut parts, Action::Start, &name).unwrap();
        assert!(!parts.restarts(&name), "an order was faster");
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_what_can() {
        let mut parts = parts();
        let refused = order(&mut parts, Action::Start, "store-1").unwrap_err();
        assert_eq!(refused, "cannot start store-1: it is running");
        let refused = order(&mut parts, Action::Kill, "store-3").unwrap_err();
        let expected =
            "there is no part store-3; did you mean store-1? There are gateway-1, store-1, store-2";
        assert_eq!(refused, expected);
        let refused = order(&mut parts, Action::Kill, "kafka").unwrap_err();
        assert_eq!(refused, "there is no part kafka: there are gateway-1, store-1, store-2");
        order(&mut parts, Action::Kill, "store-1").unwrap();
        let refused = order(&mut parts, Action::Resume, "store-1").unwrap_err();
        assert_eq!(refused, "cannot resume store-1: it is killed");
    }
}
