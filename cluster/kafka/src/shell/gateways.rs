//! What gateways are told: read from the moment on at which its consumer comes.

use super::clients::{Reading, assign, ends, number};
use super::publisher::Outgoing;
use super::uplink::Uplink;
use crate::core::gateways::Key;
use bytes::Bytes;
use ports::BoxFuture;
use ports::broker::{BrokerUnavailable, ConsumerLost, FanoutConsumer, GatewayLife};
use protocol::limits;
use rdkafka::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long one wait for records takes; a consumer that was dropped is noticed after it.
const TICK: Duration = Duration::from_millis(100);

/// The consumer of a gateway's life.
pub struct Told {
    records: mpsc::Receiver<Bytes>,
    prefetch: usize,
}

/// Says that there is a new consumer, and reads what is behind that.
pub async fn begin(
    uplink: &Arc<Uplink>,
    life: GatewayLife,
    prefetch: u32,
) -> Result<Told, BrokerUnavailable> {
    if !uplink.ready_within(limits::CALL_TIMEOUT).await {
        return Err(BrokerUnavailable);
    }
    let (place, nonce) = (uplink.topology.gateway(life), uplink.machine.entropy.next_u64());
    let key = Some(Key::Takeover(nonce).encode());
    let (place_of, message) = (place.clone(), Bytes::new());
    let takeover = Outgoing { place: place_of, key, message, bounded: None, parent: None };
    let Some(Ok(offset)) = uplink.tell(vec![takeover]).await.pop() else {
        return Err(BrokerUnavailable);
    };
    let prefetch = prefetch.max(1) as usize;
    let (out, records) = mpsc::channel(prefetch);
    let (thread, clients) = (uplink.machine.tasks.worker("kafka gateway"), Arc::clone(uplink));
    // Nobody waits for it: it ends when the other end is dropped.
    drop(thread.run(Box::new(move || {
        let client = clients.clients.reading().and_then(|client| {
            assign(&client, &place, offset + 1)?;
            Ok(client)
        });
        match client {
            Ok(client) => read(&client, life, &out),
            Err(error) => tracing::error!(?place, %error, "cannot read"),
        }
    })));
    Ok(Told { records, prefetch })
}

/// Until there is a newer consumer, or this one is gone.
fn read(client: &Reading, life: GatewayLife, out: &mpsc::Sender<Bytes>) {
    while !out.is_closed() {
        match client.poll(TICK) {
            None => {}
            Some(Ok(message)) => match message.key().and_then(Key::decode) {
                // Its own stands before where it began.
                Some(Key::Takeover(_)) => return,
                Some(Key::Life(incarnation)) if incarnation == life.incarnation => {
                    let record = Bytes::copy_from_slice(message.payload().unwrap_or_default());
                    if out.blocking_send(record).is_err() {
                        return;
                    }
                }
                Some(Key::Life(_)) => {}
                None => tracing::warn!(offset = number(message.offset()), "a record of others"),
            },
            Some(Err(error)) if ends(&error) => {
                return tracing::warn!(?life, %error, "cannot read on");
            }
            // It connects again on its own.
            Some(Err(error)) => tracing::debug!(?life, %error, "reading"),
        }
    }
}

impl FanoutConsumer for Told {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Bytes>, ConsumerLost>> {
        Box::pin(async {
            let mut batch = Vec::new();
            match self.records.recv_many(&mut batch, self.prefetch).await {
                0 => Err(ConsumerLost),
                _ => Ok(batch),
            }
        })
    }
}
