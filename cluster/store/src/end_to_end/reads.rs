//! Reads that take long.

use super::*;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_slow_read_holds_up_nobody_on_its_link() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    let each = Duration::from_secs(1);
    world.reads.set(each);
    let asked = Instant::now();
    let push = PushRef { user: UserId(2), conversation: CONVERSATION, sequence: Sequence(2) };
    let pushes = gateway.conversations.pushes(vec![push]);
    let infos = (0..9).map(|_| gateway.conversations.info(CONVERSATION, None));
    let infos = futures_util::future::join_all(infos);
    // What reads nothing does not even wait for one.
    gateway.attach(1, None).await;
    assert!(asked.elapsed() < each, "{:?}", asked.elapsed());
    let (pushes, infos) = futures_util::future::join(pushes, infos).await;
    assert!(pushes.len() == 1 && infos.iter().all(Result::is_ok), "{infos:?}");
    assert!(asked.elapsed() < each * 2, "one after another: {:?}", asked.elapsed());
}

/// It would keep those waiting who still do.
#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_is_not_read() {
    let mut world = World::sharing(1, Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    let views = async |each: Duration| {
        let before = world.views();
        world.reads.set(each);
        let infos = (0..50).map(|_| gateway.conversations.info(CONVERSATION, None));
        let infos = futures_util::future::join_all(infos).await;
        tokio::time::sleep(each).await;
        (infos.iter().filter(|info| info.is_ok()).count(), world.views() - before)
    };
    // The node looks who owns what as well, every half a second.
    let (answered, viewed) = views(Duration::from_secs(6)).await;
    assert!(answered == 0 && viewed < 30, "{answered} answered, {viewed} views");
    let (answered, viewed) = views(Duration::from_secs(4)).await;
    assert!(answered == 50 && viewed >= 50, "{answered} answered, {viewed} views");
    assert_eq!(world.memory.telemetry.counted("store_failed_reads"), 50);
}
