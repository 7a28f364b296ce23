//! The state by its records: logins that give way, revocations, snapshots, keys.

use super::*;

const MOST: usize = 8;
use proptest::prelude::*;

fn family(user: u64, expires_ms: u64) -> Family {
    Family { user: UserId(user), scopes: vec!["chat".into()], fingerprint: [0; 32], expires_ms }
}

fn id(n: u8) -> FamilyId {
    FamilyId([n; 16])
}

#[test]
fn the_oldest_login_gives_way_and_so_do_expired_ones() {
    let mut state = State::new([0; 32]);
    for n in 0..MOST as u8 {
        state.apply(&Record::Family(id(n), family(1, 100 + u64::from(n == 3))));
    }
    assert_eq!(state.giving_way(UserId(1), MOST, 50), [id(0)]);
    assert_eq!(state.giving_way(UserId(1), MOST, 100).len(), MOST - 1);
    assert_eq!(state.giving_way(UserId(2), MOST, 100), []);
}

#[test]
fn a_revoked_user_has_a_new_epoch_and_no_families() {
    let mut state = State::new([0; 32]);
    state.apply(&Record::Family(id(1), family(1, 100)));
    state.apply(&Record::Family(id(2), family(2, 100)));
    for _ in 0..2 {
        state.apply(&Record::UserRevoked(UserId(1), state.next_revocation(UserId(1))));
    }
    assert_eq!((state.epoch(UserId(1)), state.epoch(UserId(2))), (2, 0));
    assert_eq!((state.family(id(1)), state.families()), (None, 1));
    let page: Vec<_> = state.revocations_after(0).collect();
    assert_eq!(page, [(2, Revoked::User(UserId(1), Revocation { epoch: 2, change: 2 }))]);
    assert_eq!(state.revocations_after(2).count(), 0);
}

#[test]
fn an_ended_login_is_remembered_while_its_tokens_live_and_its_number_for_ever() {
    let mut state = State::new([0; 32]);
    state.apply(&Record::Family(id(1), family(1, 100)));
    state.apply(&Record::Family(id(2), family(1, 100)));
    let ended = state.next_ending(50);
    state.apply(&Record::LoginRevoked(id(1), ended));
    assert_eq!((state.family(id(1)), state.families()), (None, 1));
    assert!(state.is_ended(id(1)) && !state.is_ended(id(2)));
    assert_eq!(state.revocations_after(0).last(), Some((1, Revoked::Login(id(1), ended))));
    assert_eq!(State::from_snapshot(state.to_snapshot(49)), state);
    let later = State::from_snapshot(state.to_snapshot(50));
    assert_eq!((state.forget_ended(49), state.forget_ended(50)), (0, 1));
    assert_eq!((later.changes(), later.revocations_after(0).count()), (1, 0));
    assert_eq!(later, state);
}

#[test]
fn what_is_forgotten_is_what_has_run_out_in_any_order() {
    let mut state = State::new([0; 32]);
    for (n, until_ms) in [(1, 70), (2, 50), (3, 60), (1, 40), (2, 50)] {
        state.apply(&Record::LoginRevoked(id(n), state.next_ending(until_ms)));
    }
    assert_eq!(state.by_end.len(), state.ended.len());
    assert_eq!((state.forget_ended(39), state.forget_ended(55)), (0, 2));
    assert!(state.is_ended(id(3)) && !state.is_ended(id(1)) && !state.is_ended(id(2)));
    assert_eq!(state.revocations_after(0).count(), 1);
    assert_eq!((state.forget_ended(60), state.by_end.len()), (1, 0));
}

fn records() -> impl Strategy<Value = Record> {
    prop_oneof![
        (0..6_u8, 1..4_u64, 1..200_u64)
            .prop_map(|(n, user, until)| Record::Family(id(n), family(user, until))),
        (0..6_u8).prop_map(|n| Record::FamilyEnded(id(n))),
        (1..4_u64).prop_map(|user| {
            let zero = Revocation { epoch: 0, change: 0 };
            Record::UserRevoked(UserId(user), zero)
        }),
        (0..6_u8, 1..200_u64).prop_map(|(n, until_ms)| {
            Record::LoginRevoked(id(n), EndedLogin { until_ms, change: 0 })
        }),
    ]
}

proptest! {
    #[test]
    fn a_snapshot_stands_for_its_history(
        history in proptest::collection::vec(records(), 0..40),
        taken in 0..40_usize,
    ) {
        let mut owner_of = BTreeMap::new();
        let mut state = State::new([9; 32]);
        let (mut replayed, mut done) = (Vec::new(), Vec::new());
        for record in &history {
            // A family never changes its user, and never comes back from its end: the issuer draws a
            // fresh name for each login.
            if let Record::Family(id, family) = record
                && (state.is_ended(*id)
                    || *owner_of.entry(*id).or_insert(family.user) != family.user) { continue }
            let record = match record {
                Record::UserRevoked(user, _) =>
                    Record::UserRevoked(*user, state.next_revocation(*user)),
                Record::LoginRevoked(id, ended) =>
                    Record::LoginRevoked(*id, state.next_ending(ended.until_ms)),
                other => other.clone(),
            };
            state.apply(&record);
            done.push(record);
        }
        prop_assert_eq!(&State::from_snapshot(state.to_snapshot(0)), &state);
        // Compaction takes its snapshot while the last records wait to be written behind it.
        replayed.extend_from_slice(&done[taken.min(done.len())..]);
        let mut again = State::from_snapshot(state.to_snapshot(0));
        for record in &replayed { again.apply(record); }
        prop_assert_eq!(&again.families, &state.families);
        prop_assert_eq!(&again.revocations, &state.revocations);
        prop_assert_eq!(&again.ended, &state.ended);
        prop_assert_eq!(&again.by_end, &state.by_end);
        prop_assert_eq!(&again.by_change, &state.by_change);
        prop_assert_eq!(again.changes, state.changes);
        prop_assert!(state.logins.values().map(VecDeque::len).sum::<usize>() == state.families());
    }
}
