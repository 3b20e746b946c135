//! What record programs may ask of a snapshot.

use crate::geo::Places;
use crate::program::{Defaults, Snippet, World};
use crate::target::{CheckRequest, Status};
use crate::wire::{Name, NameRef, RecordType};
use crate::zone::{Zone, rdata_to_text};

use super::notices::{Notice, front};
use super::resolved::Resolution;
use super::snapshot::{Snapshot, ZoneState};

impl Snapshot {
    /// The zone that is served at or above `name`.
    fn zone_above(&self, name: NameRef<'_>) -> Option<&Zone> {
        match &self.zones.find(name)?.state {
            ZoneState::Serving { zone, .. } => Some(zone),
            ZoneState::Failed(_) => None,
        }
    }
}

impl World for Snapshot {
    fn defaults(&self) -> &Defaults {
        &self.options.checks
    }

    fn places(&self) -> &Places {
        &self.places
    }

    fn status(&self, check: &CheckRequest, zone: NameRef<'_>) -> Status {
        match self.ad_hoc.consult(check) {
            Some(id) => self.statuses_of(zone).get(id),
            None => {
                self.notices.send(|| Notice::WantsCheck(Box::new((check.clone(), zone.to_name()))));
                Status::NEVER
            }
        }
    }

    fn lookup(&self, name: NameRef<'_>, rtype: RecordType) -> Vec<String> {
        let node = self.zone_above(name).and_then(|zone| zone.node(name));
        let rrset = node.and_then(|node| node.rrset(rtype));
        rrset.iter().flat_map(|rrset| rrset.rdata()).map(|rdata| rdata_to_text(rtype, rdata)).collect()
    }

    fn snippets(&self, apex: NameRef<'_>, name: NameRef<'_>) -> Vec<Snippet> {
        let zone = self.zone_above(name).filter(|zone| zone.apex() == apex);
        let node = zone.and_then(|zone| zone.node(name));
        let programs = node.iter().flat_map(|node| node.programs());
        programs.filter_map(|program| self.set(program.id)?.snippet()).collect()
    }

    fn resolve(&self, name: &Name, rtype: RecordType) -> Option<Resolution> {
        let known = self.resolved.get(name, rtype);
        if known.is_none() {
            self.notices.send(|| Notice::WantsAnswer(name.clone(), rtype));
        }
        known
    }

    fn zone_number(&self, apex: NameRef<'_>) -> u32 {
        self.zones.number(apex).unwrap_or_default()
    }

    fn log(&self, level: u8, message: &str) {
        self.notices.send(|| Notice::Logged { level, message: front(message) });
    }
}
