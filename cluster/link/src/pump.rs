//! Moves frames between a stream and channels; the only place that touches the stream.

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
}

impl Pump {
    pub fn new(
        stream: Box<dyn Stream>,
        outgoing: mpsc::UnboundedReceiver<Vec<u8>>,
        incoming: mpsc::Sender<Vec<u8>>,
        timing: LinkTiming,
    ) -> Self {
        Self { stream, outgoing, incoming, timing }
    }

    /// Runs until either side closes. Both halves end together: the channels close with the pump.
    pub async fn run(self) {
        let (read, write) = tokio::io::split(self.stream);
        let ended = tokio::select! {
            biased;
            ended = read_frames(read, self.incoming, self.timing) => ended,
            ended = write_frames(write, self.outgoing, self.timing) => ended,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "link lost");
        }
    }
}

async fn read_frames(
    mut read: ReadHalf<Box<dyn Stream>>,
    incoming: mpsc::Sender<Vec<u8>>,
    timing: LinkTiming,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let mut start = 0;
        while let Some(payload) = frame::take(&buffer, &mut start)? {
            if !payload.is_empty() && incoming.send(payload).await.is_err() {
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
) -> io::Result<()> {
    loop {
        let mut batch = match timeout(timing.heartbeat, outgoing.recv()).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(()),
            Err(_silence) => frame::heartbeat(),
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
