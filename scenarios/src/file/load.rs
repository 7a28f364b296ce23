//! `[load]`: what the users do, how often, in which shares.

use super::visits::{Activity, Visits};
use crate::figures::{highest_rate, messages_per_user};
use crate::scenario::{self, Arrivals, Rate, Size};
use protocol::limits;
use settings::mistake::Mistakes;
use settings::section;
use settings::section::{Field, by_default};
use settings::value::TextForm;
use settings::value::number::{Share, Whole};
use std::time::Duration;

section! {
    /// What the users do: an open loop, so that a slow answer never delays the next operation.
    Load {
        /// How operations are spread in time.
        arrivals: Arrivals = Arrivals::Poisson,
        /// Rates, one after another.
        phases: Vec<LoadPhase>,
        /// Shares of the operations.
        mix: Mix = only_sends(),
        /// How unequally users act, and their conversations are used.
        activity: Activity = by_default(),
        /// Users come and go: the rates are visits, in which each user acts by its own clock.
        visits: Option<Visits> = None,
        /// Length of the message bodies, in bytes.
        body: Size = Size::Uniform(20, 200),
        /// Messages of an unknown format, which no owner can process, spread evenly over the load.
        poison: Whole<u32, 0, 1_000_000> = Whole(0),
        /// Users who stop reading for a while, again and again.
        slow_readers: Option<SlowReaders> = None,
        /// Users whose devices go dead at some point, while their connections look alive.
        vanishing: Option<Vanishing> = None,
        /// How often each device reports its cursors.
        receipts_every: Duration = Duration::from_secs(1),
    }
}

section! {
    /// A rate for a while.
    LoadPhase {
        /// How long.
        r#for: Duration,
        /// Operations (with `visits`: visits), over all users: one rate, or how it goes.
        rate: Rate,
    }
}

section! {
    /// Shares of the operations; they add up to 1.
    Mix {
        /// New messages.
        send: Share = Share(0.0),
        /// Replies to the newest message that the device has shown.
        reply: Share = Share(0.0),
        /// Edits of the user's own messages.
        edit: Share = Share(0.0),
        /// Deletions of the user's own messages.
        delete: Share = Share(0.0),
        /// Backlog pages.
        read_history: Share = Share(0.0),
        /// A member leaves a group, or somebody joins it.
        join_leave: Share = Share(0.0),
        /// A device disconnects and reconnects.
        reconnect: Share = Share(0.0),
        /// A user starts typing.
        typing: Share = Share(0.0),
        /// All tokens of a user are revoked; the user logs in again after 4 to 6 s.
        revoke: Share = Share(0.0),
        /// A device logs out, and logs in again after 1 to 3 s.
        log_out: Share = Share(0.0),
    }
}

section! {
    /// Devices that stop reading for a while, again and again.
    SlowReaders {
        /// How many users; the first ones.
        users: Whole<u32, 1, 10_000_000>,
        /// How long they stop reading.
        stall: Duration,
        /// How long they read in between.
        read: Duration,
    }
}

section! {
    /// Devices whose network silently disappears: their connections look alive until somebody misses
    /// an answer. They never come back.
    Vanishing {
        /// How many users; the last ones who are not offline.
        users: Whole<u32, 1, 10_000_000>,
        /// How long after the beginning of the load.
        after: Duration,
    }
}

fn only_sends() -> Mix {
    Mix { send: Field::of(Share(1.0)), ..by_default() }
}

impl Load {
    /// The validated section. Without `users`, what depends on them is not checked.
    pub fn validated(
        &self,
        users: Option<&scenario::Users>,
        mistakes: &mut Mistakes,
    ) -> Option<scenario::Load> {
        let phases = self.valid_phases(mistakes);
        let mix = self.mix.get().and_then(|mix| mix.validated(&self.mix, users, mistakes));
        let slow_readers = match self.slow_readers.get() {
            Some(Some(section)) => section.validated(users, mistakes).map(Some),
            Some(None) => Some(None),
            None => None,
        };
        let vanishing = match self.vanishing.get() {
            Some(Some(section)) => section.validated(users, phases.as_deref(), mistakes).map(Some),
            Some(None) => Some(None),
            None => None,
        };
        let visits = match self.visits.get() {
            Some(Some(section)) => section.validated(users, phases.as_deref(), mistakes).map(Some),
            Some(None) => Some(None),
            None => None,
        };
        let nobody_else = self.goes_with_visits(mistakes);
        let body = self.body.get().filter(|body| {
            let fits = body.largest() as usize <= limits::MAX_BODY_BYTES;
            if !fits {
                let most = limits::MAX_BODY_BYTES;
                self.body.conflict(mistakes, format!("a body has at most {most} bytes"));
            }
            fits
        });
        let phases = phases.zip(mix).zip(users).map(|((phases, mix), users)| {
            // Visitors act by their own clocks.
            let fits = matches!(visits, Some(Some(_)))
                || self.within_the_limit(&phases, &mix, users, mistakes);
            fits.then_some(phases)
        });
        let receipts_every =
            self.receipts_every.get().filter(|_| positive(&self.receipts_every, mistakes));
        Some(scenario::Load {
            arrivals: self.arrivals.get()?,
            phases: phases??,
            mix: mix?,
            activity: self.activity.get()?.validated()?,
            visits: visits.filter(|_| nobody_else)?,
            body: body?,
            poison: self.poison.get()?.0,
            slow_readers: slow_readers?,
            vanishing: vanishing?,
            receipts_every: receipts_every?,
        })
    }

