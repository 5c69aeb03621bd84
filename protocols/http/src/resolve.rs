//! Names to addresses: the system's resolver behind a cache for each shard.
//!
//! Users that need the same name at the same time share one question. A question that is given up (its user was
//! cut off) leaves the next in line to ask again.

use crate::settings::{AddressFamily, DnsSettings, SelectAddress};
use crucible_core::{Ns, Rng};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// Most names that are kept; redirects of a hostile target must not fill the memory.
const NAME_LIMIT: usize = 1024;

/// The resolver of one shard.
pub(crate) struct Resolver {
    settings: DnsSettings,
    fixed: Vec<(String, IpAddr)>,
    names: RefCell<HashMap<String, Rc<Name>>>,
    turn: Cell<usize>,
    rng: RefCell<Rng>,
}

#[derive(Default)]
struct Name {
    asking: tokio::sync::Mutex<()>,
    known: RefCell<Option<(Rc<[IpAddr]>, Ns)>>,
    /// Index of the address that worked last.
    good: Cell<usize>,
}

/// Addresses to try, in order.
pub(crate) struct Candidates {
    addresses: Rc<[IpAddr]>,
    start: usize,
    name: Option<Rc<Name>>,
    /// Whether the resolver was asked.
    pub(crate) asked: bool,
}

impl Resolver {
    pub(crate) fn new(settings: DnsSettings, fixed: Vec<(String, IpAddr)>, seed: u64) -> Resolver {
        Resolver {
            settings,
            fixed,
            names: RefCell::default(),
            turn: Cell::new(0),
            rng: RefCell::new(Rng::new(seed, "http dns", 0)),
        }
    }

    /// Addresses of `host` at the instant `now`. The error is the reason in words.
    pub(crate) async fn addresses(&self, host: &str, port: u16, now: Ns) -> Result<Candidates, String> {
        let fixed = self.fixed.iter().find(|(name, _)| name.eq_ignore_ascii_case(host)).map(|f| f.1);
        if let Some(address) = fixed.or_else(|| host.parse().ok()) {
            return Ok(Candidates { addresses: [address].into(), start: 0, name: None, asked: false });
        }
        let name = self.name(host);
        let known = |name: &Name| name.known.borrow().clone().filter(|(_, until)| now < *until).map(|k| k.0);
        let mut asked = false;
        let addresses = match known(&name) {
            Some(addresses) => addresses,
            None => {
                let _turn = name.asking.lock().await;
                asked = true;
                // whoever was first in line may have the answer by now
                match known(&name) {
                    Some(addresses) => addresses,
                    None => {
                        let found = self.ask(host, port).await?;
                        *name.known.borrow_mut() = Some((Rc::clone(&found), now + self.settings.ttl));
                        found
                    }
                }
            }
        };
        let start = self.start(&name, addresses.len());
        Ok(Candidates { addresses, start, name: Some(name), asked })
    }

    fn name(&self, host: &str) -> Rc<Name> {
        let mut names = self.names.borrow_mut();
        if let Some(name) = names.get(host) {
            return Rc::clone(name);
        }
        if names.len() >= NAME_LIMIT {
            names.clear();
        }
        Rc::clone(names.entry(host.to_owned()).or_default())
    }

    async fn ask(&self, host: &str, port: u16) -> Result<Rc<[IpAddr]>, String> {
        let found = tokio::net::lookup_host((host, port)).await.map_err(|error| {
            let text = error.to_string();
            let reason = text.rsplit(": ").next().unwrap_or(&text).to_lowercase();
            format!("{host} cannot be resolved: {reason}")
        })?;
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in found.map(|address| address.ip()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        match self.settings.family {
            AddressFamily::Any => {}
            AddressFamily::Ipv4 => addresses.retain(IpAddr::is_ipv4),
            AddressFamily::Ipv6 => addresses.retain(IpAddr::is_ipv6),
            AddressFamily::PreferIpv4 => addresses.sort_by_key(IpAddr::is_ipv6),
            AddressFamily::PreferIpv6 => addresses.sort_by_key(IpAddr::is_ipv4),
        }
        if addresses.is_empty() {
            return Err(format!("{host} has no address of the family that the plan asks for"));
        }
        Ok(addresses.into())
    }

    fn start(&self, name: &Name, count: usize) -> usize {
        match self.settings.select {
            SelectAddress::First => name.good.get().min(count - 1),
            SelectAddress::Random => self.rng.borrow_mut().between(0, count as u64 - 1) as usize,
            SelectAddress::RoundRobin => {
                let turn = self.turn.get();
                self.turn.set(turn.wrapping_add(1));
                turn % count
            }
        }
    }
}

impl Candidates {
    /// How many there are; never 0.
    pub(crate) fn len(&self) -> usize {
        self.addresses.len()
    }

    /// The one to try after `tried` failed ones.
    pub(crate) fn get(&self, tried: usize, port: u16) -> SocketAddr {
        SocketAddr::new(self.addresses[(self.start + tried) % self.len()], port)
    }

    /// Remembers that the one after `tried` failed ones works.
    pub(crate) fn worked(&self, tried: usize) {
        if let Some(name) = &self.name {
            name.good.set((self.start + tried) % self.len());
        }
    }
}
