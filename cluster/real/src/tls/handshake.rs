//! A connection that was accepted: it shakes hands when somebody first reads from it or writes to it, and so
//! within the time that its server gives a client for its first words.

use ports::Stream;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::Accept;
use tokio_rustls::server::TlsStream;

type Encrypted = TlsStream<Box<dyn Stream>>;

/// See the module.
pub struct Accepted {
    state: State,
    /// A reader and a writer may both wait for the handshake, and the socket wakes the last of them.
    waiting: Vec<Waker>,
}

enum State {
    Shaking(Box<Accept<Box<dyn Stream>>>),
    Open(Box<Encrypted>),
    Failed,
}

impl Accepted {
    pub fn new(accept: Accept<Box<dyn Stream>>) -> Self {
        Self { state: State::Shaking(Box::new(accept)), waiting: Vec::new() }
    }

    /// The stream, as soon as hands are shaken.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Pin<&mut Encrypted>>> {
        if let State::Shaking(accept) = &mut self.state {
            let Poll::Ready(shaken) = Pin::new(&mut **accept).poll(context) else {
                if !self.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                    self.waiting.push(context.waker().clone());
                }
                return Poll::Pending;
            };
            self.waiting.drain(..).for_each(Waker::wake);
            self.state = State::Failed;
            self.state = State::Open(Box::new(shaken?));
        }
        match &mut self.state {
            State::Open(stream) => Poll::Ready(Ok(Pin::new(&mut **stream))),
            State::Shaking(_) | State::Failed => {
                Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
            }
        }
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_open(context))?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(context))?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(context))?.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(context))?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            // There is nobody to say goodbye to yet.
            State::Shaking(_) | State::Failed => Poll::Ready(Ok(())),
            State::Open(stream) => Pin::new(&mut **stream).poll_shutdown(context),
        }
    }
}