    /// Whether no phase asks for more than gateways take from a user: what is beyond it waits, and is late by
    /// the scenario's doing.
    fn within_the_limit(
        &self,
        phases: &[scenario::LoadPhase],
        mix: &scenario::Mix,
        users: &scenario::Users,
        mistakes: &mut Mistakes,
    ) -> bool {
        let activity = self.activity.get().and_then(|section| section.validated());
        let activity = activity.unwrap_or_default();
        let is_even = activity.users == 0.0;
        let most = highest_rate(mix, users, activity);
        let sections = self.phases.get().unwrap_or_default();
        let mut all_fit = true;
        for (phase, section) in phases.iter().zip(&sections) {
            if phase.rate.peak() > most {
                let taken = messages_per_user();
                let each = phase.rate.peak() / most * taken;
                let whom = if is_even { "each user who is online" } else { "the busiest user" };
                let what = format!(
                    "{each:.0} messages a second for {whom}; a gateway takes at most {taken} per user"
                );
                section.rate.conflict(mistakes, what);
                all_fit = false;
            }
        }
        all_fit
    }

    /// Whether nothing is there that takes no part in visits.
    fn goes_with_visits(&self, mistakes: &mut Mistakes) -> bool {
        if !matches!(self.visits.get(), Some(Some(_))) {
            return true;
        }
        let why = "not together with visits: it would be of users who are away";
        let poison = self.poison.get().is_some_and(|poison| poison.0 > 0);
        if poison {
            self.poison.conflict(mistakes, why.into());
        }
        let vanishing = matches!(self.vanishing.get(), Some(Some(_)));
        if vanishing {
            self.vanishing.conflict(mistakes, why.into());
        }
        !poison && !vanishing
    }

