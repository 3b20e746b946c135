//! What records must be together to be a zone: one SOA, NS at the apex, CNAME and DNAME alone, glue, nothing hidden by a
//! cut or a redirection, no alias that leads back to itself.
//!
//! What is an error and what a warning follows the checkers of the other servers. They do not always agree; then it is
//! an error where some client would get no answer or a wrong one, and a warning where the answer is merely not what was
//! meant: missing glue below the delegation's own name is an error (Knot; BIND warns), below another's a warning (BIND;
//! Knot is silent); a server name that is an alias is an error (Knot, BIND at the apex), a mail host that is one is a
//! warning (BIND; Knot is silent); names below a DNAME are an error (Knot, NSD; BIND is silent); data outside the zone is
//! an error (NSD; BIND and Knot drop it, and the operator never learns why the name is missing).
//!
//! Each check looks at all names in canonical order, in which what lies below a name follows it, and its key starts
//! with that name's key: so neither lookups nor the hunt for hidden data need more than the sorted list.
//!
//! Nothing is called missing that the reader may have lost to an error ([`Lost`]).

use super::finding::{Findings, Position};
use super::gather::{Gathered, GatheredSet, Names};
use super::raw::{Lost, RawRecord};
use super::rdata;
use crate::wire::{Name, NameRef, RecordType};

/// Most octets that the RRsets of a zone may take.
const ZONE_MAX: u64 = u32::MAX as u64;
/// Most LUA records of one name: a query may have to draw from each.
pub const PROGRAMS_MAX: usize = 64;

/// Runs all checks.
pub(super) fn check(apex: NameRef<'_>, names: &Names<'_>, start: &Position, findings: &mut Findings) {
    let mut checks = Checks { apex, names, findings };
    checks.apex(start);
    checks.aliases();
    checks.redirections();
    checks.cuts();
    checks.hosts();
    checks.loops();
    checks.sizes(start);
}

struct Checks<'a> {
    apex: NameRef<'a>,
    names: &'a Names<'a>,
    findings: &'a mut Findings,
}

impl<'a> Checks<'a> {
    fn apex(&mut self, start: &Position) {
        let apex = self.apex;
        let at_apex = self.names.iter().next().filter(|first| first.name() == apex);
        self.misplaced_soas();
        let soa = at_apex.and_then(|node| node.set(RecordType::SOA));
        for second in soa.map(|set| self.others(set)).into_iter().flatten() {
            let message = format!("a second SOA record, the first is at {}", soa.map_or(start.clone(), GatheredSet::at));
            self.findings.error(self.at(second), message, "keep one of the two");
        }
        if let Some(ds) = at_apex.and_then(|node| node.set(RecordType::DS)) {
            let message = format!("DS at the apex {apex} is never asked for here");
            self.findings.warn(ds.at(), message, "it belongs to the zone above (RFC 4035 2.4)");
        }
        if soa.is_none() && !self.lost().may_hold(apex, apex, RecordType::SOA) {
            let remedy = format!("add `@ {}`", rdata::form(RecordType::SOA));
            self.findings.error(start.clone(), format!("the zone {apex} has no SOA record"), remedy);
        }
        if at_apex.and_then(|node| node.set(RecordType::NS)).is_none() && !self.lost().may_hold(apex, apex, RecordType::NS) {
            let at = soa.map_or_else(|| start.clone(), GatheredSet::at);
            let remedy = format!("add `@ {}` for each of its servers", rdata::form(RecordType::NS));
            self.findings.error(at, format!("the zone {apex} has no NS record at its apex"), remedy);
        }
    }

    fn misplaced_soas(&mut self) {
        for name in self.with(RecordType::SOA).filter(|name| name.name() != self.apex) {
            if let Some(soa) = name.set(RecordType::SOA) {
                let message = format!("an SOA record at {}, which is not the apex", name.name());
                self.findings.error(soa.at(), message, format!("an SOA belongs to the apex {} alone", self.apex));
            }
        }
    }

