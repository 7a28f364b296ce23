//! What a session does at single turns of its life.

use super::session_against_model::{access, entry, welcome};
use super::{AccessToken, Action, ActionKind, Event, Output, Session, Settings};
use protocol::design::Unauthorised;
use protocol::frames::client::Renew;
use protocol::frames::server::{Accepted, Attached, Drain, Rejected, Welcome};
use protocol::{
    ClientFrame, ClientMessageId, CloseCode, ConversationId, DeviceId, Epoch, NodeNumber,
    RejectReason, Sequence, ServerFrame,
};
use std::sync::Arc;

const AT_ONCE: Output = Output::ConnectAfter { delay_ms: 0, fresh_token: false };

/// A session that was welcomed at time 0, with these times announced.
fn open_session(heartbeat_ms: u32, idle_timeout_ms: u32) -> Session {
    let mut session = Session::new(Arc::new(Settings::default()), DeviceId(1), 1);
    let mut out = Vec::new();
    session.connected(0, access("token"), &mut out);
    let welcome = Welcome { heartbeat_ms, idle_timeout_ms, ..welcome() };
    session.frame(0, ServerFrame::Welcome(welcome), &mut out);
    session
}

#[test]
fn silence_is_asked_about_and_then_given_up() {
    let mut session = open_session(5_000, 12_500);
    let mut log = Vec::new();
    while let Some(due_ms) = session.due_ms() {
        let mut out = Vec::new();
        session.tick(due_ms, &mut out);
        log.push((due_ms, out.first().cloned()));
    }
    let pings =
        log.iter().filter(|(_, first)| matches!(first, Some(Output::Frame(ClientFrame::Ping(_)))));
    assert_eq!(pings.map(|(at_ms, _)| *at_ms).collect::<Vec<_>>(), [5_000, 10_000]);
    assert_eq!(log.last(), Some(&(12_500, Some(Output::Disconnect))));
}

#[test]
fn without_heartbeats_a_session_waits_for_ever() {
    let session = open_session(0, 0);
    assert_eq!(session.due_ms(), None);
}

#[test]
fn a_drain_notice_moves_the_session_in_its_own_time() {
    let mut session = open_session(5_000, 12_500);
    let mut out = Vec::new();
    let drain = Drain { reconnect_after_ms: 700 };
    session.frame(100, ServerFrame::Drain(drain), &mut out);
    assert_eq!(session.due_ms(), Some(800));
    session.tick(800, &mut out);
    assert_eq!(out, [Output::Disconnect, Output::Event(Event::Closed { code: 1000 }), AT_ONCE]);
}

#[test]
fn a_refused_token_is_replaced() {
    let mut session = open_session(5_000, 12_500);
    let mut out = Vec::new();
    session.disconnected(10, CloseCode::Unauthenticated.code(), &mut out);
    assert!(matches!(out.last(), Some(Output::ConnectAfter { fresh_token: true, .. })), "{out:?}");
}

/// Otherwise it would be refused with the same token, once a gateway can be reached.
#[test]
fn another_token_is_needed_until_a_gateway_is_reached_with_it() {
    let mut session = open_session(5_000, 12_500);
    let mut needed = Vec::new();
    let mut asks = |out: &mut Vec<Output>| match out.drain(..).next_back() {
        Some(Output::ConnectAfter { fresh_token, .. }) => needed.push(fresh_token),
        other => panic!("{other:?}"),
    };
    let mut out = Vec::new();
    session.disconnected(10, CloseCode::Unauthenticated.code(), &mut out);
    asks(&mut out);
    session.connect_failed(&mut out);
    asks(&mut out);
    session.connected(20, access("another"), &mut out);
    session.frame(20, ServerFrame::Welcome(welcome()), &mut out);
    session.disconnected(30, 0, &mut out);
    asks(&mut out);
    assert_eq!(needed, [true, true, false]);
}

