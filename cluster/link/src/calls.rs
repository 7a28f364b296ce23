//! Calls over a link: which answer belongs to which question.

use ports::entered;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use tokio::sync::oneshot;

/// The link was lost before the answer: the call may or may not have been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer")]
pub struct CallLost;

/// Open calls, by number. Numbers rise and never repeat within one `Calls`.
#[derive(Debug)]
pub struct Calls<Answer> {
    open: Mutex<Open<Answer>>,
}

#[derive(Debug)]
struct Open<Answer> {
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Answer>>,
}

impl<Answer> Default for Calls<Answer> {
    fn default() -> Self {
        Self { open: Mutex::new(Open { next: 1, waiting: BTreeMap::new() }) }
    }
}

impl<Answer> Calls<Answer> {
    /// A new call: its number, and where its answer will come (an error: lost).
    pub fn begin(&self) -> (u64, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        let mut open = self.lock();
        let number = open.next;
        open.next += 1;
        let other = open.waiting.insert(number, sender);
        assert!(other.is_none(), "two calls of the number {number}");
        (number, receiver)
    }

    /// The answer of a call has come; a call that was given up is ignored.
    pub fn answer(&self, number: u64, answer: Answer) {
        if let Some(caller) = self.lock().waiting.remove(&number) {
            // The caller may have given up meanwhile.
            let _ = caller.send(answer);
        }
    }

    /// Nobody waits for this call any more.
    pub fn give_up(&self, number: u64) {
        self.lock().waiting.remove(&number);
    }

    /// The link was lost: every open call is.
    pub fn lose_all(&self) {
        self.lock().waiting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Open<Answer>> {
        entered(self.open.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_finds_its_call() {
        let calls = Calls::default();
        let (first, mut first_answer) = calls.begin();
        let (second, mut second_answer) = calls.begin();
        calls.answer(second, "second");
        calls.answer(first, "first");
        assert_eq!(first_answer.try_recv(), Ok("first"));
        assert_eq!(second_answer.try_recv(), Ok("second"));
    }

    #[test]
    fn a_lost_link_loses_its_calls() {
        let calls = Calls::<()>::default();
        let (_, mut answer) = calls.begin();
        calls.lose_all();
        assert_eq!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