    /// CNAME alone and only once (RFC 1034 3.6.2, RFC 2181 10.1); DNSSEC types and record programs may stand beside it.
    fn aliases(&mut self) {
        self.with(RecordType::LUA).for_each(|name| self.program_aliases(name));
        for name in self.with(RecordType::CNAME) {
            let Some(alias) = name.set(RecordType::CNAME) else { continue };
            for second in self.others(alias) {
                let message = format!("a second CNAME record at {}, the first is at {}", name.name(), alias.at());
                self.findings.error(self.at(second), message, "a name is an alias of one other: keep one of the two");
            }
            if let Some(other) = name.sets().find(|set| !may_stand_beside_cname(set.rtype())) {
                let message = format!("a CNAME beside other data at {}: {} at {}", name.name(), other.rtype(), other.at());
                self.findings.error(alias.at(), message, "remove the CNAME or all other records of the name (RFC 1034 3.6.2)");
            }
        }
    }

    /// DNAME only once, without NS beside it but at the apex, and nothing below it (RFC 6672 2.3, 2.4).
    fn redirections(&mut self) {
        let mut above: Option<Gathered<'_>> = None;
        for name in self.with(RecordType::DNAME) {
            if let Some(from) = above.filter(|from| name.key().starts_with(from.key())) {
                let message = format!("{} is below {}, which DNAME leads elsewhere", name.name(), from.name());
                let remedy = "remove it, or the DNAME: nothing below a DNAME is served (RFC 6672 2.4)";
                if let Some(set) = name.sets().next() {
                    self.findings.error(set.at(), message, remedy);
                }
                continue;
            }
            let Some(dname) = name.set(RecordType::DNAME) else { continue };
            above = Some(name);
            for second in self.others(dname) {
                let message = format!("a second DNAME record at {}, the first is at {}", name.name(), dname.at());
                self.findings.error(self.at(second), message, "names are led to one place: keep one of the two");
            }
            if let Some(ns) = name.set(RecordType::NS).filter(|_| name.name() != self.apex) {
                let message = format!("a DNAME beside NS at {}", name.name());
                self.findings.error(ns.at(), message, "delegate the name or lead it elsewhere, not both (RFC 6672 2.3)");
            }
        }
    }

    /// Mail hosts and services in the zone should have addresses of their own (RFC 2181 10.3, RFC 2782).
    fn hosts(&mut self) {
        let kinds = [(RecordType::MX, "mail host"), (RecordType::SRV, "service host")];
        for (rtype, what) in kinds {
            for (name, set) in self.with(rtype).filter_map(|name| Some((name, name.set(rtype)?))) {
                set.records().for_each(|record| self.host(name, record, what));
            }
        }
    }

    fn host(&mut self, owner: Gathered<'_>, record: &RawRecord, what: &str) {
        let Some(rdata) = self.names.raw().rdata(record) else { return };
        let Some(host) = rdata::target(record.rtype, rdata).filter(|host| host.is_within(self.apex) && !host.is_root()) else {
            return;
        };
        if self.may_be_lost(host) || self.covering_cut(host).is_some() || self.covering_dname(host) {
            return;
        }
        let node = self.find(host).or_else(|| self.wildcard_for(host));
        let message = if node.is_some_and(|node| node.set(RecordType::CNAME).is_some()) {
            format!("{host}, a {what} of {}, is an alias", owner.name())
        } else if !node.is_some_and(Gathered::has_address) {
            format!("{host}, a {what} of {}, has no address in the zone", owner.name())
        } else {
            return;
        };
        self.findings.warn(self.at(record), message, "name a host with A or AAAA records (RFC 2181 10.3)");
    }

    /// Aliases that lead back to themselves within the zone: each loop is reported once, where it was entered.
    fn loops(&mut self) {
        if !self.names.has(RecordType::CNAME) {
            return;
        }
        let mut rounds = vec![0u32; self.names.len()];
        for (start, round) in (0..self.names.len()).zip(1..) {
            let mut at = start;
            while rounds[at] == 0 {
                rounds[at] = round;
                match self.alias_of(at) {
                    Some(next) => at = next,
                    None => break,
                }
            }
            if rounds[at] == round && self.alias_of(at).is_some() {
                let name = self.names.get(at);
                let Some(alias) = name.set(RecordType::CNAME) else { continue };
                let message = format!("the aliases from {} on lead back to it", name.name());
                self.findings.warn(alias.at(), message, "let one of them name a host with data");
            }
        }
    }

