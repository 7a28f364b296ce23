//! What the issuer remembers, as a state machine fed by records.
//!
//! The same `apply` serves a decision that was just made and the replay of the journal after a
//! restart, so the two cannot disagree.

use crate::core::refresh_token::FamilyId;
use protocol::UserId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// One change. New variants go at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Everything, at the beginning of a journal.
    Snapshot(Snapshot),
    /// A user logged in, or a refresh token was exchanged for the next one of its family.
    Family(FamilyId, Family),
    /// A family is over: it ran out, or its user logged in too often. Its access tokens live on.
    FamilyEnded(FamilyId),
    /// All tokens of a user that were issued before are revoked. Absolute numbers: a record that is
    /// replayed over a snapshot that has it already changes nothing.
    UserRevoked(UserId, Revocation),
    /// A login is over, with all its tokens: its user logged out, or a spent refresh token was shown.
    LoginRevoked(FamilyId, EndedLogin),
}

/// The current generation of a refresh family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Family {
    /// The user.
    pub user: UserId,
    /// The scopes of the login.
    pub scopes: Vec<String>,
    /// The fingerprint of the one secret that is not spent.
    pub secret: [u8; 32],
    /// When that secret runs out, milliseconds since the Unix epoch.
    pub expires_ms: u64,
}

/// A user's revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Tokens of earlier epochs are revoked.
    pub epoch: u64,
    /// The number of the change that made it so: rises over all users.
    pub change: u64,
}

/// The revocation of one login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedLogin {
    /// When the last of its access tokens has certainly run out: to be remembered until then.
    pub until_ms: u64,
    /// As of `Revocation`: one row of numbers.
    pub change: u64,
}

/// What was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// All earlier tokens of a user.
    User(UserId, Revocation),
    /// All tokens of a login.
    Login(FamilyId, EndedLogin),
}

/// Everything, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The seed of the signing key.
    pub seed: [u8; 32],
    /// Families in the order of their logins per user.
    pub families: Vec<(FamilyId, Family)>,
    /// Revocations.
    pub revocations: Vec<(UserId, Revocation)>,
    /// Logins that were revoked, and of which tokens may live.
    pub ended: Vec<(FamilyId, EndedLogin)>,
    /// The number of the newest revocation, be it forgotten or not.
    pub changes: u64,
}

/// Everything, as it is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    seed: [u8; 32],
    families: BTreeMap<FamilyId, Family>,
    /// The families of each user, oldest login first.
    logins: BTreeMap<UserId, VecDeque<FamilyId>>,
    revocations: BTreeMap<UserId, Revocation>,
    ended: BTreeMap<FamilyId, EndedLogin>,
    by_change: BTreeMap<u64, Whose>,
    changes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    User(UserId),
    Login(FamilyId),
}

