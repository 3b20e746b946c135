//! DNSHeader: the header of the query.

use super::methods;
use crate::program::value::Value;

/// The twelve octets in front of a message (RFC 1035 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header(pub [u8; 12]);

methods! {
    Header,
    gives {
        "getID" => |header| header.number(0),
        "getRD" => |header| header.bit(2, 0x01),
        "getTC" => |header| header.bit(2, 0x02),
        "getAA" => |header| header.bit(2, 0x04),
        "getOPCODE" => |header| Value::Number((header.0[2] >> 3 & 0x0F).into()),
        "getRCODE" => |header| Value::Number((header.0[3] & 0x0F).into()),
        "getCD" => |header| header.bit(3, 0x10),
        "getAD" => |header| header.bit(3, 0x20),
        "getRA" => |header| header.bit(3, 0x80),
        "getQDCOUNT" => |header| header.number(4),
        "getANCOUNT" => |header| header.number(6),
        "getNSCOUNT" => |header| header.number(8),
        "getARCOUNT" => |header| header.number(10),
    }
    reads {}
    changes {}
}

impl Header {
    fn number(&self, at: usize) -> Value {
        Value::Number(u16::from_be_bytes([self.0[at], self.0[at + 1]]).into())
    }

    const fn bit(&self, at: usize, mask: u8) -> Value {
        Value::Boolean(self.0[at] & mask != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::Header;

    #[test]
    fn rfc1035_header_is_read() {
        let header =
            |flags: [u8; 2]| Made(super::super::Object::Header(Header([1, 2, flags[0], flags[1], 0, 3, 0, 4, 0, 5, 1, 6])));
        for (method, wanted) in [
            ("getID", 258),
            ("getQDCOUNT", 3),
            ("getANCOUNT", 4),
            ("getNSCOUNT", 5),
            ("getARCOUNT", 262),
            ("getOPCODE", 5),
            ("getRCODE", 9),
        ] {
            assert_eq!(header([0x2F, 0xB9]).call(method, []), number(wanted), "{method}");
        }
        for (method, flags) in [
            ("getRD", [0x01, 0]),
            ("getTC", [0x02, 0]),
            ("getAA", [0x04, 0]),
            ("getCD", [0, 0x10]),
            ("getAD", [0, 0x20]),
            ("getRA", [0, 0x80]),
        ] {
            assert_eq!(header(flags).call(method, []), Value::Boolean(true), "{method}");
            assert_eq!(header([!flags[0], !flags[1]]).call(method, []), Value::Boolean(false), "{method}");
        }
    }
}
