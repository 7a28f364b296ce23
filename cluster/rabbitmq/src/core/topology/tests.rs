//! What stands for which promise, and names that are read back.

use super::*;
use protocol::Incarnation;

fn topology() -> Topology {
    Topology::new("chat".into(), BrokerLimits::default())
}

fn argument<'a>(arguments: &'a Arguments, name: &str) -> Option<&'a Argument> {
    arguments.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[test]
fn names_are_read_back() {
    let topology = topology();
    let life = GatewayLife { gateway: GatewayId(2), incarnation: Incarnation(77) };
    for (name, queue) in [
        (
            topology.queue(Destination::Inbound(Partition(9))).unwrap().name,
            Some(Queue::Inbound(Partition(9))),
        ),
        (topology.queue(Destination::Jobs(3)).unwrap().name, Some(Queue::Jobs(3))),
        (topology.queue(Destination::Dead).unwrap().name, Some(Queue::DeadLetters)),
        (topology.gateway_queue(life, 5), Some(Queue::Gateway(life))),
        (topology.unrouted(), None),
        (topology.shed(), None),
        (topology.dead_lock(), None),
        ("other.dead".into(), None),
        ("chatter.dead".into(), None),
        ("chat.inbound.x".into(), None),
    ] {
        assert_eq!(topology.queue_named(&name), queue, "{name}");
    }
}

/// Each of these arguments stands for a promise of the port.
#[test]
fn durable_queues_keep_what_was_promised() {
    let topology = topology();
    let text = |text: &str| Some(Argument::Text(text.to_owned()));
    let inbound = topology.queue(Destination::Inbound(Partition(1))).unwrap();
    let jobs = topology.queue(Destination::Jobs(0)).unwrap();
    let [unrouted, dead, shed] = topology.standing_queues();
    for queue in [&inbound, &jobs, &unrouted, &dead, &shed] {
        assert_eq!(argument(&queue.arguments, "x-queue-type").cloned(), text("quorum"));
        let limit = argument(&queue.arguments, "x-delivery-limit");
        assert_eq!(limit, Some(&Argument::Number(2_147_483_647)), "{}", queue.name);
    }
    let one_consumer = argument(&inbound.arguments, "x-single-active-consumer");
    assert_eq!(one_consumer, Some(&Argument::Flag(true)));
    for (queue, overflow) in
        [(&inbound, "reject-publish"), (&jobs, "drop-head"), (&dead, "drop-head")]
    {
        assert_eq!(argument(&queue.arguments, "x-overflow").cloned(), text(overflow));
    }
    let strategy = argument(&inbound.arguments, "x-dead-letter-strategy");
    assert_eq!(strategy.cloned(), text("at-least-once"));
    assert_eq!(argument(&dead.arguments, "x-max-length"), Some(&Argument::Number(60_000)));
    // What cannot be routed is kept, and nothing of it can be refused.
    assert_eq!(argument(&unrouted.arguments, "x-max-length"), None);
    let [alternate, durable, _] = topology.exchanges();
    assert_eq!(unrouted.from.0, alternate.name);
    let names = argument(&durable.arguments, "alternate-exchange");
    assert_eq!(names.cloned(), text(&alternate.name));
}

#[test]
fn every_destination_has_a_route_of_its_own() {
    let topology = topology();
    let life = GatewayLife { gateway: GatewayId(2), incarnation: Incarnation(1) };
    let routes = [
        Destination::Inbound(Partition(2)),
        Destination::Jobs(2),
        Destination::Dead,
        Destination::Gateway(life),
        Destination::Takeover(GatewayId(2)),
    ]
    .map(|to| topology.route(to));
    for (index, route) in routes.iter().enumerate() {
        assert!(!routes[..index].contains(route), "{route:?}");
    }
    assert_eq!(routes[0], ("chat.durable".into(), "inbound.2".into()));
}

/// RabbitMQ refuses a classic queue that is declared with what only a quorum queue can keep.
#[test]
fn queues_without_copies_ask_for_nothing_that_needs_them() {
    let topology = topology().with_quorum_queues(false);
    let inbound = topology.queue(Destination::Inbound(Partition(1))).unwrap();
    let jobs = topology.queue(Destination::Jobs(0)).unwrap();
    for queue in topology.standing_queues().iter().chain([&inbound, &jobs]) {
        let told = |name: &str| argument(&queue.arguments, name);
        assert_eq!(told("x-queue-type"), Some(&Argument::Text("classic".into())));
        assert_eq!(told("x-delivery-limit"), None, "{}", queue.name);
        assert_eq!(told("x-dead-letter-strategy"), None, "{}", queue.name);
    }
    let one_consumer = argument(&inbound.arguments, "x-single-active-consumer");
    assert_eq!(one_consumer, Some(&Argument::Flag(true)));
}

#[test]
fn what_has_an_order_shares_a_line_and_what_is_kept_waits_for_nothing_that_may_be_lost() {
    let life = GatewayLife { gateway: GatewayId(2), incarnation: Incarnation(1) };
    let [of_life, takeover] = [Destination::Gateway(life), Destination::Takeover(GatewayId(3))];
    assert_eq!(of_life.line(), takeover.line());
    let lines = [
        Destination::Inbound(Partition(2)),
        Destination::Inbound(Partition(3)),
        Destination::Jobs(2),
        Destination::Dead,
        takeover,
    ]
    .map(Destination::line);
    for (index, line) in lines.iter().enumerate() {
        assert!(!lines[..index].contains(line), "{line:?}");
    }
    // A connection has so many channels and no more.
    let all = (0..u16::MAX).map(|n| Destination::Inbound(Partition(n)).line());
    assert_eq!(all.collect::<std::collections::BTreeSet<_>>().len(), 64);
}
