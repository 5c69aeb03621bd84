//! What surrounds writing and reading: an answer that comes before its request is complete, a body that waits to be asked
//! for.

use crate::connection::Connection;
use crate::dial::Limits;
use crate::exchange::{Incoming, Progress, Sent, receive, send};
use crate::fault::{During, Fault};
use crate::protocol::Shard;
use crate::settings::CONTINUE_WAIT;
use crucible_core::{Ns, Phase, Probe};

/// Reads the answer after `sent`; tells whether the whole request was written.
pub(crate) async fn answer(
    shard: &Shard,
    connection: &mut Connection,
    incoming: &mut Incoming,
    sent: Result<Sent, Fault>,
    mut limits: Limits<'_>,
    probe: &mut Probe<'_>,
) -> Result<bool, Fault> {
    let sent = sent?;
    if incoming.done() {
        // it came before the body was asked for
        return Ok(false);
    }
    probe.mark(Phase::Send);
    limits.part(limits.timeouts.first_byte, probe.marked_at());
    let received = receive(connection, shard, incoming, false, &mut limits, probe).await;
    match (sent, received) {
        (Sent::All, received) => received.map(|_| true),
        (Sent::Cut(_), Ok(_)) => Ok(false),
        // what broke the writing says more than what broke the reading
        (Sent::Cut(Some(error)), Err(fault)) if fault.before_answer() => Err(Fault::Io(During::Send, error)),
        (Sent::Cut(_), Err(fault)) => Err(fault),
    }
}

/// Writes a head, waits a while for `100 Continue`, then writes the body (RFC 9110 10.1.1).
pub(crate) async fn expect(
    shard: &Shard,
    connection: &mut Connection,
    incoming: &mut Incoming,
    head: &[u8],
    body: &[u8],
    limits: &mut Limits<'_>,
    probe: &mut Probe<'_>,
) -> Result<Sent, Fault> {
    match send(connection, head, limits, probe).await? {
        Sent::All => {}
        cut => return Ok(cut),
    }
    let left = limits.end.since(probe.now());
    limits.within(CONTINUE_WAIT, probe.now());
    let progress = receive(connection, shard, incoming, true, limits, probe).await;
    limits.within(Ns::MAX, probe.now());
    match progress {
        Ok(Progress::Continue) => {}
        // refused before the body was sent: it is not sent, and the connection ends here
        Ok(_) => return Ok(Sent::Cut(None)),
        Err(Fault::Timeout(_)) if left > CONTINUE_WAIT && !incoming.begun() => {}
        Err(fault) => return Err(fault),
    }
    send(connection, body, limits, probe).await
}
