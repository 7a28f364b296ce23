//! Carries one link: accepts what one node connects to another, and passes on what they say, as the faults let
//! it.
//!
//! What vanishes is what a partition swallows: of a stream that a cut has met in one direction, nothing passes in
//! this direction any more, not even its end, also after the cut has healed, as when both ends' retransmissions
//! have run out. A connection that is made across a cut is one to nobody: the kernel has accepted it, and nobody
//! ever answers. So whoever connects finds out by the silence of its peer, not by that of the handshake of TCP;
//! and a peer that does not listen is found by the end of the connection, not by a refusal.

use super::Carried;
use super::board::{Board, Directions};
use bytes::Bytes;
use link::accept::Acceptor;
use ports::{Machine, Stream};
use real::network::reset_when_closed;
use scenarios::faults::claims::{Claim, Latency};
use scenarios::faults::target::Pair;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;
/// Chunks that are under way in one direction; then whoever writes has to wait.
const UNDER_WAY: usize = 64;
thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// Carries all of these links, on the current runtime.
///
/// # Errors
/// An address is taken.
pub async fn serve_all(
    carried: Vec<Carried>,
    machine: &Machine,
    board: &Arc<Board>,
) -> io::Result<()> {
    for Carried { from, to, at, reaches } in carried {
        let listener = machine.network.bind(&at).await?;
        let (there, back) = ((from.clone(), to.clone()), (to, from));
        let directions = Directions { there, back };
        let (board, own) = (board.clone(), machine.clone());
        let link = Arc::new(Link { directions, reaches, machine: own, board });
        // As many as there are users: how many are too many is for whom they go to.
        let acceptor = Acceptor::new(machine, listener, u32::MAX);
        machine.spawn("link", link.serve(acceptor));
    }
    Ok(())
}

struct Link {
    directions: Directions,
    reaches: String,
    machine: Machine,
    board: Arc<Board>,
}

impl Link {
    async fn serve(self: Arc<Self>, mut acceptor: Acceptor) {
        while let Ok((near, place)) = acceptor.next().await {
            let link = self.clone();
            self.machine.spawn("stream", async move {
                link.carry(near).await;
                drop(place);
            });
        }
    }

    async fn carry(&self, near: Box<dyn Stream>) {
        let Self { directions: Directions { there, back }, board, .. } = self;
        let (claim, latency) = board.connects(&self.directions);
        let reached = claim != Some(Claim::Cut) && {
            if let Some(latency) = latency {
                // One packet there, one back.
                sleep(self.drawn(latency) + self.drawn(latency)).await;
            }
            board.passes(there).await && board.passes(back).await
        };
        let (mut near_reads, mut near_writes) = tokio::io::split(near);
        if !reached {
            // Whatever it says, until it gives up.
            let _ = tokio::io::copy(&mut near_reads, &mut tokio::io::sink()).await;
            return;
        }
        let Ok(far) = self.machine.network.connect(&self.reaches).await else { return };
        let (mut far_reads, mut far_writes) = tokio::io::split(far);
        let stream = Carrying::default();
        let [forth, back] = [
            (there, &stream.dead[0], (back, &stream.dead[1])),
            (back, &stream.dead[1], (there, &stream.dead[0])),
        ]
        .map(|(pair, is_dead, opposite)| Way { link: self, pair, is_dead, opposite });
        let both = async {
            tokio::join!(
                forth.pass(&mut near_reads, &mut far_writes, &stream),
                back.pass(&mut far_reads, &mut near_writes, &stream),
            )
        };
        tokio::select! {
            () = stream.broken.notified() => {}
            ((), ()) = both => {}
        }
        if stream.is_reset.load(Ordering::Relaxed) {
            reset_when_closed(&*near_reads.unsplit(near_writes));
            reset_when_closed(&*far_reads.unsplit(far_writes));
        }
    }

    fn drawn(&self, Latency { min, max }: Latency) -> Duration {
        let span = max.saturating_sub(min).as_micros() as u64;
        min + Duration::from_micros(self.machine.entropy.below(span + 1))
    }
}

/// One connection.
#[derive(Default)]
struct Carrying {
    /// Whether nothing passes any more, there and back.
    dead: [AtomicBool; 2],
    /// Both ends hear that it is over.
    broken: Notify,
    /// By a reset, instead of by its end.
    is_reset: AtomicBool,
}

impl Carrying {
    fn reset(&self) {
        self.is_reset.store(true, Ordering::Relaxed);
        self.broken.notify_one();
    }
}

/// One direction of a connection.
struct Way<'a> {
    link: &'a Link,
    pair: &'a Pair,
    is_dead: &'a AtomicBool,
    /// The other direction.
    opposite: (&'a Pair, &'a AtomicBool),
}

/// What is under way.
struct Packet {
    /// When it has passed a narrow link.
    passes: Option<Instant>,
    arrives: Instant,
    is: Said,
}

