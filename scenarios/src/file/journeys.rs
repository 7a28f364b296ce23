//! `[journeys]`: who uses the REST interface beside the load, for what.

use super::load::adds_up;
use crate::scenario::{self, Size};
use protocol::limits;
use settings::mistake::Mistakes;
use settings::section;
use settings::section::Field;
use settings::section::by_default;
use settings::value::TextForm;
use settings::value::number::{Share, Whole};
use std::time::Duration;

/// Shorter times make more journeys than a plan can hold.
const THINK_MIN: Duration = Duration::from_millis(10);

section! {
    /// Users of the REST interface, in addition to `users.count`: a closed loop, in which each waits for its answer, thinks, and goes on its next journey, from the beginning of the load to the end of the heal phase. They have no sessions, so they get pushes.
    Journeys {
        /// How many.
        users: Whole<u32, 1, 20_000>,
        /// How long each thinks between two journeys.
        think: Duration = Duration::from_secs(1),
        /// Groups that each of them is a member of, beside their members from `users`.
        groups: Whole<u32, 1, 100> = Whole(1),
        /// Shares of the journeys.
        mix: JourneyMix = only_pages(),
    }
}

section! {
    /// Shares of the journeys; they add up to 1.
    JourneyMix {
        /// All stored entries of one of the user's conversations, page by page, from the first to the head.
        page_backlog: Share = Share(0.0),
        /// A new group of the user, another user of the REST interface, and one of `users`.
        create_conversation: Share = Share(0.0),
        /// The user leaves a group, or is added to it again.
        change_members: Share = Share(0.0),
        /// Another access token, for the user's password.
        sign_in: Share = Share(0.0),
    }
}

fn only_pages() -> JourneyMix {
    JourneyMix { page_backlog: Field::of(Share(1.0)), ..by_default() }
}

impl Journeys {
    /// The validated section. Without `users`, what depends on them is not checked.
    pub fn validated(
        &self,
        users: Option<&scenario::Users>,
        mistakes: &mut Mistakes,
    ) -> Option<scenario::Journeys> {
        let thinks = self.thinks(mistakes);
        let mix = self.mix.get().and_then(|mix| mix.validated(&self.mix, mistakes));
        let fits = users.is_none_or(|users| self.fit(users, mistakes));
        let journeys = scenario::Journeys {
            users: self.users.get()?.0,
            think: self.think.get()?,
            groups: self.groups.get()?.0,
            mix: mix?,
        };
        (thinks && fits).then_some(journeys)
    }

    /// Whether the time to think is long enough for the number of journeys to be planned.
    fn thinks(&self, mistakes: &mut Mistakes) -> bool {
        let think = self.think.get();
        let short = think.filter(|think| *think < THINK_MIN);
        if let Some(think) = short {
            let [think, least] = [think, THINK_MIN].map(|time| time.text());
            self.think.conflict(mistakes, format!("{think} is no time to think: at least {least}"));
        }
        short.is_none()
    }

    fn fit(&self, users: &scenario::Users, mistakes: &mut Mistakes) -> bool {
        let (Some(count), Some(groups)) = (self.users.get(), self.groups.get()) else {
            return true;
        };
        let (count, groups) = (count.0, groups.0);
        let there = users.groups;
        if groups > there {
            let what = format!("{groups} groups for each user, and there are {there}");
            self.groups.conflict(mistakes, what);
            return false;
        }
        let memberships = u64::from(count) * u64::from(groups);
        let more = memberships.div_ceil(u64::from(there));
        let members = u64::from(largest(users.group_size, users)) + more;
        let most = limits::MAX_MEMBERS as u64;
        if members > most {
            let what = format!(
                "spread over {there} groups they would make a group of {members}; it takes {most}"
            );
            self.users.conflict(mistakes, what);
        }
        members <= most
    }
}

/// Members that a group may have without these users: those without any conversation are spread over all.
fn largest(size: Size, users: &scenario::Users) -> u32 {
    size.largest().max(users.count.div_ceil(users.groups))
}

impl JourneyMix {
    fn validated(
        &self,
        whole: &Field<Self>,
        mistakes: &mut Mistakes,
    ) -> Option<scenario::JourneyMix> {
        let mix = scenario::JourneyMix {
            page_backlog: self.page_backlog.get()?.0,
            create_conversation: self.create_conversation.get()?.0,
            change_members: self.change_members.get()?.0,
            sign_in: self.sign_in.get()?.0,
        };
        adds_up(mix.sum(), whole, mistakes).then_some(mix)
    }
}

impl From<&scenario::Journeys> for Journeys {
    fn from(journeys: &scenario::Journeys) -> Self {
        let mix = &journeys.mix;
        Self {
            users: Field::of(Whole(journeys.users)),
            think: Field::of(journeys.think),
            groups: Field::of(Whole(journeys.groups)),
            mix: Field::of(JourneyMix {
                page_backlog: Field::of(Share(mix.page_backlog)),
                create_conversation: Field::of(Share(mix.create_conversation)),
                change_members: Field::of(Share(mix.change_members)),
                sign_in: Field::of(Share(mix.sign_in)),
            }),
        }
    }
}
