//! The functions that are not pieces: what they do with values, whichever tier calls them.

use std::net::IpAddr;

use super::dynamic::{self, Memo};
use super::facts::{Facts, Reach};
use super::failure::Failure;
use super::geography;
use super::meter::Meter;
use super::object::{Address, Object, ResourceRecord};
use super::plan::{self, Depends};
use super::reply::Reply;
use super::synthesis::{self, Reverse};
use super::value::{Argument, Misuse, Value, arguments};
use super::world::World;
use crate::geo::{Attribute, Location, Place};
use crate::wire::{Name, NameRef, Rcode, RecordType};

/// What a native function may look at and leave behind.
pub(super) struct Native<'r> {
    pub(super) facts: &'r Facts<'r>,
    pub(super) world: &'r dyn World,
    /// Pays for what costs by the length of its arguments.
    pub(super) meter: &'r Meter,
    /// What calls of piece functions were lowered to.
    pub(super) memo: &'r Memo,
    pub(super) random: &'r mut fastrand::Rng,
    /// For whom the answer holds, as far as it has got.
    pub(super) reach: &'r mut Reach,
    /// Whether a status that was consulted is not known.
    pub(super) unknown: &'r mut bool,
}

/// A function: its name, what it depends on, and what it does.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) depends: Depends,
    pub(super) call: fn(&mut Native<'_>, &[Value]) -> Result<Value, Failure>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What stands for an attribute that no database knows.
pub(super) const UNKNOWN: &str = "unknown";

const NONE: Depends = Depends { health: false, client: false, geo: false, name: false, chance: false, time: false, data: false };
const GEO: Depends = Depends { geo: true, ..NONE };
const NAME: Depends = Depends { name: true, ..NONE };
const DATA: Depends = Depends { data: true, ..NONE };
const CHANCE: Depends = Depends { chance: true, ..NONE };

/// All of them (spec 3.3, 4.9, 4.10, 8), and leeward's own at the end.
pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "countryCode", depends: GEO, call: |native, values| native.code("countryCode", Attribute::Country, values) },
    Function {
        name: "continentCode",
        depends: GEO,
        call: |native, values| native.code("continentCode", Attribute::Continent, values),
    },
    Function { name: "regionCode", depends: GEO, call: |native, values| native.code("regionCode", Attribute::Region, values) },
    Function { name: "geoiplookup", depends: NONE, call: |native, values| native.geoiplookup(values) },
    Function { name: "latlon", depends: GEO, call: |native, values| native.latlon(values) },
    Function { name: "latlonloc", depends: GEO, call: |native, values| native.latlonloc(values) },
    Function { name: "latlonMagic", depends: NAME, call: |native, values| native.latlon_magic(values) },
    Function {
        name: "closestMagic",
        depends: Depends { geo: true, ..NAME },
        call: |native, values| native.closest_magic(values),
    },
    Function { name: "createReverse", depends: NAME, call: |native, values| native.create_reverse(values) },
    Function { name: "createReverse6", depends: NAME, call: |native, values| native.create_reverse6(values) },
    Function { name: "createForward", depends: NAME, call: |native, values| native.create_forward(values) },
    Function { name: "createForward6", depends: NAME, call: |native, values| native.create_forward6(values) },
    Function { name: "filterForward", depends: NONE, call: |_, values| Ok(synthesis::filter_forward(values)?) },
    Function { name: "dblookup", depends: DATA, call: |native, values| native.dblookup(values) },
    Function { name: "resolve", depends: DATA, call: |native, values| native.resolve(values) },
    Function { name: "pdnslog", depends: NONE, call: |native, values| native.log(values) },
    Function { name: "pdnsrandom", depends: CHANCE, call: |native, values| native.random(values) },
    Function { name: "report", depends: NONE, call: |_, _| Err(Failure::raised("report() is not for record programs")) },
    Function { name: "nxdomain", depends: NONE, call: |native, values| native.nxdomain(values) },
    Function { name: "rcode", depends: NONE, call: |native, values| native.rcode(values) },
    Function { name: "ttl", depends: NONE, call: |native, values| native.ttl(values) },
];

/// The function of that name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

