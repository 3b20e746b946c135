//! PowerDNS's objects: names, addresses, networks, types and records, with what programs can ask of them.
//!
//! What an object can do is data: one table of methods per kind, which both tiers look up by name. A method that changes
//! its object says so in its type, so that a tier without places to change can refuse it at load.
//!
//! The values that methods give are PowerDNS's to the octet, where the tests pin what its version 4.7 gives. A number that
//! its field does not hold is an error here; PowerDNS takes what is left of it after the upper bits are lost.
//!
//! Never here: the Lua side (who owns an object, what identity means), records of zones.

mod address;
mod address_set;
mod header;
mod name;
mod netmask;
mod netmask_group;
mod qtype;
mod record;
mod resource_record;

use std::cmp::Ordering;

use super::value::{Misuse, Value};
use crate::program::reply::Reply;
use crate::wire::{Name, RecordType};
pub use address::Address;
pub use address_set::AddressSet;
pub use header::Header;
pub use netmask::Netmask;
pub use netmask_group::NetmaskGroup;
pub use record::Record;
pub use resource_record::ResourceRecord;

/// A kind of object.
pub trait Kind: Sized {
    /// What a message calls it.
    const NAME: &'static str;

    /// The object as one of this kind.
    fn of(object: &Object) -> Option<&Self>;

    /// The object as one of this kind that may be changed.
    fn of_mut(object: &mut Object) -> Option<&mut Self>;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident($type:ty) = $name:literal, $methods:expr;)*) => {
        /// The methods of each kind, by what a message calls it.
        pub(super) static METHODS: &[(&str, &[Method])] = &[$(($name, $methods)),*];

        /// An object.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Object {
            $($(#[$doc])* $kind($type),)*
        }

        impl Object {
            /// What a message calls it.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $name,)*
                }
            }

            const fn methods(&self) -> &'static [Method] {
                match self {
                    $(Self::$kind(_) => $methods,)*
                }
            }
        }

        $(
            impl Kind for $type {
                const NAME: &'static str = $name;

                fn of(object: &Object) -> Option<&Self> {
                    match object {
                        Object::$kind(own) => Some(own),
                        _ => None,
                    }
                }

                fn of_mut(object: &mut Object) -> Option<&mut Self> {
                    match object {
                        Object::$kind(own) => Some(own),
                        _ => None,
                    }
                }
            }

            impl From<$type> for Value {
                fn from(own: $type) -> Self {
                    Self::Object(Object::$kind(own))
                }
            }
        )*
    };
}

kinds! {
    /// A domain name: `newDN`.
    Name(Name) = "a DNSName", name::METHODS;
    /// An address with a port: `newCA`, `newCAFromRaw`.
    Address(Address) = "a ComboAddress", address::METHODS;
    /// A set of addresses: `newCAS`.
    AddressSet(AddressSet) = "a ComboAddressSet", address_set::METHODS;
    /// A network: `newNetmask`.
    Netmask(Netmask) = "a Netmask", netmask::METHODS;
    /// Networks, each taken in or out: `newNMG`.
    NetmaskGroup(NetmaskGroup) = "a NetmaskGroup", netmask_group::METHODS;
    /// A record type: `newQType`.
    QType(RecordType) = "a QType", qtype::METHODS;
    /// A record of a message: `newDR`.
    Record(Record) = "a DNSRecord", record::METHODS;
    /// A record of a zone: `newDRR`.
    ResourceRecord(ResourceRecord) = "a DNSResourceRecord", resource_record::METHODS;
    /// The header of the query.
    Header(Header) = "a DNSHeader", header::METHODS;
    /// An answer with an rcode or a TTL: `nxdomain`, `rcode`, `ttl`.
    Reply(Reply) = "an answer", &[];
}

/// A method of one kind of object.
#[derive(Debug)]
pub struct Method {
    /// How programs call it.
    pub name: &'static str,
    /// What it does.
    pub call: Call,
}

/// What a method does: with the object, and the arguments without the object.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    /// Reads the object.
    Reads(fn(&Object, &[Value]) -> Result<Value, Misuse>),
    /// Changes the object.
    Changes(fn(&mut Object, &[Value]) -> Result<Value, Misuse>),
}

impl Method {
    /// Calls it.
    ///
    /// # Errors
    /// [`Misuse`]: an object of another kind, arguments that do not fit.
    pub fn call(&self, object: &mut Object, values: &[Value]) -> Result<Value, Misuse> {
        match self.call {
            Call::Reads(read) => read(object, values),
            Call::Changes(change) => change(object, values),
        }
    }
}

/// The table of methods of a kind. `gives`: without arguments, and cannot fail. `reads`: takes arguments or can fail.
/// `changes`: the same, and changes the object.
macro_rules! methods {
    (
        $kind:ty,
        gives { $($gives:literal => $give:expr,)* }
        reads { $($reads:literal => $read:expr,)* }
        changes { $($changes:literal => $change:expr,)* }
    ) => {
        pub(super) static METHODS: &[super::Method] = &[
            $(super::Method {
                name: $gives,
                call: super::Call::Reads(|object, values| {
                    let own = super::receiver::<$kind>($gives, object)?;
                    let [] = $crate::program::value::arguments($gives, 0, values)?;
                    let give: fn(&$kind) -> $crate::program::value::Value = $give;
                    Ok(give(own))
                }),
            },)*
            $(super::Method {
                name: $reads,
                call: super::Call::Reads(|object, values| $read(super::receiver::<$kind>($reads, object)?, values)),
            },)*
            $(super::Method {
                name: $changes,
                call: super::Call::Changes(|object, values| $change(super::receiver_mut::<$kind>($changes, object)?, values)),
            },)*
        ];
    };
}
use methods;

