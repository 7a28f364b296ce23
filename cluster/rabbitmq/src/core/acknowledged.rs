//! What an acknowledgement up to a position means on a channel.
//!
//! RabbitMQ closes a channel on which a delivery is acknowledged twice, or one that was never made: then
//! everything unacknowledged is delivered again. So nothing of the kind may be sent.

/// The tags of one channel: consecutive numbers from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    handed_out: u64,
    through: u64,
}

impl Acknowledged {
    /// A delivery was handed to the consumer.
    pub fn handed_out(&mut self, tag: u64) {
        self.handed_out = self.handed_out.max(tag);
    }

    /// Everything up to `through` is done: what is to be acknowledged, if it changes anything.
    pub fn acknowledge(&mut self, through: u64) -> Option<u64> {
        let through = through.min(self.handed_out);
        (through > self.through).then(|| {
            self.through = through;
            through
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_acknowledged_once_and_only_if_it_was_handed_out() {
        let mut tags = Acknowledged::default();
        assert_eq!(tags.acknowledge(5), None);
        (1..=4).for_each(|tag| tags.handed_out(tag));
        for (through, sent) in
            [(2, Some(2)), (1, None), (2, None), (0, None), (u64::MAX, Some(4)), (9, None)]
        {
            assert_eq!(tags.acknowledge(through), sent, "{through}");
        }
        tags.handed_out(5);
        assert_eq!(tags.acknowledge(9), Some(5));
    }
}