    /// The name that an alias leads to, if it is one and that is in the zone.
    fn alias_of(&self, index: usize) -> Option<usize> {
        let alias = self.names.get(index).set(RecordType::CNAME)?.first();
        let rdata = self.names.raw().rdata(alias)?;
        let target = rdata::target(RecordType::CNAME, rdata).filter(|target| target.is_within(self.apex))?;
        self.find(target).or_else(|| self.wildcard_for(target)).map(Gathered::index)
    }

    /// Whether what the name needs may have been lost to an error.
    fn may_be_lost(&self, name: NameRef<'_>) -> bool {
        let kinds = [RecordType::A, RecordType::AAAA, RecordType::LUA, RecordType::CNAME];
        kinds.into_iter().any(|rtype| self.lost().may_hold(self.apex, name, rtype))
    }

    /// Whether a DNAME above leads the name elsewhere.
    fn covering_dname(&self, name: NameRef<'_>) -> bool {
        let above = name.ancestors().skip(1).take_while(|above| above.len() >= self.apex.len());
        above.filter_map(|above| self.find(above)).any(|node| node.set(RecordType::DNAME).is_some())
    }

    /// Delegations: what they hide, and the addresses of their servers and of the apex's.
    fn cuts(&mut self) {
        let mut cut: Option<Gathered<'_>> = None;
        for name in self.with(RecordType::NS) {
            if let Some(above) = cut.filter(|above| name.key().starts_with(above.key())) {
                self.occluded(name, above, is_glue);
                continue;
            }
            let Some(ns) = name.set(RecordType::NS) else { continue };
            if !name.key().is_empty() {
                cut = Some(name);
                // DNAME too, because that it stands here is an error of its own.
                let stands_at_cut = |rtype| {
                    matches!(rtype, RecordType::NS | RecordType::DS | RecordType::NSEC | RecordType::RRSIG | RecordType::DNAME)
                };
                self.occluded(name, name, |rtype| stands_at_cut(rtype) || is_glue(rtype));
                self.wildcard_ns(name, ns);
            }
            ns.records().for_each(|record| self.server_address(name, record));
        }
    }

    /// Warns of data that queries never see because they are referred to the servers of `cut`.
    fn occluded(&mut self, name: Gathered<'_>, cut: Gathered<'_>, is_visible: impl Fn(RecordType) -> bool) {
        for set in name.sets().filter(|set| !is_visible(set.rtype())) {
            let message = format!("{} of {} is hidden by the delegation of {}", set.rtype(), name.name(), cut.name());
            self.findings.warn(set.at(), message, "only NS and DS at a cut and addresses of its servers are served; remove it");
        }
    }

    fn wildcard_ns(&mut self, name: Gathered<'_>, ns: GatheredSet<'_>) {
        if name.name().is_wildcard() {
            let message = format!("NS at the wildcard {} has no defined meaning", name.name());
            self.findings.warn(ns.at(), message, "delegate each name by itself (RFC 4592 4.2)");
        }
    }

    /// A server whose name is in the zone must have an address here.
    fn server_address(&mut self, owner: Gathered<'_>, ns: &RawRecord) {
        let Some(rdata) = self.names.raw().rdata(ns) else { return };
        let Some(server) = rdata::target(RecordType::NS, rdata).filter(|server| server.is_within(self.apex)) else { return };
        if self.may_be_lost(server) || self.covering_dname(server) {
            return;
        }
        let remedy = format!("add an A or AAAA record at {server}");
        match self.covering_cut(server) {
            Some(_) if self.find(server).is_some_and(Gathered::has_stored_address) => {}
            Some(cut) => {
                let message =
                    format!("missing glue: {server}, a server of {}, is below the delegation of {}", owner.name(), cut.name());
                if cut.key() == owner.key() {
                    self.findings.error(self.at(ns), message, remedy);
                } else {
                    self.findings.warn(self.at(ns), message, remedy); // resolvers can ask the servers of that zone
                }
            }
            None => self.server_in_zone(owner, ns, server, remedy),
        }
    }