fn receiver<'a, K: Kind>(function: &'static str, object: &'a Object) -> Result<&'a K, Misuse> {
    K::of(object).ok_or(Misuse::Receiver { function, wanted: K::NAME, got: object.kind() })
}

fn receiver_mut<'a, K: Kind>(function: &'static str, object: &'a mut Object) -> Result<&'a mut K, Misuse> {
    let got = object.kind();
    K::of_mut(object).ok_or(Misuse::Receiver { function, wanted: K::NAME, got })
}

impl Object {
    /// The method that programs call `name`.
    #[must_use]
    pub fn method(&self, name: &[u8]) -> Option<&'static Method> {
        self.methods().iter().find(|method| method.name.as_bytes() == name)
    }

    /// The value of a field; only a [`Record`] has fields.
    #[must_use]
    pub fn field(&self, name: &[u8]) -> Option<Value> {
        Record::of(self)?.field(name)
    }

    /// Sets a field.
    ///
    /// # Errors
    /// [`Misuse`]: no such field, or a value that does not fit it.
    pub fn set_field(&mut self, name: &[u8], value: &Value) -> Result<(), Misuse> {
        let known = Record::of_mut(self).map_or(Ok(false), |record| record.set_field(name, value))?;
        let unknown = || Misuse::Field { kind: self.kind(), name: name.escape_ascii().to_string() };
        known.then_some(()).ok_or_else(unknown)
    }

    /// What `==` says of two objects, or `None` where only being the same object counts.
    #[must_use]
    pub fn equality(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Name(ours), Self::Name(theirs)) => Some(ours == theirs),
            (Self::Netmask(ours), Self::Netmask(theirs)) => Some(ours == theirs),
            (Self::QType(ours), Self::QType(theirs)) => Some(ours == theirs),
            (Self::ResourceRecord(ours), Self::ResourceRecord(theirs)) => Some(ours == theirs),
            _ => None,
        }
    }

    /// How `<` and `>` order two objects: names only, in canonical order (RFC 4034 6.1).
    #[must_use]
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        Some(Name::of(self)?.cmp(Name::of(other)?))
    }

    /// What `tostring` makes of it, or `None` where that is Lua's own text of an unnamed thing.
    #[must_use]
    pub fn to_text(&self) -> Option<Vec<u8>> {
        match self {
            Self::Name(name) => Some(name::text(name.as_ref())),
            Self::Address(address) => Some(address.text().into_bytes()),
            Self::Netmask(netmask) => Some(netmask.to_string().into_bytes()),
            Self::QType(qtype) => Some(qtype.to_string().into_bytes()),
            Self::ResourceRecord(record) => Some(record.text()),
            Self::AddressSet(_) | Self::NetmaskGroup(_) | Self::Record(_) | Self::Header(_) | Self::Reply(_) => None,
        }
    }
}

/// A global function that makes an object.
#[derive(Debug)]
pub struct Constructor {
    /// How programs call it.
    pub name: &'static str,
    /// Makes the object of its arguments.
    pub call: fn(&[Value]) -> Result<Value, Misuse>,
}

/// Whether it is a method, and of no kind one that changes its object.
pub(super) fn reads(name: &[u8]) -> bool {
    let mut named =
        METHODS.iter().flat_map(|(_, methods)| methods.iter()).filter(|method| method.name.as_bytes() == name).peekable();
    named.peek().is_some() && named.all(|method| matches!(method.call, Call::Reads(_)))
}

/// Whether it is a method of some kind of object.
pub(super) fn is_method(name: &[u8]) -> bool {
    METHODS.iter().flat_map(|(_, methods)| methods.iter()).any(|method| method.name.as_bytes() == name)
}

/// All constructors.
pub static CONSTRUCTORS: &[Constructor] = &[
    Constructor { name: "newDN", call: name::construct },
    Constructor { name: "newCA", call: address::construct },
    Constructor { name: "newCAFromRaw", call: address::construct_raw },
    Constructor { name: "newCAS", call: address_set::construct },
    Constructor { name: "newNetmask", call: netmask::construct },
    Constructor { name: "newNMG", call: netmask_group::construct },
    Constructor { name: "newQType", call: qtype::construct },
    Constructor { name: "newDR", call: record::construct },
    Constructor { name: "newDRR", call: resource_record::construct },
];

/// The constructor that programs call `name`.
#[must_use]
pub fn constructor(name: &[u8]) -> Option<&'static Constructor> {
    CONSTRUCTORS.iter().find(|constructor| constructor.name.as_bytes() == name)
}

#[cfg(test)]
mod testing;
