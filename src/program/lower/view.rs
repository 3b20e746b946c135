//! `view`: lists by the network of the client.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::plan::Plan;
use super::super::syntax::Expr;
use super::{Call, Lowering};
use crate::geo::{Net, NetError, NetMap};

/// Networks, and the members for their clients.
type Pair = (Vec<Net>, Box<[u16]>);

const PAIR: &str = "write a pair: `{{'192.0.2.0/24'}, {'192.0.2.1'}}`";

impl Lowering<'_> {
    /// `view{ {{network, ...}, {value, ...}}, ... }` (spec 4.6).
    pub(super) fn view(&mut self, call: Call<'_>) -> Option<Plan> {
        let arguments = self.arguments(call, 1..=1)?;
        let entries = self.ordered(&arguments[0], "the list of `view`")?;
        let fits = self.check_length(entries.items.len(), arguments[0].offset);
        if entries.items.is_empty() {
            self.warn_empty(&arguments[0], call.function);
        }
        let pairs: Vec<Option<Pair>> = entries.values().map(|pair| self.view_pair(pair)).collect();
        let pairs = pairs.into_iter().collect::<Option<Vec<_>>>().filter(|_| fits)?;
        let numbered = pairs.iter().zip(0u16..).flat_map(|((nets, _), at)| nets.iter().map(move |&net| (net, at)));
        let networks = Arc::new(NetMap::first_match(numbered));
        let otherwise = match networks.is_total() {
            true => None,
            false => Some(self.intern_member(call.offset, String::new())?),
        };
        Some(Plan::View { networks, pairs: pairs.into_iter().map(|(_, members)| members).collect(), otherwise })
    }

    fn view_pair(&mut self, pair: &Expr) -> Option<Pair> {
        let entries = self.ordered(pair, "a pair of `view`")?;
        let [(1, networks), (2, values), surplus @ ..] = entries.items.as_slice() else {
            return self.error(pair.offset, "a pair of `view` must hold a list of networks and a list of values", PAIR);
        };
        if let Some((_, surplus)) = surplus.first() {
            self.warn(surplus.offset, "a pair of `view` holds more than two lists", "remove the rest, it is ignored");
        }
        let (networks, values) = (self.networks(networks, "the networks of `view`"), self.view_values(values));
        Some((networks?, values?))
    }

    /// A list of networks; `role` is what it is for, in findings.
    pub(super) fn networks(&mut self, list: &Expr, role: &str) -> Option<Vec<Net>> {
        let entries = self.ordered(list, role)?;
        let fits = self.check_length(entries.items.len(), list.offset);
        let nets: Vec<Option<Net>> = entries.values().map(|network| self.network(network)).collect();
        nets.into_iter().collect::<Option<_>>().filter(|_| fits)
    }

    fn view_values(&mut self, list: &Expr) -> Option<Box<[u16]>> {
        let entries = self.ordered(list, "the values of `view`")?;
        if entries.items.is_empty() {
            self.warn(list.offset, "a pair of `view` without values: its clients get SERVFAIL", "add a value");
        }
        self.literal(&entries, list.offset, "a value of `view`")
    }

    /// An address or a prefix; bits beyond the length are ignored, as PowerDNS does.
    fn network(&mut self, expression: &Expr) -> Option<Net> {
        let text = self.text(expression, "a network")?;
        match text.parse::<Net>() {
            Ok(net) => Some(net),
            Err(NetError::HostBits(net)) => {
                self.warn(expression.offset, format!("`{text}` has bits set beyond its length"), format!("write `{net}`"));
                Some(net)
            }
            Err(NetError::Length) => {
                let address = text.split('/').next().and_then(|address| address.parse::<IpAddr>().ok());
                let whole = address.and_then(|address| Net::new(address, if address.is_ipv4() { 32 } else { 128 }));
                self.warn(expression.offset, format!("`{text}` is longer than its address"), "write the address alone");
                whole
            }
            Err(error @ NetError::Form) => {
                self.error(expression.offset, format!("`{text}` is no network: {error}"), "write `192.0.2.0/24`")
            }
        }
    }
}
