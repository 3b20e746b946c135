//! A writer of databases in the format of MaxMind (<https://maxmind.github.io/MaxMind-DB/>), for tests: what they read is
//! said in the test.

use std::net::IpAddr;

/// A database in the making. What is inserted later lies over what was there.
pub(crate) struct Mmdb {
    bits: u8,
    nodes: Vec<[Child; 2]>,
    data: Vec<u8>,
    built: u64,
}

/// Something that a record can hold.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// By key.
    Map(Vec<(&'static str, Self)>),
    /// In order.
    List(Vec<Self>),
    /// UTF-8.
    Text(&'static str),
    /// 64 bits.
    Double(f64),
    /// 32 bits, unsigned.
    Number(u32),
}

#[derive(Clone, Copy)]
enum Child {
    Nothing,
    Node(usize),
    Record(usize),
}

impl Mmdb {
    /// For both families.
    pub(crate) fn v6() -> Self {
        Self { bits: 128, nodes: vec![[Child::Nothing; 2]], data: Vec::new(), built: 0 }
    }

    /// For IPv4 only.
    pub(crate) fn v4() -> Self {
        Self { bits: 32, ..Self::v6() }
    }

    /// The same, made so many seconds after 1970 began.
    pub(crate) fn built(self, built: u64) -> Self {
        Self { built, ..self }
    }

    /// All of `network` has this record.
    pub(crate) fn insert(&mut self, network: &str, value: &Value) {
        let record = self.data.len();
        write_value(&mut self.data, value);
        self.set(network, Child::Record(record));
    }

    /// `network` leads to the branch of IPv4, which is there already.
    pub(crate) fn alias(&mut self, network: &str) {
        let v4 = (0..96).fold(0, |node, _| match self.nodes[node][0] {
            Child::Node(next) => next,
            Child::Nothing | Child::Record(_) => panic!("no branch of IPv4"),
        });
        self.set(network, Child::Node(v4));
    }

    fn set(&mut self, network: &str, child: Child) {
        let (address, length) = network.split_once('/').expect("a prefix");
        let (position, length) = self.position(address.parse().expect("an address"), length.parse().expect("a length"));
        let mut node = 0;
        for depth in 0..length {
            let side = (position >> (self.bits - 1 - depth) & 1) as usize;
            if depth + 1 == length {
                self.nodes[node][side] = child;
                return;
            }
            node = match self.nodes[node][side] {
                Child::Node(next) => next,
                leaf @ (Child::Nothing | Child::Record(_)) => {
                    self.nodes.push([leaf; 2]);
                    self.nodes[node][side] = Child::Node(self.nodes.len() - 1);
                    self.nodes.len() - 1
                }
            };
        }
        self.nodes[0] = [child; 2];
    }

    fn position(&self, address: IpAddr, length: u8) -> (u128, u8) {
        match address {
            IpAddr::V4(v4) if self.bits == 128 => (v4.to_bits().into(), 96 + length),
            IpAddr::V4(v4) => (v4.to_bits().into(), length),
            IpAddr::V6(v6) => (v6.to_bits(), length),
        }
    }

    /// The database as a file, with records of this many bits in its tree: 24, 28 or 32.
    pub(crate) fn write(&self, record_size: u32) -> Vec<u8> {
        let number = |child: Child| match child {
            Child::Nothing => self.nodes.len(),
            Child::Node(node) => node,
            Child::Record(offset) => self.nodes.len() + 16 + offset,
        };
        let mut file = Vec::new();
        for &[left, right] in &self.nodes {
            let [left, right] = [number(left) as u64, number(right) as u64];
            let node = match record_size {
                28 => (left & 0xFF_FFFF) << 32 | (left >> 24) << 28 | (right >> 24) << 24 | right & 0xFF_FFFF,
                _ => left << record_size | right,
            };
            file.extend(&node.to_be_bytes()[8 - record_size as usize / 4..]);
        }
        file.extend([0; 16]);
        file.extend(&self.data);
        file.extend(b"\xAB\xCD\xEFMaxMind.com");
        write_head(&mut file, 7, 9);
        self.write_metadata(&mut file, record_size);
        file
    }

    fn write_metadata(&self, file: &mut Vec<u8>, record_size: u32) {
        let mut pair = |key, write: &dyn Fn(&mut Vec<u8>)| {
            write_value(file, &Value::Text(key));
            write(file);
        };
        let (u16, u32, u64) = (5, 6, 9);
        pair("binary_format_major_version", &|file| write_unsigned(file, u16, 2));
        pair("binary_format_minor_version", &|file| write_unsigned(file, u16, 0));
        pair("build_epoch", &|file| write_unsigned(file, u64, self.built));
        pair("database_type", &|file| write_value(file, &Value::Text("Test")));
        pair("description", &|file| write_value(file, &Value::Map(vec![("en", Value::Text("test"))])));
        pair("ip_version", &|file| write_unsigned(file, u16, if self.bits == 128 { 6 } else { 4 }));
        pair("languages", &|file| write_value(file, &Value::List(vec![Value::Text("en")])));
        pair("node_count", &|file| write_unsigned(file, u32, self.nodes.len() as u64));
        pair("record_size", &|file| write_unsigned(file, u16, record_size.into()));
    }
}

fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Map(entries) => {
            write_head(out, 7, entries.len());
            for (key, value) in entries {
                write_value(out, &Value::Text(key));
                write_value(out, value);
            }
        }
        Value::List(values) => {
            write_head(out, 11, values.len());
            values.iter().for_each(|value| write_value(out, value));
        }
        Value::Text(text) => {
            write_head(out, 2, text.len());
            out.extend(text.as_bytes());
        }
        Value::Double(double) => {
            write_head(out, 3, 8);
            out.extend(double.to_be_bytes());
        }
        Value::Number(number) => write_unsigned(out, 6, (*number).into()),
    }
}

/// A number without the zeros before it.
fn write_unsigned(out: &mut Vec<u8>, kind: u8, number: u64) {
    let zeros = number.leading_zeros() as usize / 8;
    write_head(out, kind, 8 - zeros);
    out.extend(&number.to_be_bytes()[zeros..]);
}

/// Type and size. Types from 8 on take a second byte, sizes from 29 on one more.
fn write_head(out: &mut Vec<u8>, kind: u8, size: usize) {
    let short = size.min(29) as u8;
    match kind.checked_sub(7) {
        Some(extended @ 1..) => out.extend([short, extended]),
        Some(0) | None => out.push(kind << 5 | short),
    }
    if let Some(more) = size.checked_sub(29) {
        out.push(u8::try_from(more).expect("at most 284"));
    }
}
