//! What a test does around its load: setup before, teardown after, by a user of its own on the first shard.
//!
//! What the setup saves is where every user of the test begins, on all shards: the first shard shares it before they
//! meet. Its operations count in the first window of the test, those of the teardown in a window behind the last.

use crate::control::Signal;
use crate::phase::{self, Last};
use crate::shard::{Reports, Shard, ShardJob, Stage};
use crate::user::User;
use crucible_core::{Clock, Ns, Probe, ScenarioId, Slot, Value, VuId, Worker};
use crucible_record::StopReason;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// The number of the user that does setup and teardown of a test: no other user has it.
const LONE: VuId = VuId(u32::MAX as u64);

/// Does the setup of a test. If it fails the test is called off, and the run with it: nothing that follows could be
/// understood.
pub(crate) async fn begin<C: Clock, W: Worker>(shard: &Rc<Shard<C, W>>, job: &ShardJob, test: usize) {
    if job.share.index != 0 {
        return;
    }
    let row = &job.plan.tests[test];
    *shard.initial.borrow_mut() = Arc::new([]);
    job.meeting.prepare(Arc::new([]), false);
    if (row.setup.is_empty() && row.teardown.is_empty()) || shard.signal.get() != Signal::Run {
        return;
    }
    let scenario = row.scenarios.first().copied().unwrap_or(ScenarioId(0));
    let mut user = shard.new_user(LONE, scenario);
    let dealt = row.feeds.iter().try_for_each(|id| shard.deal_one(&mut user, *id));
    *shard.lone.borrow_mut() = Some((user, dealt.is_ok()));
    if dealt.is_ok() {
        alone(shard, test, true, Signal::Drain, Ns::MAX).await;
    }
    let lone = shard.lone.borrow();
    match &*lone {
        Some((user, true)) => {
            let names = (0..job.plan.variables.len()).map(|index| Slot(index as u16));
            let saved = names.map(|slot| (slot, user.scope.get(slot).clone()));
            let saved = saved.filter(|(_, value)| *value != Value::Absent).collect();
            job.meeting.prepare(saved, false);
        }
        _ => {
            job.meeting.prepare(Arc::new([]), true);
            if shard.signal.get() == Signal::Run {
                let errors = shard.errors.borrow();
                let why = dealt.err();
                let why = why
                    .as_ref()
                    .map(|lack| lack.why.as_str())
                    .or(errors.last())
                    .unwrap_or("a step was not ok");
                let text = format!("the setup of the test `{}` failed: {why}", row.name);
                job.control.stop(StopReason::Error(text));
            }
        }
    }
}

/// Does the teardown of a test when every shard has ended its load; `last` is where this shard's has ended.
pub(crate) async fn end<C: Clock, W: Worker>(
    shard: &Rc<Shard<C, W>>,
    job: &ShardJob,
    test: usize,
    last: Option<Last>,
    reports: &dyn Reports,
) {
    let row = &job.plan.tests[test];
    if row.teardown.is_empty() {
        shard.lone.borrow_mut().take();
        return;
    }
    job.meeting.everybody().await;
    let begun = shard.lone.borrow().is_some();
    if let Some(last) = last.filter(|_| begun && shard.signal.get() < Signal::Abort) {
        alone(shard, test, false, Signal::Abort, row.load.graceful_stop).await;
        phase::report_after(shard, reports, last);
    }
    shard.lone.borrow_mut().take();
}

/// The lone user does the setup or teardown of a test, until it has, the control handle has gone as far as `breaks`, or
/// `limit` is over.
async fn alone<C: Clock, W: Worker>(
    shard: &Rc<Shard<C, W>>,
    test: usize,
    setup: bool,
    breaks: Signal,
    limit: Ns,
) {
    let Some((mut user, _)) = shard.lone.borrow_mut().take() else { return };
    shard.stage.set(Stage::Running);
    shard.tasks.set(shard.tasks.get() + 1);
    let until = Ns(shard.clock.now().0.saturating_add(limit.0));
    let (clock, task) = (shard.clock.clone(), Rc::clone(shard));
    clock.clone().spawn(async move {
        let place = task.take_place();
        let ok = act(&task, &mut user, place, test, setup).await;
        *task.lone.borrow_mut() = Some((user, ok));
        task.leave_place(place);
        task.tasks.set(task.tasks.get() - 1);
        task.wake_driver();
    });
    let mut sleep = std::pin::pin!((limit < Ns::MAX).then(|| clock.sleep_until(until)));
    std::future::poll_fn(|cx| {
        *shard.driver.borrow_mut() = Some(cx.waker().clone());
        let late = sleep.as_mut().as_pin_mut().is_some_and(|sleep| sleep.poll(cx).is_ready());
        if shard.tasks.get() > 0
            && shard.stage.get() != Stage::Aborting
            && (late || shard.signal.get() >= breaks)
        {
            shard.enter(Stage::Aborting);
        }
        if shard.tasks.get() == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn act<C: Clock, W: Worker>(
    shard: &Rc<Shard<C, W>>,
    user: &mut User<W::Session>,
    place: usize,
    test: usize,
    setup: bool,
) -> bool {
    let mut probe = Probe::new(&shard.clock);
    let row = &shard.plan.tests[test];
    shard.around(user, &mut probe, place, if setup { &row.setup } else { &row.teardown }).await
}