#[test]
fn a_goodbye_is_told_once_and_an_attempt_that_is_given_up_is_not() {
    let mut session = open_session(5_000, 12_500);
    let mut out = Vec::new();
    session.reconnect(&mut out);
    assert_eq!(out, [Output::Disconnect, Output::Event(Event::Closed { code: 1000 }), AT_ONCE]);
    out.clear();
    session.reconnect(&mut out);
    assert_eq!(out, [], "there is nothing to leave");

    session.connected(10, access("token"), &mut out);
    out.clear();
    session.reconnect(&mut out);
    assert_eq!(out, [Output::Disconnect, AT_ONCE], "nobody refused the attempt");
    out.clear();

    session.connected(20, access("token"), &mut out);
    out.clear();
    session.disconnected(30, CloseCode::Unavailable.code(), &mut out);
    assert_eq!(out[0], Output::Event(Event::NotWelcomed { code: 4503 }));
}

#[test]
fn the_goodbye_of_the_other_side_is_a_lost_connection() {
    let mut session = open_session(5_000, 12_500);
    let mut out = Vec::new();
    session.disconnected(10, CloseCode::Normal.code(), &mut out);
    assert_eq!(out[0], Output::Event(Event::Closed { code: 0 }));
}

#[test]
fn an_entry_that_comes_again_is_told_and_not_shown() {
    let mut session = open_session(5_000, 12_500);
    let conversation = ConversationId(1);
    let (from, head) = (Sequence(4), Sequence(4));
    let attached = ServerFrame::Attached(Attached { conversation, from, head });
    session.frame(1, attached, &mut Vec::new());
    let mut out = Vec::new();
    for (sequence, id) in [(5, 50), (5, 51), (4, 40)] {
        session.frame(2, entry(conversation, sequence, ClientMessageId(id)), &mut out);
    }
    let told: Vec<_> = out
        .iter()
        .map(|output| match output {
            Output::Event(Event::Shown(entry)) => ("shown", entry.client_message_id.0),
            Output::Event(Event::Dropped(entry)) => ("dropped", entry.client_message_id.0),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [("shown", 50), ("dropped", 51), ("dropped", 40)]);
}

#[test]
fn a_session_follows_a_cluster_that_has_lost_its_entries() {
    let mut session = open_session(5_000, 12_500);
    let conversation = ConversationId(1);
    let attach = |session: &mut Session, at: u64| {
        let at = Sequence(at);
        let attached = Attached { conversation, from: at, head: at };
        session.frame(1, ServerFrame::Attached(attached), &mut Vec::new());
    };
    attach(&mut session, 9);
    session.reconnect(&mut Vec::new());
    session.connected(10, access("token"), &mut Vec::new());
    session.frame(11, ServerFrame::Welcome(welcome()), &mut Vec::new());
    attach(&mut session, 7);
    let mut out = Vec::new();
    session.frame(12, entry(conversation, 8, ClientMessageId(1)), &mut out);
    assert!(matches!(&out[..], [Output::Event(Event::Shown(_))]), "{out:?}");
}

#[test]
fn a_device_that_logs_out_comes_back_with_another_token() {
    let mut session = open_session(5_000, 12_500);
    let mut out = Vec::new();
    assert!(session.log_out(2_000, &mut out));
    let later = Output::ConnectAfter { delay_ms: 2_000, fresh_token: true };
    assert_eq!(out, [Output::Disconnect, Output::Event(Event::Closed { code: 1000 }), later]);
    out.clear();
    assert!(!session.log_out(2_000, &mut out), "it is away");
    session.reconnect(&mut out);
    assert_eq!(out, []);
}

#[test]
fn a_device_that_is_put_away_stays_away_until_it_is_taken_up() {
    let mut session = open_session(5_000, 12_500);
    let mut out = Vec::new();
    session.take_up(&mut out);
    assert_eq!(out, [], "it is there");
    assert!(session.put_away(&mut out));
    assert_eq!(out, [Output::Disconnect, Output::Event(Event::Closed { code: 1000 })]);
    assert_eq!((session.due_ms(), session.is_open()), (None, false));
    out.clear();
    assert!(!session.put_away(&mut out), "it is away");
    session.take_up(&mut out);
    assert_eq!(out, [AT_ONCE]);
}

/// The ids of the sends among some outputs.
fn sends(out: &[Output]) -> Vec<u64> {
    let id = |output: &Output| match output {
        Output::Frame(ClientFrame::Send(send)) => Some(send.client_message_id.0),
        _ => None,
    };
    out.iter().filter_map(id).collect()
}

#[test]
fn what_was_refused_for_its_token_is_sent_again_with_a_new_one_and_in_order() {
    let mut session = open_session(5_000, 12_500);
    let conversation = ConversationId(1);
    let mut out = Vec::new();
    for id in [1, 2, 3].map(ClientMessageId) {
        let kind = ActionKind::Send { body: "x".into(), reply_to: None, format: 1 };
        session.submit(0, Action { conversation, id, kind }, &mut out).unwrap();
    }
    assert_eq!(sends(&out), [1, 2, 3]);
    let reason = RejectReason::Unauthorised;
    let client_message_id = ClientMessageId(1);
    let rejected = Rejected { client_message_id, conversation, reason, retry_after_ms: 0 };
    out.clear();
    session.frame(10, ServerFrame::Rejected(rejected), &mut out);
    assert_eq!(out, [Output::Event(Event::Rejected(rejected))], "not with the same token");
    session.disconnected(20, CloseCode::Unauthenticated.code(), &mut out);
    assert!(matches!(out.last(), Some(Output::ConnectAfter { fresh_token: true, .. })), "{out:?}");

    session.connected(300, access("another token"), &mut out);
    out.clear();
    session.frame(310, ServerFrame::Welcome(welcome()), &mut out);
    let mut again = sends(&out);
    for id in [1, 2, 3] {
        out.clear();
        let client_message_id = ClientMessageId(id);
        let sequence = Sequence(id);
        let (epoch, owner) = (Epoch(1), NodeNumber(1));
        let accepted = Accepted { client_message_id, conversation, sequence, epoch, owner };
        session.frame(320, ServerFrame::Accepted(accepted), &mut out);
        again.extend(sends(&out));
    }
    assert_eq!((again, session.unanswered().count()), (vec![1, 2, 3], 0));
}

#[test]
fn a_second_decision_is_told_and_an_answer_that_is_lost_is_not_waited_for_longer_for_the_others() {
    let mut session = open_session(0, 0);
    let conversation = ConversationId(1);
    let mut out = Vec::new();
    for id in [1, 2, 3].map(ClientMessageId) {
        let kind = ActionKind::Send { body: "x".into(), reply_to: None, format: 1 };
        session.submit(0, Action { conversation, id, kind }, &mut out).unwrap();
    }
    for (now_ms, id) in [(3_000, 2), (4_000, 3)] {
        let client_message_id = ClientMessageId(id);
        let (sequence, epoch, owner) = (Sequence(id), Epoch(1), NodeNumber(1));
        let accepted = Accepted { client_message_id, conversation, sequence, epoch, owner };
        session.frame(now_ms, ServerFrame::Accepted(accepted), &mut out);
    }
    assert_eq!(session.due_ms(), Some(Settings::default().answer_timeout_ms));
    out.clear();
    let (client_message_id, reason) = (ClientMessageId(2), RejectReason::NotMember);
    let rejected = Rejected { client_message_id, conversation, reason, retry_after_ms: 0 };
    session.frame(4_500, ServerFrame::Rejected(rejected), &mut out);
    assert_eq!(out, [Output::Event(Event::Rejected(rejected))]);
    out.clear();
    session.tick(5_000, &mut out);
    assert_eq!(sends(&out), [1]);
}

#[test]
fn a_token_is_replaced_before_it_runs_out_and_the_session_goes_on() {
    let mut session = open_session(0, 0);
    let mut out = Vec::new();
    let lasting = |token: &str, in_ms| AccessToken { renew_in_ms: Some(in_ms), ..access(token) };
    session.renewed(0, lasting("second", 9_000), &mut out);
    let token = "second".into();
    assert_eq!(out, [Output::Frame(ClientFrame::Renew(Renew { token }))]);
    assert_eq!(session.due_ms(), Some(9_000));
    out.clear();
    session.tick(9_000, &mut out);
    assert_eq!((&out[..], session.due_ms()), (&[Output::Renew][..], None), "asked for once");
    session.renewal_failed(9_500);
    let again_ms = session.due_ms().unwrap();
    assert!((10_500..11_500).contains(&again_ms), "{again_ms}");
    out.clear();
    session.tick(again_ms, &mut out);
    assert_eq!(out, [Output::Renew]);
    // What comes when there is no session is for the next one.
    session.disconnected(again_ms, 0, &mut out);
    out.clear();
    session.renewed(again_ms, lasting("third", 9_000), &mut out);
    assert_eq!(out, []);
}

#[test]
fn where_refused_messages_are_dropped_they_are_gone() {
    let settings = Settings { unauthorised: Unauthorised::Dropped, ..Settings::default() };
    let mut session = Session::new(Arc::new(settings), DeviceId(1), 1);
    let mut out = Vec::new();
    session.connected(0, access("token"), &mut out);
    session.frame(0, ServerFrame::Welcome(welcome()), &mut out);
    let (conversation, id) = (ConversationId(1), ClientMessageId(1));
    let kind = ActionKind::Send { body: "x".into(), reply_to: None, format: 1 };
    session.submit(0, Action { conversation, id, kind }, &mut out).unwrap();
    let reason = RejectReason::Unauthorised;
    let rejected = Rejected { client_message_id: id, conversation, reason, retry_after_ms: 0 };
    session.frame(10, ServerFrame::Rejected(rejected), &mut out);
    assert_eq!(session.unanswered().count(), 0);
}

/// The longest of many waits after sessions that ended in this way one after the other, each right
/// after its welcome.
fn longest_waits(code: CloseCode, sessions: usize) -> Vec<u64> {
    let mut longest = vec![0; sessions];
    for seed in 0..200 {
        let mut session = Session::new(Arc::new(Settings::default()), DeviceId(1), seed);
        for longest in &mut longest {
            let mut out = Vec::new();
            session.connected(0, access("token"), &mut out);
            session.frame(0, ServerFrame::Welcome(welcome()), &mut out);
            session.disconnected(10, code.code(), &mut out);
            let Some(Output::ConnectAfter { delay_ms, .. }) = out.last() else { panic!("{out:?}") };
            *longest = (*longest).max(*delay_ms);
        }
    }
    longest
}

#[test]
fn a_session_that_was_too_slow_comes_back_later_and_later() {
    let within = |waits: Vec<u64>, bounds: [u64; 4]| {
        let near = |(wait, bound): (&u64, &u64)| (bound * 9 / 10..=*bound).contains(wait);
        assert!(waits.iter().zip(&bounds).all(near), "{waits:?}");
    };
    within(longest_waits(CloseCode::SlowConsumer, 4), [1_000, 4_000, 5_000, 5_000]);
    within(longest_waits(CloseCode::Draining, 4), [250; 4]);
}

#[test]
fn a_device_of_many_conversations_names_all_of_its_cursors() {
    let mut session = open_session(0, 0);
    let mut out = Vec::new();
    for conversation in (1..=2_500).map(ConversationId) {
        let (from, head) = (Sequence(conversation.0), Sequence(9_999));
        session.frame(0, ServerFrame::Attached(Attached { conversation, from, head }), &mut out);
    }
    session.disconnected(1, 0, &mut out);
    out.clear();
    session.connected(2, access("token"), &mut out);
    let named = |frame: &Output| match frame {
        Output::Frame(ClientFrame::Hello(it)) => (it.cursors.clone(), it.more),
        Output::Frame(ClientFrame::Cursors(it)) => (it.cursors.clone(), it.more),
        other => panic!("{other:?}"),
    };
    let frames: Vec<_> = out.iter().map(named).collect();
    let lengths: Vec<_> = frames.iter().map(|(cursors, more)| (cursors.len(), *more)).collect();
    assert_eq!(lengths, [(1_000, true), (1_000, true), (500, false)]);
    let all = frames.iter().flat_map(|(cursors, _)| cursors);
    assert!(all.map(|at| (at.conversation.0, at.sequence.0)).eq((1..=2_500).map(|id| (id, id))));
}
