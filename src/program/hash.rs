//! The hash of the hashed pickers: Bob Jenkins' "lookup2" (1996, public domain), as PowerDNS uses it, with initial
//! value 0. Every result is pinned: a difference in one bit sends clients elsewhere.

use std::net::IpAddr;

use crate::wire::NameRef;

/// The golden ratio, an arbitrary value in the algorithm.
const GOLDEN: u32 = 0x9e37_79b9;

/// lookup2 of `bytes` with initial value 0.
#[must_use]
pub fn hash(bytes: &[u8]) -> u32 {
    let mut state = [GOLDEN, GOLDEN, 0];
    let (blocks, tail) = bytes.as_chunks::<12>();
    for block in blocks {
        absorb(&mut state, block);
        mix(&mut state);
    }
    absorb(&mut state, &last_block(tail));
    state[2] = state[2].wrapping_add(bytes.len() as u32);
    mix(&mut state);
    state[2]
}

/// The hash of a client's address: its 4 or 16 octets.
#[must_use]
pub fn hash_client(client: IpAddr) -> u32 {
    match client {
        IpAddr::V4(v4) => hash(&v4.octets()),
        IpAddr::V6(v6) => hash(&v6.octets()),
    }
}

/// The hash of a name: its wire form in lower case, root label included.
#[must_use]
pub fn hash_name(name: NameRef<'_>) -> u32 {
    let mut room = [0; 255];
    let lower = &mut room[..name.len()];
    lower.copy_from_slice(name.as_wire());
    lower.make_ascii_lowercase(); // label lengths are below b'A' and stay as they are
    hash(lower)
}

/// The tail of fewer than 12 octets as a block. The lowest octet of the third word is left free: the length goes there.
fn last_block(tail: &[u8]) -> [u8; 12] {
    let mut block = [0; 12];
    for (at, &byte) in tail.iter().enumerate() {
        block[if at < 8 { at } else { at + 1 }] = byte;
    }
    block
}

fn absorb(state: &mut [u32; 3], block: &[u8; 12]) {
    let (words, _) = block.as_chunks::<4>();
    for (word, &octets) in state.iter_mut().zip(words) {
        *word = word.wrapping_add(u32::from_le_bytes(octets));
    }
}

/// Three rounds over (a, b, c); in each, every word loses the other two and takes a shifted third.
fn mix([a, b, c]: &mut [u32; 3]) {
    for [first, second, third] in [[13, 8, 13], [12, 16, 5], [3, 10, 15]] {
        *a = a.wrapping_sub(*b).wrapping_sub(*c) ^ (*c >> first);
        *b = b.wrapping_sub(*c).wrapping_sub(*a) ^ (*a << second);
        *c = c.wrapping_sub(*a).wrapping_sub(*b) ^ (*b >> third);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;

    #[test]
    fn addresses_hash_as_in_powerdns() {
        let vectors = [
            ("127.0.0.1", 0xfa24_3cc8),
            ("192.0.2.1", 0xc56c_6928),
            ("1.2.3.0", 0xfae8_0fd5),
            ("10.0.0.1", 0x3d1b_d8d5),
            ("8.8.8.8", 0x1108_b955),
            ("198.51.100.7", 0xedec_f25f),
            ("::1", 0x5b3c_a2b3),
            ("2001:db8::1", 0x063b_3afe),
        ];
        for (address, wanted) in vectors {
            assert_eq!(hash_client(address.parse().unwrap()), wanted, "{address}");
        }
    }

    #[test]
    fn names_hash_without_case() {
        let vectors = [
            ("test.namehashed.example.org", 0x716f_96c8),
            ("TEST.namehashed.Example.ORG", 0x716f_96c8),
            ("test2.namehashed.example.org", 0x613f_08a7),
            ("www.example.com", 0x7845_6690),
        ];
        for (name, wanted) in vectors {
            assert_eq!(hash_name(name.parse::<Name>().unwrap().as_ref()), wanted, "{name}");
        }
    }

    #[test]
    fn texts_hash_as_in_powerdns() {
        for (text, wanted) in [("", 0xbd49_d10d), ("1.2.3.4-0", 0x7ecf_72d1), ("bob-0", 0x0462_2b4f)] {
            assert_eq!(hash(text.as_bytes()), wanted, "{text}");
        }
    }
}
