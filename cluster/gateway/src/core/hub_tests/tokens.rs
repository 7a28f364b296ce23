//! Tokens at `hello`, at every send, and renewed; sessions without one.

use super::*;
use ports::Scopes;

#[test]
fn a_revoked_token_ends_the_session_at_the_next_send_or_look() {
    let mut bench = Bench::new(config(1_000));
    let (sender, idle) = (bench.connect(1), bench.connect(2));
    sender.hear();
    bench.tokens = Err(TokenError::Revoked);
    bench.send(&sender, 1);
    let (frames, end) = sender.hear();
    assert!(
        matches!(&frames[0], ServerFrame::Rejected(r) if r.reason == RejectReason::Unauthorised)
    );
    assert_eq!(end, Some(CloseCode::Unauthenticated));
    bench.pass(1_100);
    assert_eq!(idle.hear().1, Some(CloseCode::Unauthenticated));
}

#[test]
fn a_silent_session_is_left_alone_until_its_token_runs_out_or_may_be_revoked() {
    let mut bench = Bench::new(HubConfig { heartbeat_ms: 60_000, ..config(1_000) });
    let client = bench.connect(1);
    client.hear();
    bench.pass(2_000);
    let looks = |bench: &mut Bench, wall_ms, revision| {
        let mut looks = Vec::new();
        for _ in 0..11 {
            bench.now_ms += 100;
            bench.hub.at(bench.now_ms);
            looks.extend(bench.hub.tick(TokenTime { wall_ms, revision }));
        }
        looks.dedup();
        looks
    };
    assert_eq!(looks(&mut bench, 899, 0), []);
    assert_eq!(looks(&mut bench, 899, 1), [client.id], "something was revoked");
    assert_eq!(looks(&mut bench, 899, 1), [], "once is enough");
    // A token that runs out before the one that it has.
    let claims = Claims { expires_ms: 900, ..claims(UserId(1)) };
    assert!(bench.hub.may_renew(client.id));
    bench.hub.renew(client.id, Ok(claims), 0);
    assert_eq!(looks(&mut bench, 899, 1), [client.id], "it was renewed");
    assert_eq!(looks(&mut bench, 899, 1), []);
    assert_eq!(looks(&mut bench, 900, 1), [client.id], "it has run out");
    assert_eq!(looks(&mut bench, 0, 1), [], "the clock was set back");
    // Whoever sends is looked at until its messages are decided, and for a while.
    bench.send(&client, 1);
    assert_eq!(looks(&mut bench, 0, 1), [client.id]);
}

#[test]
fn a_session_goes_on_with_a_good_token_of_its_user_only() {
    let mut bench = Bench::new(config(1_000));
    let client = bench.connect(1);
    client.hear();
    let mut renew = |claims, now_ms| {
        assert!(bench.hub.may_renew(client.id));
        bench.hub.renew(client.id, claims, now_ms);
        (client.hear(), bench.hub.claims(client.id).map_or(0, |claims| claims.expires_ms))
    };
    let lasting = |user, expires_ms| Claims { expires_ms, ..claims(UserId(user)) };
    let (heard, expires_ms) = renew(Ok(lasting(1, 900)), 400);
    assert_eq!(heard, (vec![ServerFrame::Renewed(Renewed { expires_in_ms: 500 })], None));
    assert_eq!(expires_ms, 900);
    let scopeless = Claims { scopes: Scopes::default(), ..lasting(1, 2_000) };
    let bad = [Ok(lasting(2, 2_000)), Ok(scopeless), Err(TokenError::Expired)];
    for (wrong, code) in bad
        .into_iter()
        .map(|wrong| (wrong, ErrorCode::BadValue))
        .chain([(Err(TokenError::NotReady), ErrorCode::Unavailable)])
    {
        let ((frames, end), expires_ms) = renew(wrong, 0);
        assert!(matches!(&frames[..], [ServerFrame::Error(e)] if e.code == code), "{frames:?}");
        assert_eq!((end, expires_ms), (None, 900), "it goes on with the token that it has");
    }
}

