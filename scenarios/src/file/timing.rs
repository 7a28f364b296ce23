//! Whether the phases are long enough for what is expected of them. Liveness is judged until the final
//! reads begin: a deadline beyond them would never be missed, and a check that cannot fail is none.

use super::expect::Expect;
use super::users::Users;
use crate::scenario::{self, PhaseLengths};
use settings::mistake::Mistakes;
use settings::value::TextForm;
use std::time::Duration;

/// What a login takes at most, of a cluster that is well.
const LOGIN: Duration = Duration::from_secs(2);

/// Notes every deadline that the phases, the cluster or the users leave no room for; true if there is none.
/// `given_up_after`: how long a session on a dead connection counts as there, if faults can make one. `revokes`:
/// whether users lose their tokens.
pub fn fits(
    phases: &PhaseLengths,
    users: Option<(&Users, &scenario::Users)>,
    (given_up_after, revokes): (Option<Duration>, bool),
    expect: Option<(&Expect, &scenario::Expect)>,
    mistakes: &mut Mistakes,
) -> bool {
    let mut all_fit = true;
    if let Some((section, users)) = users
        && users.connect_over > phases.warm_up
    {
        let (over, warm_up) = (users.connect_over.text(), phases.warm_up.text());
        let what = format!("connecting takes {over}, but phases.warm_up only {warm_up}");
        section.connect.conflict(mistakes, what);
        all_fit = false;
    }
    let Some((section, expect)) = expect else { return all_fit };
    for (field, deadline) in [
        (&section.delivered_after_heal, expect.delivered_after_heal),
        (&section.no_stuck_session, expect.no_stuck_session),
        (&section.pushed_within, expect.pushed_within),
    ] {
        if deadline > phases.settle {
            let (deadline, settle) = (deadline.text(), phases.settle.text());
            let what = format!(
                "a deadline of {deadline} would pass only after the judgement: phases.settle takes \
                 {settle} and must take at least {deadline}"
            );
            field.conflict(mistakes, what);
            all_fit = false;
        }
    }
    if let Some(after) = given_up_after
        && expect.pushed_within < after
    {
        let (within, after) = (expect.pushed_within.text(), after.text());
        let what = format!(
            "a session whose connection a fault has cut is given up only after {after}, by \
             cluster.heartbeat, and nobody is told by a push before that; found {within}"
        );
        section.pushed_within.conflict(mistakes, what);
        all_fit = false;
    }
    let back_after = scenario::REVOKED_FOR_MAX + LOGIN;
    if revokes && expect.no_stuck_session < back_after {
        let (stuck, least) = (expect.no_stuck_session.text(), back_after.text());
        let what = format!(
            "users whose tokens are revoked (load.mix.revoke) stay away by themselves and log in again: \
             expected at least {least}, found {stuck}"
        );
        section.no_stuck_session.conflict(mistakes, what);
        all_fit = false;
    }
    let is_judged = expect.may_be_idle.iter().all(|claim| claim != "recovers_to_baseline");
    if is_judged && expect.recovers_within >= phases.heal {
        let (within, heal) = (expect.recovers_within.text(), phases.heal.text());
        let what = format!(
            "nobody would be sending when the recovery is judged, {within} after the heal: phases.heal \
             takes {heal} and must take more than {within}"
        );
        section.recovers_within.conflict(mistakes, what);
        all_fit = false;
    }
    all_fit
}
