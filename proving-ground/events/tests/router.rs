//! What only the central router has: rules, the choice of one of several, one bound for all queues.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use crucible_events::{
    CentralRouter, Event, EventBus, Failure, Family, Health, Interest, Name, Priority, Route, Rule,
    ServiceId, ServiceSpec, Settings, Strategy, Targets, WhenFull,
};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

fn event(id: u64) -> Event {
    Event::new(id, Family::External, Arc::from([0u8; 8]))
}

fn fine(_: &Event) -> Result<(), Failure> {
    Ok(())
}

fn router(strategy: Strategy, services: &[(u32, u32)]) -> (CentralRouter, Arc<[ServiceId]>) {
    let router = CentralRouter::start(Settings { strategy, ..Settings::default() }).unwrap();
    let ids = services
        .iter()
        .enumerate()
        .map(|(index, (weight, rank))| {
            let spec = ServiceSpec::new(format!("s{index}"), Interest::nothing());
            router.register(ServiceSpec { weight: *weight, rank: *rank, ..spec }, Box::new(fine)).unwrap()
        })
        .collect();
    (router, ids)
}

fn processed(router: &CentralRouter) -> Vec<u64> {
    assert!(router.drain(LONG));
    router.statistics().services.iter().map(|s| s.processed).collect()
}

