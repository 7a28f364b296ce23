//! A simulated host's network: turmoil's, with every stream watched by the link board.
//!
//! turmoil decides what is delivered when; the decorator adds TCP's window and the line in front of a narrow link,
//! flips bytes, counts what a fault really did to a stream, and turns "refused at once" (what turmoil says through
//! a partition) into the silence that a real partition answers a connect with, and its silence where no process is
//! into a refusal.

use super::flow::{Flow, Flows};
use super::processes::Processes;
use super::trace::{Kind, Trace};
use crate::faults::links::LinkBoard;
use ports::{BoxFuture, Listener, Network, Stream};
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use turmoil::net::{TcpListener, TcpStream};

/// Words of a trace.
const OPENED: u64 = 1;
const READ: u64 = 2;
const WRITTEN: u64 = 3;
const FAILED: u64 = 4;

/// The network of one host.
#[derive(Clone)]
pub struct SimNetwork {
    /// The host's name.
    pub host: Arc<str>,
    /// What is known of all links.
    pub board: LinkBoard,
    /// Who is there to connect to.
    pub processes: Processes,
    /// The windows of all streams.
    pub flows: Flows,
    /// What is told of the host.
    pub trace: Trace,
}

impl Network for SimNetwork {
    fn bind<'a>(&'a self, at: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let port = at.rsplit_once(':').map_or(at, |(_, port)| port);
            let port: u16 = port.parse().map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("no port in {at:?}"))
            })?;
            let listener = TcpListener::bind(("0.0.0.0", port)).await?;
            let listener = SimListener { listener, network: self.clone() };
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, to: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let peer: Arc<str> = to.rsplit_once(':').map_or(to, |(host, _)| host).into();
            if self.board.connects(&self.host, &peer) {
                std::future::pending::<()>().await;
            }
            let stream = self.reach(to, &peer).await?;
            Ok(Box::new(self.watch(stream, peer)?) as Box<dyn Stream>)
        })
    }
}

impl SimNetwork {
    /// Connects to a host that has a process. One that has none refuses, after a round trip; turmoil would keep the
    /// connect, and its port. A machine that is dark or behind a partition says nothing.
    async fn reach(&self, to: &str, peer: &Arc<str>) -> io::Result<TcpStream> {
        loop {
            if !self.processes.is_gone(peer) {
                tokio::select! {
                    biased;
                    stream = TcpStream::connect(to) => match stream {
                        // turmoil refuses what a cut takes on its way.
                        Err(_) if self.board.is_apart(&self.host, peer) => {
                            std::future::pending::<()>().await;
                        }
                        ended => return ended,
                    },
                    () = self.processes.gone(peer) => {}
                }
            }
            sleep(self.board.round_trip(&self.host, peer)).await;
            if self.board.is_apart(&self.host, peer) {
                std::future::pending::<()>().await;
            }
            if self.processes.is_gone(peer) {
                self.trace.number(Kind::Network, FAILED);
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
        }
    }

    fn watch(&self, stream: TcpStream, peer: Arc<str>) -> io::Result<WatchedStream> {
        let (here, there) = (stream.local_addr()?, stream.peer_addr()?);
        self.trace.number(Kind::Network, OPENED);
        if self.trace.is_on() {
            self.trace.bytes(Kind::Network, format!("{here} {there}").as_bytes());
        }
        Ok(WatchedStream {
            stream,
            host: self.host.clone(),
            peer,
            board: self.board.clone(),
            trace: self.trace.clone(),
            outgoing: self.flows.between(here, there),
            incoming: self.flows.between(there, here),
            passes: None,
        })
    }
}

struct SimListener {
    listener: TcpListener,
    network: SimNetwork,
}

impl Listener for SimListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        Box::pin(async move {
            let (stream, address) = self.listener.accept().await?;
            let peer = self.network.board.name_of(address.ip());
            Ok((Box::new(self.network.watch(stream, peer)?) as Box<dyn Stream>, address))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

struct WatchedStream {
    stream: TcpStream,
    host: Arc<str>,
    peer: Arc<str>,
    board: LinkBoard,
    trace: Trace,
    outgoing: Arc<Flow>,
    incoming: Arc<Flow>,
    /// Until more of what stands in line has passed.
    passes: Option<Pin<Box<Sleep>>>,
}

impl WatchedStream {
    /// How much of what has arrived has passed a narrow link, too.
    fn poll_passed(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        loop {
            let now = elapsed();
            match self.incoming.passed(now) {
                Ok(bytes) => {
                    self.passes = None;
                    return Poll::Ready(bytes);
                }
                Err(at) => {
                    let mut passes = Box::pin(sleep(at.saturating_sub(now)));
                    let is_over = passes.as_mut().poll(context).is_ready();
                    self.passes = Some(passes);
                    if !is_over {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl Drop for WatchedStream {
    fn drop(&mut self) {
        self.incoming.reader_is_gone();
    }
}

/// The simulated time.
fn elapsed() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

/// What both ends of a stream get that was reset.
fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.incoming.is_reset_for_reader(context) {
            self.trace.number(Kind::Network, FAILED);
            return Poll::Ready(Err(reset()));
        }
        let passed = ready!(self.poll_passed(context));
        let before = buffer.filled().len();
        let read = if passed < buffer.remaining() {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(passed));
            let read = Pin::new(&mut self.stream).poll_read(context, &mut part);
            let bytes = part.filled().len();
            buffer.advance(bytes);
            read
        } else {
            Pin::new(&mut self.stream).poll_read(context, buffer)
        };
        let new = &buffer.filled()[before..];
        self.incoming.read(new.len());
        if let Poll::Ready(ended) = &read {
            self.trace.number(Kind::Network, if ended.is_ok() { READ } else { FAILED });
            self.trace.bytes(Kind::Network, new);
        }
        read
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Also an attempt for which there is no room, because nothing has got through for long.
        if self.board.writes(&self.host, &self.peer) {
            self.outgoing.reset();
            self.incoming.reset();
        }
        if self.outgoing.is_reset() {
            self.trace.number(Kind::Network, FAILED);
            return Poll::Ready(Err(reset()));
        }
        let room = ready!(self.outgoing.poll_room(context));
        let mut data = Cow::Borrowed(&data[..data.len().min(room)]);
        let flip = self.board.flip(&self.host, &self.peer, data.len());
        if let Some(flip) = flip {
            flip.apply(data.to_mut());
        }
        let written = Pin::new(&mut self.stream).poll_write(context, &data);
        if let Poll::Ready(Ok(bytes)) = &written {
            if flip.is_some_and(|flip| flip.at < *bytes) {
                self.board.flipped(&self.host, &self.peer);
            }
            self.outgoing.wrote(*bytes);
            self.board.wrote(&self.host, &self.peer, *bytes, &self.outgoing);
            self.trace.number(Kind::Network, WRITTEN);
            self.trace.bytes(Kind::Network, &data[..*bytes]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
