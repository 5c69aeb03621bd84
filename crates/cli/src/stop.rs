//! Ctrl-C and SIGTERM: once to drain, twice to abort.

use crate::out;
use crucible_engine::{Control, Signal};
use crucible_record::StopReason;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

/// Follows signals until dropped.
pub struct Watch {
    handle: Option<Handle>,
}

impl Watch {
    /// Tells `control` about signals. Without the right to listen, the run goes on unwatched.
    pub fn start(control: &Control) -> Watch {
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return Watch { handle: None } };
        let handle = signals.handle();
        let control = control.clone();
        let listener = std::thread::Builder::new().name("signals".into()).spawn(move || {
            for _ in signals.forever() {
                match control.signal() {
                    Signal::Run => {
                        out::note("\nstopping: what is under way may finish; once more to cut it off")
                    }
                    Signal::Drain => out::note("\ncutting off what is under way"),
                    Signal::Abort => {}
                }
                control.stop(StopReason::Interrupted);
            }
        });
        Watch { handle: listener.is_ok().then_some(handle) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.close();
        }
    }
}
