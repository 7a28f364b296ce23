//! The steps of traced messages.

use super::*;
use ports::Span;
use protocol::ClientMessageId;
use protocol::trace::{FIRST, Step};
use std::collections::BTreeSet;

/// A message that becomes an entry, the same one again, and one that cannot be processed.
#[tokio::test(start_paused = true)]
async fn each_step_names_what_it_follows_from_and_none_comes_twice() {
    let mut world = World::new(Design::default());
    let sampler = world.memory.traces.trace_all();
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    world.say(1, CONVERSATION, 5);
    settle().await;
    world.say(1, CONVERSATION, 5);
    settle().await;
    let body = "?".to_owned();
    world.send(1, CONVERSATION, 6, Action::Send { body, reply_to: None, format: 9 });
    settle().await;
    let spans = world.memory.traces.spans();
    let of = |message: u64| {
        let trace = sampler.trace(CONVERSATION, UserId(1), ClientMessageId(message)).unwrap();
        (trace, spans.iter().filter(move |span| span.trace == trace).collect::<Vec<&Span>>())
    };
    let (trace, sent) = of(5);
    let steps: Vec<Step> = sent.iter().map(|span| span.step).collect();
    let once = [Step::Commit, Step::Sequence, Step::FanOut];
    assert_eq!(steps, [once, once].concat(), "once, and once again");
    let ids: Vec<_> = sent[..3].iter().map(|span| span.id).collect();
    assert_eq!(ids, once.map(|step| trace.span(step, FIRST)), "what others continue");
    let told: BTreeSet<_> = spans.iter().map(|span| (span.trace, span.id)).collect();
    assert_eq!(told.len(), spans.len(), "{spans:#?}");
    for span in &spans {
        let is_told = span.parent.is_some_and(|parent| told.contains(&(span.trace, parent)));
        assert_eq!(
            is_told,
            span.step != Step::Sequence,
            "gateways tell the publications: {span:?}"
        );
    }
    let failed = |spans: &[&Span]| spans.iter().filter(|span| span.failure.is_some()).count();
    assert_eq!((failed(&sent), failed(&of(6).1)), (0, 1));
}
