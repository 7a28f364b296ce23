//! A user of more conversations than a frame has cursors, or a queue has room.

use super::*;
use protocol::frames::client::{Cursor, Cursors};
use protocol::{Sequence, limits};
use std::collections::BTreeMap;

/// Each of so many conversations has two members' joins and three messages; user 3 has shown the first.
fn bench(config: HubConfig, many: u64) -> (Bench, Vec<Cursor>) {
    let mut bench = Bench::new(config);
    let mut append = |id, number, content| {
        bench.world.append(ConversationId(id), UserId(4), ClientMessageId(number), content);
    };
    for id in 2..many + 2 {
        for user in [UserId(4), UserId(3)] {
            append(id, 0, Content::Join { user });
        }
        for number in 1..=3 {
            append(id, number, Content::Message { body: "so many".to_owned(), reply_to: None });
        }
    }
    bench.work();
    let cursor = |id| Cursor { conversation: ConversationId(id), sequence: Sequence(3) };
    (bench, (2..many + 2).map(cursor).collect())
}

fn connect(bench: &mut Bench, cursors: &[Cursor]) -> Client {
    let queue = Shared::default();
    let id = bench.hub.open(Codec::Binary, queue.clone(), false).unwrap();
    let mut frames = cursors.chunks(limits::SAFE_CURSORS).map(<[Cursor]>::to_vec);
    let (token, cursors) = ("3".into(), frames.next().unwrap_or_default());
    let hello = Hello { token, device: DeviceId(1), cursors, presence: false, more: true };
    bench.hub.hello(id, hello, Ok(claims(UserId(3))));
    let client = Client { id, queue };
    for cursors in frames.chain([Vec::new()]) {
        bench.work();
        assert!(client.queue.borrow().level().frames == 0, "it is not welcomed before the last");
        let more = !cursors.is_empty();
        bench.say(&client, ClientFrame::Cursors(Cursors { cursors, more }));
    }
    client
}

#[test]
fn each_of_many_conversations_resumes_where_it_was_however_slowly_the_client_reads() {
    // More than a queue has frames; then also more than one frame has cursors.
    for (frames, many) in [(40, 300), (4_096, 5_000)] {
        let mut config = config(frames);
        config.limits.rate_strikes = 1_000;
        let (mut bench, cursors) = bench(config, many);
        let client = connect(&mut bench, &cursors);
        let mut seen: BTreeMap<ConversationId, Vec<u64>> = BTreeMap::new();
        loop {
            // Until now it has not read, and whatever was to come has come.
            bench.work();
            let (heard, code) = client.hear();
            assert_eq!(code, None, "it is not slow: a queue of {frames}");
            if heard.is_empty() {
                break;
            }
            for frame in heard {
                match frame {
                    ServerFrame::Attached(it) => {
                        seen.insert(it.conversation, vec![it.from.0]);
                    }
                    ServerFrame::Entry(it) => {
                        seen.get_mut(&it.conversation).expect("attached").push(it.sequence.0);
                    }
                    _ => {}
                }
            }
            bench.hub.room(client.id);
        }
        assert_eq!(seen.len() as u64, many);
        assert!(seen.values().all(|sequences| *sequences == [3, 4, 5]));
    }
}

#[test]
fn who_does_not_name_the_last_cursors_in_time_is_closed() {
    let mut bench = Bench::new(config(1_000));
    let queue = Shared::default();
    let id = bench.hub.open(Codec::Binary, queue.clone(), false).unwrap();
    let (token, cursors) = ("1".into(), Vec::new());
    let hello = Hello { token, device: DeviceId(1), cursors, presence: false, more: true };
    bench.hub.hello(id, hello, Ok(claims(UserId(1))));
    let client = Client { id, queue };
    bench.hub.store_event(ports::StoreEvent::Moved);
    bench.pass(9_000);
    assert!(client.hear().0.iter().all(|frame| matches!(frame, ServerFrame::Ping(_))));
    bench.pass(2_000);
    assert_eq!(client.hear().1, Some(CloseCode::HelloTimeout));
    let client = bench.connect(2);
    client.hear();
    bench.say(&client, ClientFrame::Cursors(Cursors { cursors: Vec::new(), more: false }));
    assert_eq!(client.hear().1, Some(CloseCode::OutOfOrder));
}
