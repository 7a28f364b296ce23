//! What waits for one gateway on a store node, and what may be sent to it now.

use bytes::Bytes;
use std::collections::VecDeque;

/// Bytes of records in one frame, a larger record excepted: the answers on the same link wait behind it.
const FRAME_BYTES: usize = 64 * 1024;

/// A bounded queue with a window: so many records may be sent and not taken. It asks for a receipt four
/// times per window, so that receipts cost next to nothing and the window never stays closed.
#[derive(Debug)]
pub struct Queue {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    bytes_max: usize,
    window: u64,
    /// Records, from the first one on.
    sent: u64,
    /// Up to where receipts were asked for.
    asked: u64,
    taken: u64,
}

/// To be sent in one frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// In their order.
    pub records: Vec<Bytes>,
    /// The receipt that is asked for.
    pub receipt: Option<u64>,
}

impl Queue {
    /// Empty.
    pub fn new(window: u32, bytes_max: usize) -> Self {
        let (waiting, window) = (VecDeque::new(), u64::from(window.max(1)));
        Self { waiting, bytes: 0, bytes_max, window, sent: 0, asked: 0, taken: 0 }
    }

    /// Whether there is room for a record.
    pub fn has_room(&self, record: &Bytes) -> bool {
        self.bytes + record.len() <= self.bytes_max
    }

    /// Puts a record in line, if there is room; whether there was.
    pub fn put(&mut self, record: Bytes) -> bool {
        let has_room = self.has_room(&record);
        if has_room {
            self.bytes += record.len();
            self.waiting.push_back(record);
        }
        has_room
    }

    /// A receipt has come.
    pub fn taken(&mut self, receipt: u64) {
        self.taken = self.taken.max(receipt.min(self.sent));
    }

    /// The next frame, if one may be sent.
    pub fn next(&mut self) -> Option<Frame> {
        let open = self.window - (self.sent - self.taken);
        let mut bytes = 0;
        let fits = |(_, record): &(u64, &Bytes)| {
            bytes += record.len();
            bytes <= FRAME_BYTES
        };
        let count = (0..open).zip(&self.waiting).take_while(fits).count();
        // A record that is too large for any frame goes alone.
        let count = count.max(usize::from(open > 0)).min(self.waiting.len());
        let records: Vec<Bytes> = self.waiting.drain(..count).collect();
        self.bytes -= records.iter().map(Bytes::len).sum::<usize>();
        self.sent += records.len() as u64;
        let is_due = self.sent - self.asked >= self.window.div_ceil(4);
        let receipt = is_due.then_some(self.sent);
        self.asked = receipt.unwrap_or(self.asked);
        (!records.is_empty()).then_some(Frame { records, receipt })
    }

    /// Bytes in line.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(queue: &mut Queue, count: usize, size: usize) -> usize {
        (0..count).filter(|_| queue.put(vec![0; size].into())).count()
    }

    fn counts(queue: &mut Queue) -> Vec<(usize, Option<u64>)> {
        let frames = std::iter::from_fn(|| queue.next());
        frames.map(|frame| (frame.records.len(), frame.receipt)).collect()
    }

    #[test]
    fn the_window_bounds_what_is_under_way() {
        let mut queue = Queue::new(8, 1_000);
        assert_eq!(fill(&mut queue, 20, 1), 20);
        assert_eq!(counts(&mut queue), [(8, Some(8))]);
        queue.taken(8);
        assert_eq!(counts(&mut queue), [(8, Some(16))]);
        // Of a frame that was never sent, or of one before.
        queue.taken(4);
        assert_eq!(counts(&mut queue), []);
        queue.taken(99);
        assert_eq!(counts(&mut queue), [(4, Some(20))]);
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn a_receipt_is_asked_for_four_times_per_window() {
        let mut queue = Queue::new(8, 1_000);
        let mut receipts = Vec::new();
        for _ in 0..32 {
            assert_eq!(fill(&mut queue, 1, 1), 1);
            let frame = queue.next().expect("the window is open");
            if let Some(receipt) = frame.receipt {
                receipts.push(receipt);
                queue.taken(receipt);
            }
        }
        assert_eq!(receipts, (1..=16).map(|nth| nth * 2).collect::<Vec<_>>());
        for window in 1..20 {
            let mut queue = Queue::new(window, 1_000);
            fill(&mut queue, 100, 1);
            let mut sent = 0;
            while let Some(Frame { records, receipt }) = queue.next() {
                sent += records.len();
                if let Some(receipt) = receipt {
                    queue.taken(receipt);
                }
            }
            assert_eq!(sent, 100, "a window of {window} stays closed");
        }
    }

    #[test]
    fn what_has_no_room_is_dropped_and_frames_are_small() {
        let mut queue = Queue::new(100, 3 * FRAME_BYTES);
        assert_eq!(fill(&mut queue, 1, FRAME_BYTES + 1), 1);
        assert_eq!(fill(&mut queue, 9, FRAME_BYTES / 4), 7);
        assert_eq!(fill(&mut queue, 1, 1), 1, "a smaller one has room");
        let sizes: Vec<_> = counts(&mut queue).into_iter().map(|(count, _)| count).collect();
        assert_eq!(sizes, [1, 4, 4]);
        assert_eq!(queue.bytes(), 0);
    }
}