    fn server_in_zone(&mut self, owner: Gathered<'_>, ns: &RawRecord, server: NameRef<'_>, remedy: String) {
        let node = self.find(server).or_else(|| self.wildcard_for(server));
        if node.is_some_and(|node| node.set(RecordType::CNAME).is_some()) {
            let message = format!("{server}, a server of {}, is an alias", owner.name());
            self.findings.error(self.at(ns), message, "name a server by a name with an address (RFC 2181 10.3)");
        } else if !node.is_some_and(Gathered::has_address) {
            let message = format!("{server}, a server of {}, has no address in the zone", owner.name());
            self.findings.error(self.at(ns), message, remedy);
        }
    }

    /// A program that makes a CNAME hides all other data of its name while it gives one. Between the two lies a use (an
    /// empty result lets the rest answer), so it is no error.
    fn program_aliases(&mut self, name: Gathered<'_>) {
        let Some(programs) = name.set(RecordType::LUA).filter(|set| set.programs().any(|rtype| rtype == RecordType::CNAME))
        else {
            return;
        };
        let mut others = name.sets().map(GatheredSet::rtype);
        let other = others.find(|&rtype| !may_stand_beside_cname(rtype));
        if let Some(other) = other {
            let message = format!("the LUA CNAME of {} hides the {other} there whenever it gives a name", name.name());
            self.findings.warn(programs.at(), message, "make it address records, or let it give {} when the rest shall answer");
        }
    }

    /// RRsets that no message can carry, and zones too large for 32-bit offsets.
    fn sizes(&mut self, start: &Position) {
        const MESSAGE_MAX: usize = u16::MAX as usize - 512; // header, question and EDNS beside it
        let raw = self.names.raw();
        let prepared_len = |set: GatheredSet<'_>| set.records().map(|record| raw.prepared_len(record)).sum::<usize>();
        for (name, set) in self.names.iter().flat_map(|name| name.sets().map(move |set| (name, set))) {
            let is_program = set.rtype() == RecordType::LUA;
            if is_program && set.len() > PROGRAMS_MAX {
                let message = format!("{} LUA records at {}", set.len(), name.name());
                self.findings.error(set.at(), message, format!("a name has at most {PROGRAMS_MAX}: join them in one program"));
            }
            let is_long = || raw.prepared_max(set.len()) > MESSAGE_MAX && prepared_len(set) > MESSAGE_MAX;
            if (!is_program && is_long()) || set.len() > usize::from(u16::MAX) {
                let message = format!("the {} records of {} do not fit in one message", set.rtype(), name.name());
                self.findings.error(set.at(), message, format!("an RRset has at most {MESSAGE_MAX} octets"));
            }
        }
        if raw.octets_max() <= ZONE_MAX {
            return;
        }
        let apex_labels = self.apex.label_count();
        let octets = |(name, set): (Gathered<'_>, GatheredSet<'_>)| {
            // each label below the apex may be a node, with a name no longer than this one
            let nodes = (name.name().label_count() - apex_labels).max(1);
            (prepared_len(set) + nodes * name.name().len()) as u64
        };
        let total: u64 = self.names.iter().flat_map(|name| name.sets().map(move |set| (name, set))).map(octets).sum();
        if total > ZONE_MAX {
            self.findings.error(
                start.clone(),
                format!("the zone holds {total} octets"),
                format!("at most {ZONE_MAX} are served"),
            );
        }
    }

    fn find(&self, name: NameRef<'_>) -> Option<Gathered<'a>> {
        self.names.find(name)
    }

    /// The names, none where no name has an RRset of this type.
    fn with(&self, rtype: RecordType) -> impl Iterator<Item = Gathered<'a>> + use<'a> {
        let names = self.names;
        names.has(rtype).then(|| names.iter()).into_iter().flatten()
    }

    fn lost(&self) -> &'a Lost {
        &self.names.raw().lost
    }

    fn at(&self, record: &RawRecord) -> Position {
        self.names.raw().at(record)
    }

    /// The records of an RRset that are not the first nor the same as it.
    fn others(&self, set: GatheredSet<'a>) -> impl Iterator<Item = &'a RawRecord> + use<'a> {
        let raw = self.names.raw();
        let data = move |record| raw.rdata(record).map(|rdata| rdata::canonical(set.rtype(), rdata));
        let first = data(set.first());
        set.records().skip(1).filter(move |record| data(record) != first)
    }

