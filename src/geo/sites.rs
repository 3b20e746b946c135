//! The places that targets share: a name, and what is known of each.
//!
//! A site is what can be lost as one, and what a map of clients prefers. Neither its targets nor its state is known here.
//!
//! Never here: which clients go where; which targets stand in a site.

use std::sync::Arc;

use super::Location;

/// Radius of the earth in kilometres, as a sphere (IUGG, mean).
const EARTH_KM: f64 = 6371.0088;

/// A place that targets share, and can lose together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// How maps and pools call it.
    pub name: Box<str>,
    /// What larger place it belongs to, in words of the operator's own.
    pub region: Option<Box<str>>,
    /// Where on the globe.
    pub location: Option<Location>,
    /// What share of the clients it can carry, in whatever unit the other sites' is in.
    pub capacity: Option<u32>,
}

/// A site by its number among the [`Sites`] of one configuration. The numbers follow the names, so those of another
/// configuration mean other sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId(pub u16);

/// The sites of a configuration, sorted by name. A copy is a counted reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sites(Arc<[Site]>);

impl Sites {
    /// The most sites there can be: what a [`SiteId`] can number.
    pub const MAX: usize = 1 << 16;

    /// These sites. Of two with one name the first counts; what is beyond [`Self::MAX`] is left out.
    pub fn new(sites: impl IntoIterator<Item = Site>) -> Self {
        let mut sites: Vec<Site> = sites.into_iter().collect();
        sites.sort_by(|one, other| one.name.cmp(&other.name)); // stable, so the first of a name stays first
        sites.dedup_by(|later, earlier| later.name == earlier.name);
        sites.truncate(Self::MAX);
        Self(sites.into())
    }

    /// The number of the site with this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<SiteId> {
        self.0.binary_search_by(|site| (*site.name).cmp(name)).ok().map(id)
    }

    /// A site by its number.
    #[must_use]
    pub fn get(&self, id: SiteId) -> Option<&Site> {
        self.0.get(usize::from(id.0))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (SiteId, &Site)> {
        self.0.iter().enumerate().map(|(at, site)| (id(at), site))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sites that have coordinates, and how many kilometres each is from a place, the nearest first; of two that are as
    /// far, the one whose name comes first.
    #[must_use]
    pub fn nearest(&self, to: Location) -> Vec<(SiteId, f64)> {
        let distance = |site: &Site| Some(site.location?.sphere_distance(to) * EARTH_KM);
        let mut near: Vec<_> = self.iter().filter_map(|(id, site)| Some((id, distance(site)?))).collect();
        near.sort_by(|(_, one), (_, other)| one.total_cmp(other));
        near
    }
}

/// There are never more than [`Sites::MAX`].
fn id(at: usize) -> SiteId {
    SiteId(at as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(name: &str, location: Option<(f64, f64)>) -> Site {
        let location = location.map(|(north, east)| Location::new(north, east).expect("on the globe"));
        Site { name: name.into(), location, ..Site::default() }
    }

    #[test]
    fn sites_by_name_and_number() {
        let first = Site { capacity: Some(1), ..site("eu", None) };
        let sites = Sites::new([site("us", None), first, site("ap", None), site("eu", None)]);
        let names: Vec<_> = sites.iter().map(|(id, site)| (id.0, &*site.name)).collect();
        assert_eq!(names, [(0, "ap"), (1, "eu"), (2, "us")]);
        assert_eq!(sites.find("eu").and_then(|id| sites.get(id)?.capacity), Some(1));
        assert_eq!(sites.find("EU"), None);
        assert_eq!(sites.get(SiteId(3)), None);
        assert_eq!((sites.len(), sites.is_empty(), Sites::default().is_empty()), (3, false, true));
    }

    #[test]
    fn the_nearest_comes_first() {
        let sites = Sites::new([
            site("frankfurt", Some((50.11, 8.68))),
            site("nowhere", None),
            site("ashburn", Some((39.04, -77.49))),
            site("frankfurt-2", Some((50.11, 8.68))),
        ]);
        let berlin = Location::new(52.52, 13.405).expect("on the globe");
        let near: Vec<_> =
            sites.nearest(berlin).into_iter().map(|(id, km)| (&*sites.get(id).unwrap().name, km.round())).collect();
        assert_eq!(near, [("frankfurt", 424.0), ("frankfurt-2", 424.0), ("ashburn", 6727.0)]);
    }
}
