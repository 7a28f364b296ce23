//! What happens to a device, as its history has it.

use super::Device;
use crate::seen;
use client::{Event, Outbound};
use protocol::frames::server::{Accepted, ErrorNotice};
use verify::history::event::What;

impl Device {
    pub(super) fn happened(&mut self, event: Event, out: &mut Outbound) {
        let device = self.who;
        match event {
            Event::Opened(welcome) => self.record(What::Opened {
                device,
                gateway: welcome.gateway,
                incarnation: welcome.incarnation,
                session: welcome.session,
            }),
            Event::Closed { code } => {
                self.reads.lost();
                self.receipts.lost();
                self.record(What::Closed { device, code });
            }
            Event::ConnectFailed | Event::NotWelcomed { .. } => {
                self.record(What::ConnectFailed { device });
            }
            Event::Attached(attached) => {
                self.state.attached(attached.conversation);
                // What was reported before may have been refused.
                self.receipts.forget(attached.conversation);
                self.receipts.moved();
                self.record(What::Attached {
                    device,
                    conversation: attached.conversation,
                    from: attached.from,
                    head: attached.head,
                });
            }
            Event::Detached(conversation) => {
                self.receipts.forget(conversation);
                self.state.detached(conversation);
                self.record(What::Detached { device, conversation });
            }
            Event::Accepted(accepted) => self.accepted(&accepted),
            Event::Rejected(rejected) => {
                self.state.rejected(&rejected);
                self.record(What::Rejected {
                    device,
                    conversation: rejected.conversation,
                    message: rejected.client_message_id,
                    reason: rejected.reason,
                });
            }
            Event::Resent { conversation, id } => {
                self.record(What::Resent { device, conversation, message: id });
            }
            Event::Shown(entry) => {
                self.state.shown(&entry);
                self.think_of(&entry);
                self.receipts.moved();
                self.record(What::Shown { device, entry: seen::seen(&entry) });
            }
            Event::Dropped(entry) => {
                self.record(What::Received { device, entry: seen::seen(&entry) });
            }
            Event::Receipts(receipts) => self.record(What::ReceiptSeen {
                device,
                conversation: receipts.conversation,
                user: receipts.user,
                delivered: receipts.delivered,
                read: receipts.read,
            }),
            Event::Page(page) => self.page(&page, out),
            Event::Refused(notice) => self.refused(&notice),
            // Nothing that a history has a word for.
            Event::Typing(_) | Event::Presence(_) => {}
        }
    }

    fn accepted(&mut self, accepted: &Accepted) {
        self.state.accepted(accepted);
        self.record(What::Accepted {
            device: self.who,
            conversation: accepted.conversation,
            message: accepted.client_message_id,
            sequence: accepted.sequence,
            epoch: accepted.epoch,
            owner: accepted.owner,
        });
    }

    fn refused(&mut self, notice: &ErrorNotice) {
        let device = self.who;
        if let Some((request, conversation)) = self.reads.refused(&notice.detail) {
            self.record(What::ReadFailed { device, request, conversation });
        } else {
            tracing::debug!(?notice, ?device, "refused");
        }
    }
}