    /// The wildcard that answers for a name without data of its own.
    fn wildcard_for(&self, name: NameRef<'_>) -> Option<Gathered<'a>> {
        if self.names.exists(name) {
            return None;
        }
        let encloser = name.ancestors().skip(1).find(|above| self.names.exists(*above))?;
        self.find(Name::child(b"*", encloser).ok()?.as_ref())
    }

    /// The delegation at or above `name`, if there is one.
    fn covering_cut(&self, name: NameRef<'_>) -> Option<Gathered<'a>> {
        let below_apex = name.ancestors().take_while(|above| above.len() > self.apex.len());
        let cuts = below_apex.filter_map(|above| self.find(above).filter(|node| node.set(RecordType::NS).is_some()));
        cuts.last()
    }
}

const fn may_stand_beside_cname(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::CNAME | RecordType::LUA | RecordType::KEY | RecordType::RRSIG | RecordType::NSEC)
}

/// What a referral may carry of names at and below its cut.
const fn is_glue(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::A | RecordType::AAAA)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{findings, load_bytes};

    const HEAD: &str = "@ 60 SOA ns.x. h.x. 1 2 3 4 5\n NS ns.x.\n";

    #[test]
    fn records_that_do_not_go_together() {
        let cases: &[(&str, &[&str])] = &[
            ("@ SOA NS.x. h.x. 1 2 3 4 5", &["3:1: warning: the same SOA record twice at z."]),
            ("@ SOA a.x. b.x. 2 2 3 4 5", &["3:1: error: a second SOA record, the first is at zone:1:1"]),
            ("a SOA a.x. b.x. 2 2 3 4 5", &["3:1: error: an SOA record at a.z., which is not the apex"]),
            ("a CNAME b\n A 192.0.2.1", &["3:1: error: a CNAME beside other data at a.z.: A at zone:4:2"]),
            ("a CNAME b\n CNAME c", &["4:2: error: a second CNAME record at a.z., the first is at zone:3:1"]),
            (
                "a LUA CNAME \"b\"\n A 192.0.2.1",
                &["3:1: warning: the LUA CNAME of a.z. hides the A there whenever it gives a name"],
            ),
            ("a CNAME b\n LUA A \"b\"", &[]),
            ("a A 192.0.2.1\n A 192.0.2.1", &["4:2: warning: the same A record twice at a.z."]),
            ("a NS N.x.\n NS n.X.", &["4:2: warning: the same NS record twice at a.z."]),
            ("a LUA A \"b\"\n LUA A \"b\"", &["4:2: warning: the same LUA record twice at a.z."]),
            ("a 5 LUA A \"b\"\n 6 LUA A \"c\"", &[]),
            ("a 5 TXT x\n 6 TXT y", &["4:2: warning: the TXT records of a.z. have different TTLs, the lowest is used"]),
            ("a NS ns.a", &["3:1: error: missing glue: ns.a.z., a server of a.z., is below the delegation of a.z."]),
            ("a NS ns.b\nb NS n.x.", &["3:1: warning: missing glue: ns.b.z., a server of a.z., is below the delegation of b.z."]),
            (
                "a NS ns.a\nns.a A 192.0.2.1\nns.a LUA A \"b\"",
                &["5:1: warning: LUA of ns.a.z. is hidden by the delegation of a.z."],
            ),
            (
                "a NS ns.a\nns.a LUA A \"b\"",
                &[
                    "3:1: error: missing glue: ns.a.z., a server of a.z., is below the delegation of a.z.",
                    "4:1: warning: LUA of ns.a.z. is hidden by the delegation of a.z.",
                ],
            ),
            ("a NS ns\nns AAAA ::1", &[]),
            ("a NS ns\n*  A 192.0.2.1", &[]),
            ("@ NS ns", &["3:1: error: ns.z., a server of z., has no address in the zone"]),
            ("@ NS ns\nns CNAME b\nb A 192.0.2.1", &["3:1: error: ns.z., a server of z., is an alias"]),
            ("@ NS ns\nns A bad", &["4:6: error: `bad` is not an IPv4 address"]),
            ("a NS n.x.\nb.a TXT x\nc.a A 192.0.2.1", &["4:1: warning: TXT of b.a.z. is hidden by the delegation of a.z."]),
            ("a NS n.x.\n MX 1 x.\n A 192.0.2.1", &["4:2: warning: MX of a.z. is hidden by the delegation of a.z."]),
            ("* NS n.x.", &["3:1: warning: NS at the wildcard *.z. has no defined meaning"]),
            ("a DS 1 13 9 00\n NS n.x.", &[]),
            ("@ DS 1 13 9 00", &["3:1: warning: DS at the apex z. is never asked for here"]),
            ("a DNAME b.x.\n CNAME c.x.", &["4:2: error: a CNAME beside other data at a.z.: DNAME at zone:3:1"]),
            ("a DNAME b.x.\n DNAME c.x.", &["4:2: error: a second DNAME record at a.z., the first is at zone:3:1"]),
            ("a DNAME b.x.\n NS c.x.", &["4:2: error: a DNAME beside NS at a.z."]),
            ("a DNAME b.x.\n A 192.0.2.1\nab TXT x", &[]),
            ("@ DNAME b.x.\nc.a TXT x", &["4:1: error: c.a.z. is below z., which DNAME leads elsewhere"]),
            ("a DNAME b.x.\nb MX 1 m.a", &[]),
            ("a MX 1 m\nm CNAME n.x.", &["3:1: warning: m.z., a mail host of a.z., is an alias"]),
            ("a MX 1 m", &["3:1: warning: m.z., a mail host of a.z., has no address in the zone"]),
            ("a MX 1 m\nm A bad", &["4:5: error: `bad` is not an IPv4 address"]),
            ("a MX 1 m.n\nn NS n.x.", &[]),
            ("a MX 0 .\nb SRV 0 0 0 .\nc MX 1 l\nl LUA A \"b\"", &[]),
            ("s SRV 1 1 1 m\n* CNAME n.x.", &["3:1: warning: m.z., a service host of s.z., is an alias"]),
            ("a CNAME a", &["3:1: warning: the aliases from a.z. on lead back to it"]),
            ("a CNAME b\nb CNAME c\nc CNAME b\nd CNAME c", &["4:1: warning: the aliases from b.z. on lead back to it"]),
            ("*.a CNAME b.a", &["3:1: warning: the aliases from *.a.z. on lead back to it"]),
            ("a CNAME b\nb CNAME c\nc A 192.0.2.1\nd CNAME b", &[]),
        ];
        for (body, expected) in cases {
            let loaded = load_bytes("z.", (HEAD.to_owned() + body).as_bytes());
            assert_eq!(findings(&loaded), *expected, "{body}");
            assert_eq!(loaded.contents.is_some(), !expected.iter().any(|finding| finding.contains("error")), "{body}");
        }
    }