/// What one end says.
enum Said {
    Bytes(Bytes),
    /// Nothing follows.
    End,
}

impl Way<'_> {
    async fn pass(
        &self,
        from: impl AsyncRead + Unpin,
        to: impl AsyncWrite + Unpin,
        stream: &Carrying,
    ) {
        let (sender, receiver) = mpsc::channel(UNDER_WAY);
        tokio::join!(self.take(from, sender, stream), self.give(to, receiver, stream));
    }

    /// Takes what one end says.
    async fn take(
        &self,
        mut from: impl AsyncRead + Unpin,
        sender: mpsc::Sender<Packet>,
        stream: &Carrying,
    ) {
        let mut arrives = Instant::now();
        loop {
            let said = match read(&mut from).await {
                Ok(Some(bytes)) => Said::Bytes(bytes),
                Ok(None) => Said::End,
                Err(_) => {
                    if !self.swallows(self.link.board.writes(self.pair).0) {
                        stream.broken.notify_one();
                    }
                    return;
                }
            };
            let (claim, latency) = self.link.board.writes(self.pair);
            let is_end = matches!(said, Said::End);
            if claim == Some(Claim::Reset) && !self.is_dead() {
                return stream.reset();
            }
            if !self.swallows(claim) {
                // A stream keeps its order.
                let late = latency.map_or(Duration::ZERO, |latency| self.link.drawn(latency));
                arrives = arrives.max(Instant::now() + late);
                // Only of what arrives: the flips that count have been read by somebody.
                let said = match said {
                    Said::Bytes(bytes) => Said::Bytes(self.flipped(bytes)),
                    Said::End => Said::End,
                };
                for (passes, is) in self.line_up(said) {
                    let packet = Packet { passes, arrives, is };
                    if sender.send(packet).await.is_err() && !self.is_dead() {
                        // The other end is gone, and this one will not hear of it before it ends, too.
                        self.is_dead.store(true, Ordering::Relaxed);
                    }
                }
            }
            if is_end {
                return;
            }
        }
    }

    /// What arrives of what is said: on a link that is corrupt, not all of it is the same.
    fn flipped(&self, bytes: Bytes) -> Bytes {
        let Link { board, machine, .. } = self.link;
        let Some(flip) = board.flip(self.pair, bytes.len(), |bound| machine.entropy.below(bound))
        else {
            return bytes;
        };
        let mut changed = bytes.to_vec();
        flip.apply(&mut changed);
        changed.into()
    }

    /// What is said stands in line if the link is narrow, a packet behind the other.
    fn line_up(&self, said: Said) -> Vec<(Option<Instant>, Said)> {
        let mut bytes = match said {
            Said::Bytes(bytes) => bytes,
            Said::End => return vec![(None, Said::End)],
        };
        let parts = self.link.board.line_up(self.pair, bytes.len());
        if parts.is_empty() {
            return vec![(None, Said::Bytes(bytes))];
        }
        let part = |(length, passes)| (Some(passes), Said::Bytes(bytes.split_to(length)));
        parts.into_iter().map(part).collect()
    }

    /// Gives it to the other end.
    async fn give(
        &self,
        mut to: impl AsyncWrite + Unpin,
        mut receiver: mpsc::Receiver<Packet>,
        stream: &Carrying,
    ) {
        while let Some(Packet { passes, arrives, is }) = receiver.recv().await {
            if let Some(passes) = passes {
                self.link.board.stands_in_line(self.pair, passes).await;
            }
            sleep_until(arrives).await;
            if self.is_dead() || !self.link.board.passes(self.pair).await {
                self.is_dead.store(true, Ordering::Relaxed);
                continue;
            }
            let given = match is {
                Said::Bytes(bytes) => to.write_all(&bytes).await,
                Said::End => to.shutdown().await,
            };
            if given.is_err() {
                // The end that is gone tells the other one, if its packets get through.
                let (opposite, is_dead) = self.opposite;
                let is_silent =
                    is_dead.load(Ordering::Relaxed) || !self.link.board.passes(opposite).await;
                if !is_silent {
                    stream.broken.notify_one();
                }
                return;
            }
        }
    }

    fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    /// Whether a packet vanishes under this claim; then all that follow do.
    fn swallows(&self, claim: Option<Claim>) -> bool {
        if claim == Some(Claim::Cut) {
            self.is_dead.store(true, Ordering::Relaxed);
        }
        self.is_dead()
    }
}

/// What comes next; nothing at the end. Memory is taken when there is something: most connections are idle most
/// of the time.
async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Bytes>> {
    poll_fn(|context| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut chunk = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *from).poll_read(context, &mut chunk))?;
            let read = chunk.filled();
            Poll::Ready(Ok((!read.is_empty()).then(|| Bytes::copy_from_slice(read))))
        })
    })
    .await
}
