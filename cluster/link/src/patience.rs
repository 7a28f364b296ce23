//! A stream whose peer must take what is written to it.
//!
//! An HTTP server has bounds for what it reads; hyper has none for what it writes. Whoever asks and reads no
//! answer would keep its connection for ever, for nothing: with a second request behind it not even the timer
//! of the next head runs. How long an answer is being made is no business of this file, nor what becomes of
//! an upgraded connection: then nobody watches any more.

use ports::Stream;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes a second that a peer takes at least, in the long run: a hundredth of a bad connection. With the time
/// alone, one byte now and then would be enough to keep it for ever.
const RATE: u32 = 1_024;

/// How long a peer may still take until it has taken everything that waits.
#[derive(Clone, Copy, Debug)]
struct Patience {
    most: Duration,
    /// `None`: nothing waits.
    until: Option<Instant>,
}

impl Patience {
    const fn new(most: Duration) -> Self {
        Self { most, until: None }
    }

    /// Something waits; until when it may.
    fn waits(&mut self, now: Instant) -> Instant {
        *self.until.get_or_insert(now + self.most)
    }

    /// The peer has made room for so many bytes, which buys it time.
    fn took(&mut self, now: Instant, bytes: usize) {
        if let Some(until) = &mut self.until {
            let earned = Duration::from_secs(bytes as u64) / RATE;
            *until =
                (*until).max(now).checked_add(earned).map_or(now, |it| it.min(now + self.most));
        }
    }

    /// Nothing waits any more.
    const fn is_done(&mut self) {
        self.until = None;
    }
}

/// See the module.
pub struct Watched {
    stream: Box<dyn Stream>,
    /// Boxed, so that an upgraded stream is as small as if it had never been watched.
    watch: Option<Box<Watch>>,
}

struct Watch {
    /// Set when the peer is given up. If it is gone, nobody watches.
    gave_up: Weak<AtomicBool>,
    patience: Patience,
    timer: Option<Pin<Box<Sleep>>>,
}

/// Whoever holds it watches; it says whether the peer was given up.
pub struct Watcher(Arc<AtomicBool>);

impl Watcher {
    /// Whether the peer took nothing for too long.
    pub fn gave_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Watched {
    /// A stream that fails with `TimedOut` when its peer takes nothing for so long.
    pub fn new(stream: Box<dyn Stream>, most: Duration) -> (Self, Watcher) {
        let watcher = Arc::new(AtomicBool::new(false));
        let gave_up = Arc::downgrade(&watcher);
        let watch = Watch { gave_up, patience: Patience::new(most), timer: None };
        (Self { stream, watch: Some(Box::new(watch)) }, Watcher(watcher))
    }

    /// What became of a write of so many bytes, if somebody watches.
    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match (&written, self.watched()) {
            (Poll::Ready(Ok(bytes)), Some(watch)) => {
                watch.patience.took(Instant::now(), *bytes);
                written
            }
            (Poll::Pending, Some(watch)) => watch.wait(context).map(Err),
            _ => written,
        }
    }

    /// What became of a flush or of the end, if somebody watches.
    fn finished(
        &mut self,
        context: &mut Context<'_>,
        finished: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        match (&finished, self.watched()) {
            (Poll::Ready(Ok(())), Some(watch)) => {
                watch.patience.is_done();
                watch.timer = None;
                finished
            }
            (Poll::Pending, Some(watch)) => watch.wait(context).map(Err),
            _ => finished,
        }
    }

    fn watched(&mut self) -> Option<&mut Watch> {
        self.watch.take_if(|watch| watch.gave_up.strong_count() == 0);
        self.watch.as_deref_mut()
    }
}

impl Watch {
    /// Ready with an error when patience is at its end.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let until = self.patience.waits(Instant::now());
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(context).map(|()| {
            if let Some(gave_up) = self.gave_up.upgrade() {
                gave_up.store(true, Ordering::Relaxed);
            }
            io::Error::new(io::ErrorKind::TimedOut, "the peer does not take what is sent to it")
        })
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.finished(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.finished(context, ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::sleep;

    const MOST: Duration = Duration::from_secs(30);

    #[test]
    fn what_a_peer_takes_buys_it_time_and_no_more_than_it_had_at_first() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut patience = Patience::new(MOST);
        patience.took(began, 1_000_000);
        assert_eq!([patience.waits(at(5)), patience.waits(at(9))], [at(35); 2]);
        // One byte now and then buys next to nothing.
        patience.took(at(34), 1);
        assert!(patience.waits(at(34)) < at(36));
        patience.took(at(34), 4 * 1_024 * 1_024);
        assert_eq!(patience.waits(at(34)), at(64));
        // A process that was held up came too late, not its peer.
        patience.took(at(100), 2 * 1_024);
        assert_eq!(patience.waits(at(100)), at(102));
        patience.is_done();
        assert_eq!(patience.waits(at(200)), at(230));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_nothing_is_given_up_and_whoever_is_slow_is_not() {
        for (bytes_each_second, gives_up) in [(0, true), (512, true), (2_048, false)] {
            let (near, mut far) = duplex(4_096);
            let (mut watched, watcher) = Watched::new(Box::new(near), MOST);
            let reading = async {
                let mut read = vec![0; bytes_each_second];
                loop {
                    sleep(Duration::from_secs(1)).await;
                    if bytes_each_second > 0 && far.read(&mut read).await.unwrap() == 0 {
                        break;
                    }
                }
            };
            let writing = async {
                let written = watched.write_all(&vec![0; 256 * 1_024]).await;
                written.map_err(|error| error.kind())
            };
            let written = tokio::select! {
                biased;
                written = writing => written,
                () = reading => unreachable!("the writer is there"),
            };
            let expected = if gives_up { Err(io::ErrorKind::TimedOut) } else { Ok(()) };
            assert_eq!((written, watcher.gave_up()), (expected, gives_up), "{bytes_each_second}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_nobody_watches_waits_for_ever() {
        let (near, _far) = duplex(4_096);
        let (mut watched, watcher) = Watched::new(Box::new(near), MOST);
        drop(watcher);
        let writing = watched.write_all(&[0; 8_192]);
        assert!(tokio::time::timeout(100 * MOST, writing).await.is_err());
        assert!(watched.watch.is_none());
    }
}