    fn valid_phases(&self, mistakes: &mut Mistakes) -> Option<Vec<scenario::LoadPhase>> {
        let phases = self.phases.get()?;
        if phases.is_empty() {
            self.phases.conflict(mistakes, "there must be at least one phase".into());
            return None;
        }
        let valid: Vec<Option<scenario::LoadPhase>> = phases
            .iter()
            .map(|phase| {
                positive(&phase.r#for, mistakes).then_some(())?;
                Some(scenario::LoadPhase { lasts: phase.r#for.get()?, rate: phase.rate.get()? })
            })
            .collect();
        valid.into_iter().collect()
    }
}

impl Mix {
    fn shares(&self) -> Option<scenario::Mix> {
        Some(scenario::Mix {
            send: self.send.get()?.0,
            reply: self.reply.get()?.0,
            edit: self.edit.get()?.0,
            delete: self.delete.get()?.0,
            read_history: self.read_history.get()?.0,
            join_leave: self.join_leave.get()?.0,
            reconnect: self.reconnect.get()?.0,
            typing: self.typing.get()?.0,
            revoke: self.revoke.get()?.0,
            log_out: self.log_out.get()?.0,
        })
    }

    fn validated(
        &self,
        whole: &Field<Self>,
        users: Option<&scenario::Users>,
        mistakes: &mut Mistakes,
    ) -> Option<scenario::Mix> {
        let mix = self.shares()?;
        adds_up(mix.sum(), whole, mistakes).then_some(())?;
        if mix.join_leave > 0.0 && users.is_some_and(|users| users.groups == 0) {
            self.join_leave
                .conflict(mistakes, "only groups change their members, and there are none".into());
            return None;
        }
        Some(mix)
    }
}

impl SlowReaders {
    fn validated(
        &self,
        users: Option<&scenario::Users>,
        mistakes: &mut Mistakes,
    ) -> Option<scenario::SlowReaders> {
        let (stall_fits, read_fits) =
            (positive(&self.stall, mistakes), positive(&self.read, mistakes));
        let slow = self.users.get()?.0;
        let online = users.map_or(u32::MAX, |users| users.count - users.offline);
        if slow > online {
            self.users.conflict(mistakes, format!("{slow} of {online} users who are online"));
            return None;
        }
        let (stall, read) = (self.stall.get()?, self.read.get()?);
        (stall_fits && read_fits).then_some(scenario::SlowReaders { users: slow, stall, read })
    }
}

impl Vanishing {
    fn validated(
        &self,
        users: Option<&scenario::Users>,
        phases: Option<&[scenario::LoadPhase]>,
        mistakes: &mut Mistakes,
    ) -> Option<scenario::Vanishing> {
        let after = self.after.get()?;
        let load = phases.map(|phases| phases.iter().map(|phase| phase.lasts).sum::<Duration>());
        if let Some(load) = load.filter(|load| after >= *load) {
            let [after, load] = [after, load].map(|time| time.text());
            let what = format!("{after} is not within the load, which ends at {load}");
            self.after.conflict(mistakes, what);
            return None;
        }
        let gone = self.users.get()?.0;
        let online = users.map_or(u32::MAX, |users| users.count - users.offline);
        if gone.saturating_add(2) > online {
            let what = format!("{gone} of {online} users who are online: at least two must stay");
            self.users.conflict(mistakes, what);
            return None;
        }
        if users.is_some_and(|users| users.transport == scenario::Transport::Trunk) {
            self.users.conflict(mistakes, "a trunk lives and dies with all its sessions".into());
            return None;
        }
        Some(scenario::Vanishing { users: gone, after })
    }
}

/// Notes shares that do not add up to 1.
pub(crate) fn adds_up<T: Clone>(sum: f64, whole: &Field<T>, mistakes: &mut Mistakes) -> bool {
    let fits = (sum - 1.0).abs() <= 1e-6;
    if !fits {
        // Six digits: more would show how binary fractions round.
        let sum = (sum * 1e6).round() / 1e6;
        whole.conflict(mistakes, format!("the shares must add up to 1, not {sum}"));
    }
    fits
}

/// Notes a duration of nothing. A mistake that was noted already is not noted again.
pub(crate) fn positive(field: &Field<Duration>, mistakes: &mut Mistakes) -> bool {
    let zero = field.get().is_some_and(|duration| duration.is_zero());
    if zero {
        field.conflict(mistakes, "must be longer than zero".into());
    }
    !zero
}

impl From<&scenario::Load> for Load {
    fn from(load: &scenario::Load) -> Self {
        let phases = load
            .phases
            .iter()
            .map(|phase| LoadPhase { r#for: Field::of(phase.lasts), rate: Field::of(phase.rate) });
        let slow_readers = load.slow_readers.map(|slow| SlowReaders {
            users: Field::of(Whole(slow.users)),
            stall: Field::of(slow.stall),
            read: Field::of(slow.read),
        });
        let vanishing = load.vanishing.map(|vanishing| Vanishing {
            users: Field::of(Whole(vanishing.users)),
            after: Field::of(vanishing.after),
        });
        Self {
            activity: Field::of((&load.activity).into()),
            visits: Field::of(load.visits.as_ref().map(Into::into)),
            arrivals: Field::of(load.arrivals),
            phases: Field::of(phases.collect()),
            mix: Field::of((&load.mix).into()),
            body: Field::of(load.body),
            poison: Field::of(Whole(load.poison)),
            slow_readers: Field::of(slow_readers),
            vanishing: Field::of(vanishing),
            receipts_every: Field::of(load.receipts_every),
        }
    }
}

impl From<&scenario::Mix> for Mix {
    fn from(mix: &scenario::Mix) -> Self {
        Self {
            send: Field::of(Share(mix.send)),
            reply: Field::of(Share(mix.reply)),
            edit: Field::of(Share(mix.edit)),
            delete: Field::of(Share(mix.delete)),
            read_history: Field::of(Share(mix.read_history)),
            join_leave: Field::of(Share(mix.join_leave)),
            reconnect: Field::of(Share(mix.reconnect)),
            typing: Field::of(Share(mix.typing)),
            revoke: Field::of(Share(mix.revoke)),
            log_out: Field::of(Share(mix.log_out)),
        }
    }
}
