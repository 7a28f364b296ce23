//! `[load]` `visits` and `activity`: users who come and go, and who acts how often.

use super::load::positive;
use crate::scenario;
use crate::value::exponent::Exponent;
use crate::value::time::DurationRange;
use settings::mistake::Mistakes;
use settings::section;
use settings::section::Field;
use settings::value::TextForm;
use settings::value::number::Share;
use std::time::Duration;

/// With more replies to each message there would be no end of them.
const REPLIES_MAX: f64 = 0.9;

section! {
    /// How unequally users act, and their conversations are used: exponents of Zipf's law.
    Activity {
        /// Over the users; who is of which rank is drawn.
        users: Exponent = Exponent(0.0),
        /// Over the conversations of each user.
        conversations: Exponent = Exponent(0.0),
    }
}

section! {
    /// Users come, stay for a while and go, again and again: the sessions of a partly-open system. What the rates of the phases count are visits then.
    Visits {
        /// How long a visit takes, on average; exponentially distributed.
        stay: Duration,
        /// Between two operations of a user who is there, on average; exponentially distributed, whatever the answers.
        think: Duration,
        /// Replies that a message gets beside them, on average, if all members see it; at most 0.9.
        replies: Share = Share(0.0),
        /// How long after a message was shown it is replied to.
        reply_after: DurationRange = DurationRange(Duration::from_secs(1), Duration::from_secs(5)),
    }
}

impl Activity {
    /// The validated section.
    pub fn validated(&self) -> Option<scenario::Activity> {
        let (users, conversations) = (self.users.get()?.0, self.conversations.get()?.0);
        Some(scenario::Activity { users, conversations })
    }
}

impl Visits {
    /// The validated section. Without `users`, what depends on them is not checked.
    pub fn validated(
        &self,
        users: Option<&scenario::Users>,
        phases: Option<&[scenario::LoadPhase]>,
        mistakes: &mut Mistakes,
    ) -> Option<scenario::Visits> {
        let (stay_fits, think_fits) =
            (positive(&self.stay, mistakes), positive(&self.think, mistakes));
        let replies = self.replies.get()?.0;
        if replies > REPLIES_MAX {
            let what = format!("at most {REPLIES_MAX}: replies get replies, too");
            self.replies.conflict(mistakes, what);
            return None;
        }
        let stay = self.stay.get()?;
        if let (Some(users), Some(phases)) = (users, phases) {
            let peak = phases.iter().map(|phase| phase.rate.peak()).fold(0.0, f64::max);
            let there = peak * stay.as_secs_f64();
            let online = users.count - users.offline;
            if there > f64::from(online) {
                let what = format!(
                    "at {peak} visits a second of {} each {there:.0} users are there at once, of {online}",
                    stay.text()
                );
                self.stay.conflict(mistakes, what);
                return None;
            }
        }
        let think = self.think.get()?;
        let most = f64::from(protocol::Limits::default().gateway.rate_per_second);
        let each = 1.0 / (think.as_secs_f64() * (1.0 - replies));
        if think_fits && each > most {
            let what = format!(
                "{each:.0} operations a second for each user who is there; a gateway takes at most \
                 {most} messages per user"
            );
            self.think.conflict(mistakes, what);
            return None;
        }
        let DurationRange(reply_after_min, reply_after_max) = self.reply_after.get()?;
        (stay_fits && think_fits).then_some(scenario::Visits {
            stay,
            think,
            replies,
            reply_after_min,
            reply_after_max,
        })
    }
}

impl From<&scenario::Activity> for Activity {
    fn from(activity: &scenario::Activity) -> Self {
        Self {
            users: Field::of(Exponent(activity.users)),
            conversations: Field::of(Exponent(activity.conversations)),
        }
    }
}

impl From<&scenario::Visits> for Visits {
    fn from(visits: &scenario::Visits) -> Self {
        Self {
            stay: Field::of(visits.stay),
            think: Field::of(visits.think),
            replies: Field::of(Share(visits.replies)),
            reply_after: Field::of(DurationRange(visits.reply_after_min, visits.reply_after_max)),
        }
    }
}
