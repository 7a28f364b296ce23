//! Starts goose, and ends it with the load.

use crate::context::{Context, DEADLINE, Mine};
use crate::creation;
use crate::user::RestUser;
use goose::client::GooseClientBuilder;
use goose::config::GooseConfiguration;
use goose::goose::{Scenario, Transaction, TransactionFunction};
use goose::{GooseAttack, GooseError};
use loadgen::journeys::{Ended, Start};
use std::pin::Pin;
use std::sync::Arc;
use verify::history::event::Phase;

/// All users begin within so long, but for a thousandth of a second each.
const BEGIN_WITHIN_S: u32 = 2;
const BEGIN_PER_SECOND: u32 = 1_000;

/// Drives the users of the REST interface of a run (`loadgen::journeys::Drive`).
pub fn drive(start: Start) -> Pin<Box<dyn Future<Output = Ended>>> {
    Box::pin(run(start))
}

async fn run(mut start: Start) -> Ended {
    // A channel that closes is the end.
    let begins = start.phase.wait_for(|phase| *phase >= Phase::Load).await.is_ok();
    let Some(context) = Context::new(start).filter(|_| begins) else { return Ended::default() };
    let context = Arc::new(context);
    let mut ended = Ended::default();
    if let Err(error) = Box::pin(attacked(&context)).await {
        ended.doubts.push(format!("goose failed: {error}"));
    }
    if let Err(error) = creation::settle(&context).await {
        ended.doubts.push(format!("whether a conversation was made is not known: {error}"));
    }
    for user in context.users() {
        ended.made.append(&mut user.lock().await.made);
    }
    ended.lateness = context.lateness();
    ended
}

/// Runs goose until the load is over.
async fn attacked(context: &Arc<Context>) -> Result<(), GooseError> {
    let attack = attack(context)?;
    let over = async {
        context.over().await;
        goose::trigger_killswitch("the load is over");
        std::future::pending().await
    };
    tokio::select! {
        biased;
        metrics = attack.execute() => metrics.map(|_| ()),
        never = over => never,
    }
}

fn attack(context: &Arc<Context>) -> Result<GooseAttack, GooseError> {
    let users = context.plan.count();
    let mut configuration = GooseConfiguration::parse_args_default::<&str>(&[])?;
    configuration.host = Some(context.base_url(0));
    configuration.users = Some(users as usize);
    let each_second = (users / BEGIN_WITHIN_S).clamp(1, BEGIN_PER_SECOND);
    configuration.increase_rate = Some(each_second.to_string());
    // It measures, prints and listens to nobody. Without its metrics nothing corrects for coordinated
    // omission either: that would invent latencies.
    configuration.no_metrics = true;
    configuration.no_print_metrics = true;
    configuration.no_telnet = true;
    configuration.quiet = 1;
    let client = GooseClientBuilder::new().without_cookies().timeout(DEADLINE).gzip(false);
    let think = context.plan.think();
    let journeys = Scenario::new("journeys")
        .register_transaction(Transaction::new(journey(context.clone())))
        .set_wait_time(think, think)?;
    Ok(GooseAttack::initialize_with_config(configuration)?
        .set_client_builder_without_cookies(client)?
        .register_scenario(journeys))
}

/// What every user does again and again.
fn journey(context: Arc<Context>) -> TransactionFunction {
    Arc::new(move |goose| {
        let context = context.clone();
        Box::pin(async move {
            let mut mine = goose.get_session_data::<Arc<Mine>>().cloned();
            if mine.is_none() {
                if let Some(client) = context.client() {
                    goose.set_client_builder(client).await.map_err(Box::new)?;
                }
                mine = context.next_user();
            }
            let Some(mine) = mine else { return Ok(()) };
            goose.set_session_data(mine.clone());
            RestUser::go(mine, goose, &context).await;
            Ok(())
        })
    })
}
