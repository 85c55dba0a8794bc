//! A call whose answer is looked at while it passes.

use breezeway_wire::Tally;

use crate::{Outcome, Reservation, Tokens};

/// An answer under way: its pieces are counted as they pass, and the call is settled by what they said
/// it took, or by an estimate of their text. Dropping it before [`end`](Self::end) settles an aborted call.
#[derive(Debug)]
pub struct Watch {
    /// Gone once the call is settled.
    reservation: Option<Reservation>,
    tally: Tally,
    /// Bytes of text that the reservation knows of.
    noted: u64,
}

impl Watch {
    /// Watch the answer of a reserved call. Which `tally`, its body decides.
    pub fn new(reservation: Reservation, tally: Tally) -> Self {
        Self { reservation: Some(reservation), tally, noted: 0 }
    }

    /// The next bytes of the body, split anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        self.tally.push(bytes);
        self.note();
    }

    /// A complete piece: the data of an event, or a whole body.
    pub fn see(&mut self, piece: &[u8]) {
        self.tally.see(piece);
        self.note();
    }

    /// A body that is all there is of the answer.
    pub fn see_whole(&mut self, body: &[u8]) {
        self.tally.see_whole(body);
        self.note();
    }

    /// Settle the call; later ends change nothing.
    pub fn end(&mut self, outcome: Outcome) {
        self.tally.end();
        self.note();
        let Some(reservation) = self.reservation.take() else { return };
        match self.tally.usage() {
            Some(usage) => {
                let cached = usage.cached_tokens.unwrap_or(0);
                let tokens = Tokens { input: usage.prompt_tokens, output: usage.completion_tokens, cached };
                reservation.settle(tokens, outcome);
            }
            None => reservation.settle_estimated(outcome),
        }
    }

    /// Whether the call is settled, so that nothing more has to be seen.
    pub fn is_settled(&self) -> bool {
        self.reservation.is_none()
    }

    fn note(&mut self) {
        let written = self.tally.written_bytes();
        let Some(reservation) = self.reservation.as_mut().filter(|_| written > self.noted) else { return };
        reservation.first_token();
        reservation.produced_bytes(usize::try_from(written - self.noted).unwrap_or(usize::MAX));
        self.noted = written;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end(Outcome::Aborted);
    }
}
