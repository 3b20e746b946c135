//! The variables and tables of constants that programs see (spec 3.1).

use std::net::SocketAddr;

use super::facts::{Facts, Reach};
use super::object::{Address, Header, Netmask, Object};
use super::plan::Depends;
use super::value::Value;
use super::world::World;
use crate::wire::RecordType;

/// A variable that each query sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Variable {
    QName,
    Zone,
    ZoneId,
    Who,
    EcsWho,
    BestWho,
    LocalWho,
    Header,
    DnssecOk,
    Tcp,
    PacketSize,
}

impl Variable {
    pub(super) const ALL: [Self; 11] = [
        Self::QName,
        Self::Zone,
        Self::ZoneId,
        Self::Who,
        Self::EcsWho,
        Self::BestWho,
        Self::LocalWho,
        Self::Header,
        Self::DnssecOk,
        Self::Tcp,
        Self::PacketSize,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::QName => "qname",
            Self::Zone => "zone",
            Self::ZoneId => "zoneid",
            Self::Who => "who",
            Self::EcsWho => "ecswho",
            Self::BestWho => "bestwho",
            Self::LocalWho => "localwho",
            Self::Header => "dh",
            Self::DnssecOk => "dnssecOK",
            Self::Tcp => "tcp",
            Self::PacketSize => "ednsPKTSize",
        }
    }

    /// The variable of that name.
    pub(super) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variable| variable.as_str() == name)
    }

    /// Whether it is an object, where it is anything.
    pub(super) const fn is_object(self) -> bool {
        !matches!(self, Self::ZoneId | Self::DnssecOk | Self::Tcp | Self::PacketSize)
    }

    /// Whether it is an object that is equal to nothing but itself.
    pub(super) const fn has_identity(self) -> bool {
        matches!(self, Self::Who | Self::BestWho | Self::LocalWho | Self::Header)
    }

    /// What an answer made from it depends on.
    pub(super) fn depends(self) -> Depends {
        match self {
            Self::QName => Depends { name: true, ..Depends::default() },
            Self::Zone | Self::ZoneId => Depends::default(),
            Self::Who | Self::EcsWho | Self::BestWho | Self::LocalWho => Depends { client: true, ..Depends::default() },
            Self::Header | Self::DnssecOk | Self::Tcp | Self::PacketSize => Depends { data: true, ..Depends::default() },
        }
    }

    /// Its value for a query. An answer made from the client's address holds for that client.
    pub(super) fn value(self, facts: &Facts<'_>, world: &dyn World, reach: &mut Reach) -> Value {
        if matches!(self, Self::EcsWho | Self::BestWho) {
            *reach = reach.join(Reach::CLIENT);
        }
        match self {
            Self::QName => facts.qname.to_name().into(),
            Self::Zone => facts.zone.to_name().into(),
            Self::ZoneId => Value::Number(world.zone_number(facts.zone).into()),
            Self::Who => address(facts.resolver).into(),
            Self::EcsWho => facts.subnet.map_or(Value::Nil, |length| Netmask::new(facts.client, length).into()),
            Self::BestWho => address(best_who(facts)).into(),
            Self::LocalWho => address(facts.local).into(),
            Self::Header => Value::Object(Object::Header(Header(facts.header))),
            Self::DnssecOk => Value::Boolean(facts.dnssec_ok),
            Self::Tcp => Value::Boolean(facts.tcp),
            Self::PacketSize => Value::Number(facts.payload.into()),
        }
    }
}

const fn address(from: SocketAddr) -> Address {
    Address { ip: from.ip(), port: from.port() }
}

/// The network of the client subnet, without a port, or the resolver with its port.
fn best_who(facts: &Facts<'_>) -> SocketAddr {
    match facts.subnet {
        Some(_) => SocketAddr::new(facts.client, 0),
        None => facts.resolver,
    }
}

/// The numbers of `GeoIPQueryAttribute`.
pub(super) const GEO_ATTRIBUTES: [(&str, f64); 8] = [
    ("ASn", 0.0),
    ("City", 1.0),
    ("Continent", 2.0),
    ("Country", 3.0),
    ("Country2", 4.0),
    ("Name", 5.0),
    ("Region", 6.0),
    ("Location", 7.0),
];

/// The numbers of `pdns.place`.
pub(super) const PLACES: [(&str, f64); 4] = [("QUESTION", 0.0), ("ANSWER", 1.0), ("AUTHORITY", 2.0), ("ADDITIONAL", 3.0)];

/// The numbers of `pdns.loglevels` (RFC 5424 6.2.1).
pub(super) const LOG_LEVELS: [(&str, f64); 9] = [
    ("All", 0.0),
    ("Alert", 1.0),
    ("Critical", 2.0),
    ("Error", 3.0),
    ("Warning", 4.0),
    ("Notice", 5.0),
    ("Info", 6.0),
    ("Debug", 7.0),
    ("None", 8.0),
];

/// The rcodes in `pdns` (RFC 6895 2.3), and what PowerDNS adds.
const RCODES: [(&str, f64); 12] = [
    ("NOERROR", 0.0),
    ("FORMERR", 1.0),
    ("SERVFAIL", 2.0),
    ("NXDOMAIN", 3.0),
    ("NOTIMP", 4.0),
    ("REFUSED", 5.0),
    ("YXDOMAIN", 6.0),
    ("YXRRSET", 7.0),
    ("NXRRSET", 8.0),
    ("NOTAUTH", 9.0),
    ("NOTZONE", 10.0),
    ("DROP", -2.0),
];

/// The numbers in `pdns` itself: types and rcodes.
pub(super) fn pdns() -> impl Iterator<Item = (&'static str, f64)> {
    RCODES.into_iter().chain(RecordType::mnemonics().map(|(name, rtype)| (name, f64::from(rtype.0))))
}

/// The number that `table.name` or `pdns.table.name` stands for.
pub(super) fn constant(path: &[&str]) -> Option<f64> {
    let found = |table: &[(&str, f64)], wanted: &str| table.iter().find(|(name, _)| *name == wanted).map(|&(_, number)| number);
    match path {
        ["GeoIPQueryAttribute", name] => found(&GEO_ATTRIBUTES, name),
        ["pdns", "place", name] => found(&PLACES, name),
        ["pdns", "loglevels", name] => found(&LOG_LEVELS, name),
        ["pdns", name] => pdns().find(|(known, _)| known == name).map(|(_, number)| number),
        _ => None,
    }
}
