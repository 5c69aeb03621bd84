//! Futures that end when what they wait for does, or when the shard's stage says so.

use crate::shard::{Shard, Stage};
use crucible_core::{Clock, Outcome, Worker};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// How an operation's future ended.
pub(crate) enum Cut {
    /// By itself.
    Through(Outcome),
    /// The shard aborts.
    Off,
    /// Its deadline has passed.
    Late,
}

/// Runs an operation, and ends it when the shard aborts or its deadline passes. The inner future is then dropped
/// unfinished.
pub(crate) struct CutOff<'s, 'f, C: Clock, W: Worker, F, L> {
    pub(crate) shard: &'s Shard<C, W>,
    pub(crate) place: usize,
    pub(crate) inner: Pin<&'f mut F>,
    pub(crate) late: Pin<&'f mut Option<L>>,
}

impl<C, W, F, L> Future for CutOff<'_, '_, C, W, F, L>
where
    C: Clock,
    W: Worker,
    F: Future<Output = Outcome>,
    L: Future<Output = ()>,
{
    type Output = Cut;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Cut> {
        if self.shard.stage.get() == Stage::Aborting {
            return Poll::Ready(Cut::Off);
        }
        if let Poll::Ready(outcome) = self.inner.as_mut().poll(cx) {
            return Poll::Ready(Cut::Through(outcome));
        }
        if let Some(late) = self.late.as_mut().as_pin_mut()
            && late.poll(cx).is_ready()
        {
            return Poll::Ready(Cut::Late);
        }
        self.shard.suspended.set(true);
        self.shard.remember(self.place, cx);
        Poll::Pending
    }
}

/// Waits until the inner future ends; `false` as soon as the shard's stage has reached `breaks`.
pub(crate) struct Pause<'s, 'f, C: Clock, W: Worker, F> {
    pub(crate) shard: &'s Shard<C, W>,
    pub(crate) place: usize,
    pub(crate) breaks: Stage,
    pub(crate) inner: Pin<&'f mut F>,
}

impl<C: Clock, W: Worker, F: Future<Output = ()>> Future for Pause<'_, '_, C, W, F> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        if self.shard.stage.get() >= self.breaks {
            return Poll::Ready(false);
        }
        match self.inner.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => {
                self.shard.suspended.set(true);
                self.shard.remember(self.place, cx);
                Poll::Pending
            }
        }
    }
}

/// Keeps the waker of whoever polls.
pub(crate) fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        other => *other = Some(cx.waker().clone()),
    }
}
