//! What the issuer remembers, as a state machine fed by records.
//!
//! The same `apply` serves a decision that was just made and the replay of the log after a
//! restart, so the two cannot disagree.

use crate::core::refresh_token::FamilyId;
use crate::core::signing::{NextKey, SigningKey};
use protocol::UserId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One change. New variants go at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Everything, at the beginning of a log.
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
    /// There is another signing key. Absolute numbers, as of revocations.
    KeyAdded(NextKey),
}

/// The current generation of a refresh family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Family {
    /// The user.
    pub user: UserId,
    /// The scopes of the login.
    pub scopes: Vec<String>,
    /// The fingerprint of the secret of the one refresh token that is not spent.
    pub fingerprint: [u8; 32],
    /// When that token runs out, milliseconds since the Unix epoch.
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
    /// The name of the first signing key, which names this history of revocations.
    pub history: String,
    /// Signing keys, oldest first.
    pub keys: Vec<SigningKey>,
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
    history: String,
    keys: Vec<SigningKey>,
    families: BTreeMap<FamilyId, Family>,
    /// The families of each user, oldest login first.
    logins: BTreeMap<UserId, VecDeque<FamilyId>>,
    revocations: BTreeMap<UserId, Revocation>,
    ended: BTreeMap<FamilyId, EndedLogin>,
    /// The ended logins by the time until which they are remembered.
    by_end: BTreeSet<(u64, FamilyId)>,
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
        let key = SigningKey::first(seed);
        let nothing = (Vec::new(), Vec::new(), Vec::new());
        let (families, revocations, ended) = nothing;
        let (history, keys) = (key.name(), vec![key]);
        Self::from_snapshot(Snapshot { history, keys, families, revocations, ended, changes: 0 })
    }

    /// The state that a snapshot describes.
    pub fn from_snapshot(snapshot: Snapshot) -> Self {
        let Snapshot { history, keys, .. } = snapshot;
        let mut state = Self {
            history,
            keys,
            families: BTreeMap::new(),
            logins: BTreeMap::new(),
            revocations: BTreeMap::new(),
            ended: BTreeMap::new(),
            by_end: BTreeSet::new(),
            by_change: BTreeMap::new(),
            changes: 0,
        };
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
            history: self.history.clone(),
            keys: self.keys.iter().filter(|key| key.until_ms > now_ms).cloned().collect(),
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
            Record::KeyAdded(next) => self.add_key(next),
        }
    }

    /// The name of this history of revocations: an issuer that has lost its disk begins another one.
    pub fn history(&self) -> &str {
        &self.history
    }

    /// The signing keys, oldest first: at least one.
    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
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

    /// Forgets the ended logins of which no token lives; how many. It looks at no others: anybody can ask for
    /// this as often as a gateway lets him.
    pub fn forget_ended(&mut self, now_ms: u64) -> usize {
        let mut forgotten = 0;
        while let Some(&(until_ms, id)) = self.by_end.first()
            && until_ms <= now_ms
        {
            self.by_end.pop_first();
            let ended = self.ended.remove(&id).expect("each stands in both");
            self.by_change.remove(&ended.change);
            forgotten += 1;
        }
        forgotten
    }

    fn add_key(&mut self, next: &NextKey) {
        let Some(last) = self.keys.last_mut().filter(|last| last.from_ms < next.from_ms) else {
            return;
        };
        last.until_ms = next.earlier_until_ms;
        let NextKey { seed, from_ms, .. } = next.clone();
        self.keys.push(SigningKey { seed, from_ms, until_ms: u64::MAX });
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
            self.by_end.remove(&(earlier.until_ms, id));
            self.by_change.remove(&earlier.change);
        }
        self.by_end.insert((ended.until_ms, id));
        self.by_change.insert(ended.change, Whose::Login(id));
        self.changes = self.changes.max(ended.change);
    }
}

#[cfg(test)]
mod tests;