#[test]
fn a_token_is_looked_at_neither_before_hello_nor_too_often() {
    let mut bench = Bench::new(config(1_000));
    let queue = Shared::default();
    let early = bench.hub.open(Codec::Binary, queue.clone(), false).unwrap();
    assert!(!bench.hub.may_renew(early));
    assert_eq!(Client { id: early, queue }.hear().1, Some(CloseCode::OutOfOrder));
    let client = bench.connect(1);
    client.hear();
    let looks = (0..20).filter(|_| bench.hub.may_renew(client.id)).count();
    assert_eq!(looks, 5);
    let (frames, end) = client.hear();
    assert_eq!((frames.len(), end), (15, None));
    bench.pass(1_000);
    assert!(bench.hub.may_renew(client.id));
}

#[test]
fn whoever_does_not_say_hello_takes_the_place_of_few() {
    let mut config = config(1_000);
    config.limits.greeting = 2;
    let mut bench = Bench::new(config);
    let mut open = || {
        let queue = Shared::default();
        bench.hub.open(Codec::Binary, queue.clone(), false).ok_or(queue)
    };
    let (first, second) = (open().unwrap(), open().unwrap());
    let refused = Client { id: SessionId(0), queue: open().unwrap_err() };
    assert_eq!(refused.hear().1, Some(CloseCode::Full));
    bench.hub.gone(first);
    let third = bench.connect(1);
    third.hear();
    bench.hub.breach(second, CloseCode::Malformed);
    bench.connect(2);
}

#[test]
fn whoever_does_not_say_hello_leaves_places_to_other_addresses() {
    let mut config = config(1_000);
    config.limits.greeting = 8;
    let mut bench = Bench::new(config);
    let open = |bench: &mut Bench, whose: u128| {
        let queue = Shared::default();
        let opened = bench.hub.open_from(Codec::Binary, queue.clone(), Address(whose));
        opened.map(|id| Client { id, queue: queue.clone() }).ok_or(queue)
    };
    let strangers: Vec<_> = (0..4).map(|_| open(&mut bench, 0).unwrap()).collect();
    for _ in 0..10 {
        let refused = Client { id: SessionId(0), queue: open(&mut bench, 0).err().unwrap() };
        assert_eq!(refused.hear().1, Some(CloseCode::Full));
    }
    let figures = bench.hub.take_figures();
    assert_eq!((figures.greeting, figures.refused_strangers), (4, 10));
    // Others are served, one behind the other and all at once, and so are the sessions of the crowd that
    // say hello, which makes room for more of it.
    assert!(open(&mut bench, 1).is_ok() && open(&mut bench, 1).is_ok());
    bench.connect(2).hear();
    for stranger in &strangers {
        let hello = Hello {
            token: "1".into(),
            device: DeviceId(1),
            cursors: Vec::new(),
            presence: false,
            more: false,
        };
        bench.hub.hello(stranger.id, hello, Ok(claims(UserId(1))));
        bench.work();
    }
    assert!((0..3).all(|_| open(&mut bench, 0).is_ok()) && open(&mut bench, 0).is_err());
    // Those who are closed for their silence make room, too.
    bench.pass(12_000);
    assert_eq!(bench.hub.take_figures().greeting, 0);
    assert!((0..4).all(|_| open(&mut bench, 0).is_ok()) && open(&mut bench, 0).is_err());
}

#[test]
fn where_tokens_are_looked_at_once_a_session_outlives_its_token() {
    let mut bad = config(1_000);
    bad.design.tokens = Tokens::HelloOnly;
    let mut bench = Bench::new(bad);
    let sender = bench.connect(1);
    sender.hear();
    bench.tokens = Err(TokenError::Revoked);
    bench.send(&sender, 1);
    bench.pass(1_100);
    let (frames, end) = sender.hear();
    assert!(frames.iter().any(|frame| matches!(frame, ServerFrame::Accepted(_))), "{frames:?}");
    assert_eq!(end, None);
}
