//! Nobody stops the chat: two users talk while others do to the same gateway, on real sockets, what a
//! client can do to a server, and afterwards the process is as large as before. And nobody keeps newcomers
//! out by taking every place there is, for which the gateway has tiny limits.
//!
//! 99 of 100 messages are to be shown within 100 ms. Two things keep a busy test machine from being taken
//! for a weakness, and a weakness from being taken for a busy machine: three times what the same run
//! measured in peace is good enough, too; and an attack that misses the bound is repeated, since what other
//! programs do passes and what the attack does stays. Attackers act some hundred times as often as a
//! client, not as often as they can: the cluster is a debug build on two processors, which it shares with
//! them, and how much work fits into those is no question of this test.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod hostile;
mod processes;

use hostile::attacks::{ALONE, Attack, Enemy, Turns, crowd};
use hostile::cluster::Cluster;
use hostile::crowds::{deaf, kept, newcomer, strangers};
use hostile::pair::{Pair, p99};
use processes::soon;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;
use tokio::sync::Mutex;

/// How long the two talk in peace.
const CALM: Duration = Duration::from_secs(3);
/// How long an attack lasts that comes alone.
const SHORT: Duration = Duration::from_secs(1);
/// How long all of them last together, and then a crowd that takes every descriptor: the store's log needs
/// new ones meanwhile.
const LONG: Duration = Duration::from_secs(4);
/// Between two turns of an attacker. All together have as many as a few alone.
const PAUSE: Duration = Duration::from_millis(20);
/// Within what 99 of 100 messages are shown.
const IN_TIME: Duration = Duration::from_millis(100);
/// So often an attack may be tried.
const TRIES: usize = 5;
/// Descriptors of connections that the nodes, which are one process here, keep among each other for their
/// next requests: 16 to the issuer and 16 to the push provider at most, each with two ends.
const KEPT_DESCRIPTORS: usize = 64;
/// Memory that may stay: the store's page cache (32 MiB) and its log up to the next checkpoint (8 MiB), the
/// newest entries of the loud conversation (4 MiB), and what the allocator keeps of a peak. What is not
/// bounded leaves more: the attackers write some hundred megabytes.
const KEPT_KIB: usize = 80 * 1024;
/// What shows that the attacks have got to where they are refused.
const REACHED: [&str; 7] = [
    "auth_requests_refused_total",
    "gateway_closes_out_of_order_total",
    "gateway_closes_rate_limited_total",
    "gateway_closes_too_big_total",
    "gateway_closes_unauthenticated_total",
    "gateway_rejections_total",
    "link_refused_connections_total",
];

/// The machine is not large enough for two tests at a time.
static ALONE_HERE: Mutex<()> = Mutex::const_new(());
/// So many newcomers want in while somebody takes every place, and how long it has had for that.
const NEWCOMERS: usize = 20;
const TAKING: Duration = Duration::from_secs(2);
/// So many connections ask and take no answer.
const DEAF: usize = 10;
/// Descriptors that come and go in a cluster in peace.
const IN_PEACE: usize = 4;

#[test]
fn kept_connections_of_one_address_leave_places_to_others() {
    leaves_places(kept, "link_refused_connections_total");
}

#[test]
fn sessions_without_hello_of_one_address_leave_places_to_others() {
    leaves_places(strangers, "gateway_refused_strangers_total");
}

/// `counter`: where it is counted that the crowd gets no more.
fn leaves_places(crowd: Attack, counter: &str) {
    let _alone = ALONE_HERE.blocking_lock();
    let cluster = Cluster::start("tiny");
    let (enemy, token) = (Enemy::of(&cluster), cluster.token(1));
    let is_over = AtomicBool::new(false);
    let turns = Turns { pause: PAUSE, is_over: &is_over };
    scope(|scope| {
        let _stop = Stop(&is_over);
        scope.spawn(|| crowd(&enemy, &turns));
        sleep(TAKING);
        for number in 1..=NEWCOMERS {
            let served = newcomer(&cluster, &token);
            assert!(served.is_ok(), "newcomer {number}: {served:?}, {:?}", cluster.vitals());
        }
    });
    assert!(cluster.counted(counter) > 0, "{counter} is 0");
}

#[test]
fn whoever_takes_no_answer_is_given_up() {
    let _alone = ALONE_HERE.blocking_lock();
    let cluster = Cluster::start("tiny");
    let enemy = Enemy::of(&cluster);
    let before = cluster.vitals().descriptors;
    let held: Vec<_> = (0..DEAF).map(|_| deaf(&enemy).unwrap()).collect();
    soon("all of them are given up", || {
        cluster.counted("link_stalled_connections_total") >= held.len() as u64
            && cluster.vitals().descriptors <= before + IN_PEACE
    });
}

#[test]
fn hostile_clients_do_not_stop_the_chat() {
    let _alone = ALONE_HERE.blocking_lock();
    let cluster = Cluster::start("default");
    let enemy = Enemy::of(&cluster);
    let pair = Pair::meet(&cluster);
    let stop = AtomicBool::new(false);
    let mut told = String::new();
    let before = scope(|scope| {
        // Whatever happens, or nothing would ever end.
        let _stop = Stop(&stop);
        let talk = pair.talk(scope, &stop);
        let calm = p99(&talk.during(|| sleep(CALM)));
        let before = cluster.vitals();
        writeln!(told, "in peace: {calm:.1?}, {before:?}").unwrap();
        let bound = IN_TIME.max(3 * calm);
        let together: Vec<Attack> = ALONE.iter().map(|(_, attack)| *attack).collect();
        let alone = ALONE.iter().map(|(name, attack)| (*name, vec![*attack], SHORT));
        let last = [("all of them", together, LONG), ("a crowd", vec![crowd as Attack], LONG)];
        for (name, attacks, lasts) in alone.chain(last) {
            let mut tries = Vec::new();
            while tries.len() < TRIES && tries.last().is_none_or(|took| *took > bound) {
                tries.push(p99(&talk.during(|| attack(&enemy, &attacks, lasts))));
            }
            writeln!(told, "{name}: {tries:.1?}, {:?}", cluster.vitals()).unwrap();
            assert!(tries.iter().any(|took| *took <= bound), "{told}");
        }
        before
    });
    for counter in REACHED {
        assert!(cluster.counted(counter) > 0, "{counter} is 0");
    }
    println!("{told}");
    soon("what the attackers had is given back", || {
        let now = cluster.vitals();
        now.descriptors <= before.descriptors + KEPT_DESCRIPTORS
            && now.resident_kib <= before.resident_kib + KEPT_KIB
    });
    println!("at last: {:?}", cluster.vitals());
}

/// Says that it is over when it goes.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets these attacks go on for a while, side by side.
fn attack(enemy: &Enemy, attacks: &[Attack], lasts: Duration) {
    let is_over = AtomicBool::new(false);
    let turns = Turns { pause: PAUSE * attacks.len().div_ceil(2) as u32, is_over: &is_over };
    scope(|scope| {
        let _stop = Stop(&is_over);
        for attack in attacks {
            scope.spawn(|| {
                // Attackers do not bring their work along to the victim's machine.
                rustix::process::nice(19).unwrap();
                attack(enemy, &turns);
            });
        }
        sleep(lasts);
    });
}