impl Native<'_> {
    fn place(&self) -> &Place {
        self.facts.places.find(self.facts.client)
    }

    fn made_from<T: PartialEq>(&mut self, of: impl Fn(&Place) -> T) {
        *self.reach = self.reach.join(self.facts.reach(of));
    }

    fn code(&mut self, function: &'static str, attribute: Attribute, values: &[Value]) -> Result<Value, Failure> {
        let [] = arguments(function, 0, values)?;
        let here = self.facts.places.find(self.facts.client);
        self.made_from(|place| place.agrees(here, attribute));
        Ok(Value::text(here.attribute(attribute).as_deref().unwrap_or("--")))
    }

    fn geoiplookup(&mut self, values: &[Value]) -> Result<Value, Failure> {
        let [address, attribute] = arguments("geoiplookup", 2, values)?;
        let attribute = Attribute::from_number(attribute.integer()?);
        let Ok(address) = address_of(address) else { return Ok(Value::text("")) };
        let place = self.facts.places.find(address);
        Ok(Value::text(attribute.and_then(|attribute| place.attribute(attribute)).as_deref().unwrap_or(UNKNOWN)))
    }

    /// The client's coordinates.
    fn here(&mut self) -> Option<(f64, f64)> {
        self.made_from(|place| place.location);
        self.place().location.map(degrees)
    }

    fn latlon(&mut self, values: &[Value]) -> Result<Value, Failure> {
        let [] = arguments("latlon", 0, values)?;
        Ok(Value::text(geography::latlon(self.here())))
    }

    fn latlonloc(&mut self, values: &[Value]) -> Result<Value, Failure> {
        let [] = arguments("latlonloc", 0, values)?;
        Ok(Value::text(geography::latlonloc(self.here())))
    }

    fn latlon_magic(&mut self, values: &[Value]) -> Result<Value, Failure> {
        let [] = arguments("latlonMagic", 0, values)?;
        let places = self.facts.places;
        let locate = |address| places.find(address).location.map(degrees);
        Ok(Value::text(geography::latlon_magic(self.facts.qname, locate)))
    }

    /// The nearest of the addresses that the name spells.
    fn closest_magic(&mut self, values: &[Value]) -> Result<Value, Failure> {
        let [] = arguments("closestMagic", 0, values)?;
        let addresses = geography::closest_magic(self.facts.qname);
        let list = Value::list(addresses.into_iter().map(|address| Value::text(address.to_string())));
        dynamic::call(plan::Function::PickClosest, &[list], self)
    }

    fn create_reverse(&mut self, values: &[Value]) -> Result<Value, Failure> {
        Ok(Value::text(Reverse::read("createReverse", values)?.v4(self.facts.qname)))
    }

    fn create_reverse6(&mut self, values: &[Value]) -> Result<Value, Failure> {
        Ok(Value::text(Reverse::read("createReverse6", values)?.v6(self.facts.qname)))
    }

    fn create_forward(&mut self, values: &[Value]) -> Result<Value, Failure> {
        let [] = arguments("createForward", 0, values)?;
        Ok(Value::text(synthesis::create_forward(self.facts.qname, self.facts.owner).to_string()))
    }

    fn create_forward6(&mut self, values: &[Value]) -> Result<Value, Failure> {
        let [] = arguments("createForward6", 0, values)?;
        Ok(Value::text(synthesis::create_forward6(self.facts.qname, self.facts.owner).to_string()))
    }

    fn dblookup(&mut self, values: &[Value]) -> Result<Value, Failure> {
        let [name, rtype] = arguments("dblookup", 2, values)?;
        let rtype = RecordType(rtype.integer()?);
        let found = name_of(name)?.map(|name| self.world.lookup(name.as_ref(), rtype)).unwrap_or_default();
        Ok(Value::list(found.into_iter().map(Value::text)))
    }

    /// From a cache that is refreshed in the background; what is not there yet fails this once.
    fn resolve(&mut self, values: &[Value]) -> Result<Value, Failure> {
        let [name, rtype] = arguments("resolve", 2, values)?;
        let rtype = RecordType(rtype.integer()?);
        let name = name_of(name)?.ok_or_else(|| name.senseless("name"))?;
        let found = self.world.resolve(&name, rtype).ok_or(Failure::NotReady)?;
        let record = |(ttl, text): &(u32, Box<str>)| ResourceRecord::new(name.clone(), rtype, *ttl, text.as_bytes()).into();
        Ok(Value::list(found.iter().map(record)))
    }

    fn log(&mut self, values: &[Value]) -> Result<Value, Failure> {
        let [message, level] = arguments("pdnslog", 1, values)?;
        let level = level.given().map_or(Ok(4), Argument::integer::<u8>)?;
        self.world.log(level, &String::from_utf8_lossy(&message.text()?));
        Ok(Value::Nil)
    }

    fn random(&mut self, values: &[Value]) -> Result<Value, Failure> {
        let [upper] = arguments("pdnsrandom", 0, values)?;
        let number = match upper.given() {
            None => self.random.u32(..),
            Some(upper) => match upper.integer::<u32>()? {
                0 | 1 => 0,
                upper => self.random.u32(..upper),
            },
        };
        Ok(Value::Number(number.into()))
    }

    fn nxdomain(&mut self, values: &[Value]) -> Result<Value, Failure> {
        let [] = arguments("nxdomain", 0, values)?;
        Ok(Value::Object(Object::Reply(Reply::rcode(Rcode::NXDOMAIN))))
    }

    fn rcode(&mut self, values: &[Value]) -> Result<Value, Failure> {
        let [rcode] = arguments("rcode", 1, values)?;
        let name = String::from_utf8_lossy(&rcode.text()?).into_owned();
        let found = Reply::rcode_of(&name).ok_or_else(|| rcode.senseless("rcode that a program may give"))?;
        Ok(Value::Object(Object::Reply(Reply::rcode(found))))
    }

    fn ttl(&mut self, values: &[Value]) -> Result<Value, Failure> {
        let [seconds, answer] = arguments("ttl", 2, values)?;
        let number: u32 = seconds.integer()?;
        let seconds = Reply::ttl_of(number).ok_or_else(|| seconds.senseless("TTL of at most 2147483647 seconds"))?;
        Ok(Value::Object(Object::Reply(Reply::ttl(seconds, answer.value()))))
    }
}

const fn degrees(location: Location) -> (f64, f64) {
    (location.latitude(), location.longitude())
}

/// An address, as text or as an object.
fn address_of(argument: Argument<'_>) -> Result<IpAddr, Misuse> {
    if let Value::Object(_) = argument.value() {
        return argument.object::<Address>().map(|address| address.ip);
    }
    let text = argument.text()?;
    let target = str::from_utf8(&text).ok().and_then(super::address::parse);
    target.map(|target| target.address).ok_or_else(|| argument.senseless("address"))
}

/// A name, as text or as an object; the inner `None` where the text is no name.
fn name_of(argument: Argument<'_>) -> Result<Option<Name>, Misuse> {
    if let Value::Object(_) = argument.value() {
        return argument.object::<Name>().map(|name| Some(name.clone()));
    }
    Ok(Name::from_text(&argument.text()?, Some(NameRef::ROOT)).ok())
}
