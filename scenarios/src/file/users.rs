//! `[users]`: who uses the cluster, in which conversations, connected how.

use crate::scenario::{self, CodecChoice, Size, Transport};
use protocol::limits;
use settings::mistake::Mistakes;
use settings::section;
use settings::section::{Field, by_default};
use settings::value::number::{Share, Whole};

use std::time::Duration;

section! {
    /// Who uses the cluster. Users and conversations are numbered from 1, direct conversations first.
    Users {
        /// Users.
        count: Whole<u32, 2, 10_000_000>,
        /// Connected devices of each user.
        devices: Whole<u32, 1, 16> = Whole(1),
        /// Users whose devices never connect, so that they get pushes: the last ones.
        offline: Whole<u32, 0, 10_000_000> = Whole(0),
        /// Share of the devices that renew their access token before it runs out. The others are closed then, and come back with a new one.
        renewing: Share = Share(1.0),
        /// Their conversations.
        conversations: Conversations,
        /// How they connect.
        connect: Connect = by_default(),
        /// How frames are written on sockets.
        codec: CodecChoice = CodecChoice::Binary,
    }
}

section! {
    /// The conversations of the users.
    Conversations {
        /// Direct conversations, each between a different pair of users.
        direct: Whole<u32, 0, 10_000_000> = Whole(0),
        /// Group conversations.
        groups: Whole<u32, 0, 1_000_000> = Whole(0),
        /// Members of a group.
        group_size: Size = Size::Fixed(5),
    }
}

section! {
    /// How users connect.
    Connect {
        /// How long it takes to connect everybody.
        over: Duration = Duration::from_secs(1),
        /// A socket for each session, or many sessions on one trunk.
        by: Transport = Transport::Socket,
    }
}

impl Users {
    /// The validated section.
    pub fn validated(&self, mistakes: &mut Mistakes) -> Option<scenario::Users> {
        let count = self.count.get().map(|count| count.0);
        let offline = self.offline.get().map(|offline| offline.0);
        let mut sound = true;
        if let (Some(count), Some(offline)) = (count, offline)
            && offline + 2 > count
        {
            let what = format!("{offline} of {count} users: at least two must be online");
            self.offline.conflict(mistakes, what);
            sound = false;
        }
        let talks = self.conversations.get();
        let talks_fit = talks.as_ref().is_some_and(|talks| talks.fit(count, mistakes));
        let (talks, connect) = (talks?, self.connect.get()?);
        let users = scenario::Users {
            count: count?,
            devices: self.devices.get()?.0,
            direct: talks.direct.get()?.0,
            groups: talks.groups.get()?.0,
            group_size: talks.group_size.get()?,
            offline: offline?,
            renewing: self.renewing.get()?.0,
            connect_over: connect.over.get()?,
            transport: connect.by.get()?,
            codec: self.codec.get()?,
        };
        (sound && talks_fit).then_some(users)
    }
}

impl Conversations {
    fn fit(&self, users: Option<u32>, mistakes: &mut Mistakes) -> bool {
        let (direct, groups) = (self.direct.get(), self.groups.get());
        let mut sound = true;
        if let (Some(Whole(0)), Some(Whole(0))) = (direct, groups) {
            self.groups.conflict(mistakes, "there are no conversations".into());
            sound = false;
        }
        if let (Some(Whole(direct)), Some(users)) = (direct, users) {
            let pairs = u64::from(users) * u64::from(users - 1) / 2;
            if u64::from(direct) > pairs {
                let what = format!("{users} users make {pairs} pairs, not {direct}");
                self.direct.conflict(mistakes, what);
                sound = false;
            }
        }
        let (Some(size), Some(Whole(1..))) = (self.group_size.get(), groups) else {
            return sound;
        };
        let most = users.unwrap_or(u32::MAX).min(limits::MAX_MEMBERS as u32);
        if size.largest() > most || size.smallest() < 2 {
            let (from, to) = (size.smallest(), size.largest());
            let what = format!("a group has 2 to {most} members here, not {from} to {to}");
            self.group_size.conflict(mistakes, what);
            sound = false;
        }
        sound
    }
}

impl From<&scenario::Users> for Users {
    fn from(users: &scenario::Users) -> Self {
        Self {
            count: Field::of(Whole(users.count)),
            devices: Field::of(Whole(users.devices)),
            offline: Field::of(Whole(users.offline)),
            renewing: Field::of(Share(users.renewing)),
            conversations: Field::of(Conversations {
                direct: Field::of(Whole(users.direct)),
                groups: Field::of(Whole(users.groups)),
                group_size: Field::of(users.group_size),
            }),
            connect: Field::of(Connect {
                over: Field::of(users.connect_over),
                by: Field::of(users.transport),
            }),
            codec: Field::of(users.codec),
        }
    }
}