fn send(router: &CentralRouter, to: &Arc<[ServiceId]>, ids: std::ops::Range<u64>) {
    for id in ids {
        router.route_event(Event { targets: Targets::OneOf(Arc::clone(to)), ..event(id) });
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let (router, ids) = router(Strategy::RoundRobin, &[(1, 0), (1, 0)]);
    router.set_rules(vec![
        Rule { topic: Some(Name::of("noise")), ..Rule::all(Route::Discard) },
        Rule {
            family: Some(Family::External),
            at_least: Some(Priority::High),
            ..Rule::all(Route::To(Targets::Each(Arc::clone(&ids))))
        },
        Rule { source: Some(Name::of("door")), ..Rule::all(Route::To(Targets::One(ids[1]))) },
    ]);
    let accepted = |event| router.route_event(event).accepted;
    assert_eq!(accepted(Event { topic: Name::of("noise"), priority: Priority::Critical, ..event(1) }), 0);
    assert_eq!(accepted(Event { priority: Priority::High, ..event(2) }), 2);
    assert_eq!(accepted(Event { source: Name::of("door"), ..event(3) }), 1);
    assert_eq!(accepted(event(4)), 0, "no rule, no interest");
    let explicit = Event { topic: Name::of("noise"), targets: Targets::One(ids[0]), ..event(5) };
    assert_eq!(accepted(explicit), 1, "named targets are not for rules");
    assert_eq!(processed(&router), [2, 2]);
    assert_eq!(router.statistics().unrouted, 2);
}

#[test]
fn strategies_choose_as_they_say() {
    let shares = |strategy, services: &[(u32, u32)], health: &[Health]| {
        let (router, ids) = router(strategy, services);
        ids.iter().zip(health).for_each(|(id, health)| assert!(router.set_health(*id, *health)));
        send(&router, &ids, 0..3_000);
        processed(&router)
    };
    use Health::{Degraded, Healthy, Unhealthy};
    let equal = [(1, 0), (1, 0), (1, 0)];
    assert_eq!(shares(Strategy::RoundRobin, &equal, &[]), [1_000; 3]);
    assert_eq!(shares(Strategy::RoundRobin, &equal, &[Healthy, Unhealthy, Degraded]), [1_500, 0, 1_500]);
    assert_eq!(shares(Strategy::HealthBased, &equal, &[Healthy, Unhealthy, Degraded]), [3_000, 0, 0]);
    assert_eq!(shares(Strategy::HealthBased, &equal, &[Degraded, Unhealthy, Degraded]), [1_500, 0, 1_500]);
    let ranked = [(1, 1), (1, 9), (1, 9)];
    assert_eq!(shares(Strategy::Priority, &ranked, &[]), [0, 1_500, 1_500]);
    assert_eq!(shares(Strategy::Priority, &ranked, &[Healthy, Unhealthy, Unhealthy]), [3_000, 0, 0]);
    let drawn = shares(Strategy::WeightedRandom, &[(1, 0), (2, 0), (0, 0)], &[]);
    // standard error of the first: 26
    assert!(
        (900..1_100).contains(&drawn[0]) && drawn[2] == 0 && drawn.iter().sum::<u64>() == 3_000,
        "{drawn:?}"
    );
    assert_eq!(shares(Strategy::LeastConnections, &equal, &[]).iter().sum::<u64>(), 3_000);
    assert_eq!(shares(Strategy::RoundRobin, &equal, &[Unhealthy; 3]), [0; 3]);
}

#[test]
fn the_least_busy_is_chosen_while_another_hangs() {
    let settings = Settings { strategy: Strategy::LeastConnections, ..Settings::default() };
    let router = CentralRouter::start(settings).unwrap();
    let (entered, wait) = sync_channel(10);
    let (open, opened) = sync_channel::<()>(0);
    let opened = Mutex::new(opened);
    let slow = move |_: &Event| {
        entered.send(()).unwrap();
        let _ = opened.lock().unwrap().recv();
        Ok(())
    };
    let a = router.register(ServiceSpec::new("slow", Interest::nothing()), Box::new(slow)).unwrap();
    let b = router.register(ServiceSpec::new("quick", Interest::nothing()), Box::new(fine)).unwrap();
    router.route_event(Event { targets: Targets::One(a), ..event(0) });
    wait.recv_timeout(LONG).unwrap();
    for id in 1..50 {
        send(&router, &Arc::from([a, b]), id..id + 1);
        while router.statistics().services[1].pending > 0 {
            std::thread::yield_now();
        }
    }
    drop(open);
    assert_eq!(processed(&router), [1, 49]);
}

#[test]
fn one_bound_holds_for_all_queues_and_nobody_takes_it_all() {
    let settings = Settings { queue: 100, when_full: WhenFull::Reject, ..Settings::default() };
    let router = CentralRouter::start(settings).unwrap();
    let (open, opened) = sync_channel::<()>(0);
    let opened = Arc::new(Mutex::new(opened));
    let (entered, wait) = sync_channel(10);
    let mut ids = Vec::new();
    for index in 0..5 {
        let (opened, entered) = (Arc::clone(&opened), entered.clone());
        let mut first = true;
        let held = move |_: &Event| {
            if std::mem::take(&mut first) {
                entered.send(()).unwrap();
                let _ = opened.lock().unwrap().recv();
            }
            Ok(())
        };
        let spec = ServiceSpec::new(format!("s{index}"), Interest::nothing());
        ids.push(router.register(spec, Box::new(held)).unwrap());
    }
    let mut number = 0;
    let mut offer = |to: ServiceId, times: u64| -> u32 {
        (0..times)
            .map(|_| {
                number += 1;
                router.route_event(Event { targets: Targets::One(to), ..event(number) }).accepted
            })
            .sum()
    };
    for id in &ids {
        offer(*id, 1);
        wait.recv_timeout(LONG).unwrap();
    }
    // each has 100 / (2 * 5) = 10 places of its own and 50 are for all
    assert_eq!(offer(ids[0], 1_000), 60, "a greedy one gets its own and all common places");
    let others: Vec<u32> = ids[1..].iter().map(|id| offer(*id, 1_000)).collect();
    assert_eq!(others, [10; 4], "the others still have theirs");
    drop(open);
    assert_eq!(processed(&router), [61, 11, 11, 11, 11]);
    assert_eq!(offer(ids[3], 30), 30, "there is room again");
}

#[test]
fn no_more_are_handled_at_once_than_set() {
    let settings = Settings { concurrency: 3, ..Settings::default() };
    let router = CentralRouter::start(settings).unwrap();
    let at_once = Arc::new(Mutex::new((0, 0)));
    let (entered, wait) = sync_channel(1_000);
    let (open, opened) = sync_channel::<()>(0);
    let opened = Arc::new(Mutex::new(opened));
    for index in 0..8 {
        let (at_once, entered, opened) = (Arc::clone(&at_once), entered.clone(), Arc::clone(&opened));
        let handler = move |_: &Event| {
            {
                let mut count = at_once.lock().unwrap();
                count.0 += 1;
                count.1 = count.1.max(count.0);
            }
            entered.send(()).unwrap();
            // the first waits for the opening, those behind it for the lock
            let _ = opened.lock().unwrap().recv();
            at_once.lock().unwrap().0 -= 1;
            Ok(())
        };
        let spec = ServiceSpec::new(format!("s{index}"), Interest::everything());
        router.register(spec, Box::new(handler)).unwrap();
    }
    (0..20).for_each(|id| assert_eq!(router.route_event(event(id)).accepted, 8));
    // held up, the pool grows to its bound
    (0..3).for_each(|_| wait.recv_timeout(LONG).unwrap());
    assert_eq!(at_once.lock().unwrap().0, 3);
    drop(open);
    assert_eq!(processed(&router), [20; 8]);
    assert_eq!(at_once.lock().unwrap().1, 3);
}
