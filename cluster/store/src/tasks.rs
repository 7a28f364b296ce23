//! Tasks that end with their owner.

use tokio::task::AbortHandle;

/// Aborts its tasks when it is dropped.
#[derive(Debug, Default)]
pub struct TaskSet(Vec<AbortHandle>);

impl TaskSet {
    /// One more task; those that have ended are forgotten.
    pub fn add(&mut self, task: AbortHandle) {
        // Only when the list has doubled, so that adding stays cheap.
        if self.0.len() == self.0.capacity() {
            self.0.retain(|task| !task.is_finished());
        }
        self.0.push(task);
    }
}

impl Drop for TaskSet {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}