    #[test]
    fn the_apex_must_be_complete() {
        let cases: &[(&str, &[&str])] = &[
            (
                "a A 192.0.2.1",
                &["1:1: error: the zone z. has no SOA record", "1:1: error: the zone z. has no NS record at its apex"],
            ),
            ("; x\n@ SOA n.x. h.x. 1 2 3 4 5", &["2:1: error: the zone z. has no NS record at its apex"]),
            ("@ SOA n.x. h.x. 1 2 3 4 x\n NS ns.x.", &["1:25: error: the minimum `x` is not a number from 0 to 4294967295"]),
            ("@ SOA n.x. h.x. 1 2 3 4 5\n NS", &["2:2: error: the target is missing from the NS record"]),
        ];
        for (text, expected) in cases {
            assert_eq!(findings(&load_bytes("z.", text.as_bytes())), *expected, "{text}");
        }
    }

    #[test]
    fn an_rrset_must_fit_in_a_message() {
        let body: String = (0..5000).map(|n| format!("a A 10.0.{}.{}\n", n / 250, n % 250)).collect();
        let loaded = load_bytes("z.", (HEAD.to_owned() + &body).as_bytes());
        assert_eq!(findings(&loaded), ["3:1: error: the A records of a.z. do not fit in one message"]);
    }
}