impl State {
    /// Nobody has logged in yet.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            seed,
            families: BTreeMap::new(),
            logins: BTreeMap::new(),
            revocations: BTreeMap::new(),
            ended: BTreeMap::new(),
            by_change: BTreeMap::new(),
            changes: 0,
        }
    }

    /// The state that a snapshot describes.
    pub fn from_snapshot(snapshot: Snapshot) -> Self {
        let mut state = Self::new(snapshot.seed);
        for (id, family) in snapshot.families {
            state.put_family(id, family);
        }
        for (user, revocation) in snapshot.revocations {
            state.revocations.insert(user, revocation);
            state.by_change.insert(revocation.change, Whose::User(user));
        }
        for (id, ended) in snapshot.ended {
            state.end_login(id, ended);
        }
        state.changes = snapshot.changes;
        state
    }

    /// Everything, without the families and the ended logins that have run out by now.
    pub fn to_snapshot(&self, now_ms: u64) -> Snapshot {
        let in_login_order = self.logins.values().flatten();
        Snapshot {
            seed: self.seed,
            families: in_login_order
                .filter_map(|id| Some((*id, self.families.get(id)?.clone())))
                .filter(|(_, family)| family.expires_ms > now_ms)
                .collect(),
            revocations: self.revocations.iter().map(|(user, r)| (*user, *r)).collect(),
            ended: self
                .ended
                .iter()
                .filter(|(_, ended)| ended.until_ms > now_ms)
                .map(|(id, ended)| (*id, *ended))
                .collect(),
            changes: self.changes,
        }
    }

    /// Carries a change out.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Snapshot(snapshot) => *self = Self::from_snapshot(snapshot.clone()),
            Record::Family(id, family) => self.put_family(*id, family.clone()),
            Record::FamilyEnded(id) => self.end_family(*id),
            Record::UserRevoked(user, revocation) => self.revoke(*user, *revocation),
            Record::LoginRevoked(id, ended) => self.end_login(*id, *ended),
        }
    }

    /// The seed of the signing key.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// A living family.
    pub fn family(&self, id: FamilyId) -> Option<&Family> {
        self.families.get(&id)
    }

    /// How many families live.
    pub fn families(&self) -> usize {
        self.families.len()
    }

    /// The families that must give way before one more login of this user: those that have run out,
    /// and the oldest while there are too many: at most `most` may live.
    pub fn giving_way(&self, user: UserId, most: usize, now_ms: u64) -> Vec<FamilyId> {
        let Some(logins) = self.logins.get(&user) else { return Vec::new() };
        let expired = |id: &FamilyId| self.families[id].expires_ms <= now_ms;
        let living = logins.iter().filter(|id| !expired(id)).count();
        let mut too_many = (living + 1).saturating_sub(most);
        logins
            .iter()
            .filter(|id| {
                let oldest = !expired(id) && too_many > 0;
                too_many -= usize::from(oldest);
                oldest || expired(id)
            })
            .copied()
            .collect()
    }

    /// The epoch of tokens that are issued to a user now.
    pub fn epoch(&self, user: UserId) -> u64 {
        self.revocations.get(&user).map_or(0, |revocation| revocation.epoch)
    }

    /// Whether a login was revoked by itself.
    pub fn is_ended(&self, login: FamilyId) -> bool {
        self.ended.contains_key(&login)
    }

    /// The next revocation of a user.
    pub fn next_revocation(&self, user: UserId) -> Revocation {
        Revocation { epoch: self.epoch(user) + 1, change: self.changes + 1 }
    }

    /// The next revocation of a login, whose tokens have run out at `until_ms`.
    pub const fn next_ending(&self, until_ms: u64) -> EndedLogin {
        EndedLogin { until_ms, change: self.changes + 1 }
    }

    /// The number of the newest revocation; zero if there was none.
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Revocations behind a change with their numbers, oldest first. Of a user only the newest one is
    /// left, and of logins those of which tokens may live.
    pub fn revocations_after(&self, after: u64) -> impl Iterator<Item = (u64, Revoked)> {
        let later = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        self.by_change.range(later).map(|(change, whose)| {
            let revoked = match whose {
                Whose::User(user) => Revoked::User(*user, self.revocations[user]),
                Whose::Login(id) => Revoked::Login(*id, self.ended[id]),
            };
            (*change, revoked)
        })
    }

    /// Forgets the ended logins of which no token lives.
    pub fn forget_ended(&mut self, now_ms: u64) {
        let by_change = &mut self.by_change;
        self.ended.retain(|_, ended| {
            let lives = ended.until_ms > now_ms;
            if !lives {
                by_change.remove(&ended.change);
            }
            lives
        });
    }

    fn put_family(&mut self, id: FamilyId, family: Family) {
        let user = family.user;
        if self.families.insert(id, family).is_none() {
            self.logins.entry(user).or_default().push_back(id);
        }
    }

    fn end_family(&mut self, id: FamilyId) {
        let Some(family) = self.families.remove(&id) else { return };
        if let Some(logins) = self.logins.get_mut(&family.user) {
            logins.retain(|other| *other != id);
            if logins.is_empty() {
                self.logins.remove(&family.user);
            }
        }
    }

    fn revoke(&mut self, user: UserId, revocation: Revocation) {
        if self.epoch(user) < revocation.epoch {
            if let Some(earlier) = self.revocations.insert(user, revocation) {
                self.by_change.remove(&earlier.change);
            }
            self.by_change.insert(revocation.change, Whose::User(user));
            self.changes = self.changes.max(revocation.change);
        }
        for id in self.logins.remove(&user).unwrap_or_default() {
            self.families.remove(&id);
        }
    }

    /// Absolute numbers, as of users: once more changes nothing.
    fn end_login(&mut self, id: FamilyId, ended: EndedLogin) {
        self.end_family(id);
        if let Some(earlier) = self.ended.insert(id, ended) {
            self.by_change.remove(&earlier.change);
        }
        self.by_change.insert(ended.change, Whose::Login(id));
        self.changes = self.changes.max(ended.change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 8;
    use proptest::prelude::*;

    fn family(user: u64, expires_ms: u64) -> Family {
        Family { user: UserId(user), scopes: vec!["chat".into()], secret: [0; 32], expires_ms }
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
        state.forget_ended(50);
        assert_eq!((later.changes(), later.revocations_after(0).count()), (1, 0));
        assert_eq!(later, state);
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
            prop_assert_eq!(&again.by_change, &state.by_change);
            prop_assert_eq!(again.changes, state.changes);
            prop_assert!(state.logins.values().map(VecDeque::len).sum::<usize>() == state.families());
        }
    }
}
