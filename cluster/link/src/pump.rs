//! Moves frames between a stream and channels; the only place that touches the stream.

use crate::frame::Place;
use crate::greeting::Greeting;
use crate::{LinkTiming, frame};
use ports::Stream;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Frames beyond this many bytes wait for the next write.
const WRITE_BATCH: usize = 256 * 1024;

pub struct Pump {
    stream: Box<dyn Stream>,
    outgoing: mpsc::UnboundedReceiver<Vec<u8>>,
    incoming: mpsc::Sender<Vec<u8>>,
    timing: LinkTiming,
    /// Ours, and what the peer's must be.
    greetings: (Greeting<'static>, Greeting<'static>),
}

impl Pump {
    pub fn new(
        stream: Box<dyn Stream>,
        outgoing: mpsc::UnboundedReceiver<Vec<u8>>,
        incoming: mpsc::Sender<Vec<u8>>,
        timing: LinkTiming,
        greetings: (Greeting<'static>, Greeting<'static>),
    ) -> Self {
        Self { stream, outgoing, incoming, timing, greetings }
    }

    /// Runs until either side closes. Both halves end together: the channels close with the pump.
    pub async fn run(self) {
        let (read, write) = tokio::io::split(self.stream);
        let (ours, theirs) = self.greetings;
        let ended = tokio::select! {
            biased;
            ended = read_frames(read, self.incoming, self.timing, theirs) => ended,
            ended = write_frames(write, self.outgoing, self.timing, ours) => ended,
        };
        match ended {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::error!(%error, "link refused");
            }
            Err(error) => tracing::debug!(%error, "link lost"),
            Ok(()) => {}
        }
    }
}

async fn read_frames(
    mut read: ReadHalf<Box<dyn Stream>>,
    incoming: mpsc::Sender<Vec<u8>>,
    timing: LinkTiming,
    theirs: Greeting<'static>,
) -> io::Result<()> {
    let mut greeted = false;
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let mut start = 0;
        let place = |greeted| if greeted { Place::Later } else { Place::First };
        loop {
            let payload = match frame::take(&buffer, &mut start, place(greeted)) {
                Ok(Some(payload)) => payload,
                Ok(None) => break,
                // Also the first one: damaged on its way, or by a stranger. A node of another version is told
                // by a greeting that arrives whole.
                Err(error) => {
                    tracing::warn!(%error, greeted, "a frame arrived damaged, closing");
                    return Ok(());
                }
            };
            if payload.is_empty() {
                continue;
            }
            if !greeted {
                theirs.check(&payload)?;
                greeted = true;
            } else if incoming.send(payload).await.is_err() {
                return Ok(());
            }
        }
        buffer.drain(..start);
        let read = timeout(timing.idle_timeout, read.read_buf(&mut buffer))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "silence"))??;
        if read == 0 {
            return Ok(());
        }
    }
}

async fn write_frames(
    mut write: WriteHalf<Box<dyn Stream>>,
    mut outgoing: mpsc::UnboundedReceiver<Vec<u8>>,
    timing: LinkTiming,
    ours: Greeting<'static>,
) -> io::Result<()> {
    let mut greeting = Some(ours.frame());
    loop {
        let mut batch = match greeting.take() {
            Some(greeting) => greeting,
            None => match timeout(timing.heartbeat, outgoing.recv()).await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(_silence) => frame::heartbeat(),
            },
        };
        while batch.len() < WRITE_BATCH {
            let Ok(frame) = outgoing.try_recv() else { break };
            batch.extend_from_slice(&frame);
        }
        // A peer that does not read for as long as a silent one is as good as gone.
        timeout(timing.idle_timeout, write.write_all(&batch))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the peer does not read"))??;
    }
}
