//! The file of networks of a map: which sites the clients of a network get, whatever the databases say of them.
//!
//! ```text
//! # the office, and a provider that every database puts elsewhere
//! 192.0.2.0/24   eu-1, us-1
//! 2001:db8::/32  us-1
//! 10.0.0.0/8     -            # none of them
//! ```
//!
//! `-` and not an empty list, because a line that was cut short must not count as one that was meant. For the same reason
//! a file with one bad line counts for nothing.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::finding::{Findings, Place};
use super::sites::no_such_site;
use super::stamp::Stamp;
use crate::geo::{Net, Order, SiteId, Sites};

/// Octets of a file.
const SIZE_MAX: u64 = 64 << 20;
/// Errors that are told one by one: a file of another kind has one in every line.
const TOLD_MAX: usize = 20;

const LINE: &str = "write a network and its sites, such as: 192.0.2.0/24 eu-1,us-1";

/// A file as it was read: what told it from other versions, and its rules as far as they could be read.
pub(super) type ReadNets = (Option<Stamp>, Vec<(Net, Order)>);

/// Reads the file that was named at `at`.
pub(super) fn read(path: &Path, at: &Place, sites: &Sites, findings: &mut Findings) -> ReadNets {
    let file: Arc<Path> = path.into();
    findings.opened(&file);
    let (stamp, text) = match text(path) {
        Ok(read) => read,
        Err(error) => {
            let message = format!("cannot read the networks in {}: {error}", path.display());
            findings.error(at, message, "the path is relative to the file that names it; leeward's user must be able to read it");
            return (None, Vec::new());
        }
    };
    let mut lines = Lines { file, sites, findings, rules: Vec::new(), seen: HashMap::new(), wrong: 0 };
    for (text, number) in text.lines().zip(1..) {
        lines.line(text, number);
    }
    lines.finish();
    (Some(stamp), lines.rules)
}

/// The stamp is that of the file that is read, whatever is put in its place meanwhile.
fn text(path: &Path) -> io::Result<(Stamp, String)> {
    let file = File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let mut text = String::new();
    file.take(SIZE_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > SIZE_MAX {
        return Err(io::Error::other(format!("it is larger than {SIZE_MAX} octets")));
    }
    Ok((stamp, text))
}

struct Lines<'f> {
    file: Arc<Path>,
    sites: &'f Sites,
    findings: &'f mut Findings,
    rules: Vec<(Net, Order)>,
    /// In which line each network stood first.
    seen: HashMap<Net, u32>,
    wrong: usize,
}

impl Lines<'_> {
    fn line(&mut self, text: &str, line: u32) {
        let text = text.split('#').next().unwrap_or_default().trim_end();
        let word = text.trim_start();
        if word.is_empty() {
            return;
        }
        let column = u32::try_from(text.len() - word.len() + 1).unwrap_or(u32::MAX);
        let at = Place { file: Arc::clone(&self.file), line, column };
        let (net, names) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        let order = self.order(names.trim(), &at);
        match net.parse::<Net>() {
            Err(error) => self.error(&at, format!("\"{}\" is no network: {error}", net.escape_debug()), LINE.to_owned()),
            Ok(net) => match self.seen.get(&net) {
                Some(first) => {
                    let message = format!("{net} stands here a second time, first in line {first}");
                    self.error(&at, message, "remove one".to_owned());
                }
                None => {
                    self.seen.insert(net, line);
                    self.rules.push((net, order));
                }
            },
        }
    }

    fn order(&mut self, names: &str, at: &Place) -> Order {
        match names {
            "" => {
                self.error(at, "the sites are missing".to_owned(), "write them, or `-` for none of them".to_owned());
                Order::default()
            }
            "-" => Order::default(),
            names => self.sites(names, at),
        }
    }

    fn sites(&mut self, names: &str, at: &Place) -> Order {
        let mut order: Vec<SiteId> = Vec::new();
        for name in names.split(',').map(str::trim) {
            match self.sites.find(name) {
                Some(site) if order.contains(&site) => {
                    self.error(at, format!("the site {name} stands here twice"), "remove one".to_owned());
                }
                Some(site) => order.push(site),
                // On a line that is no TOML there may be the site.
                None if !self.findings.unbroken() => {}
                None => {
                    let (message, remedy) = no_such_site(name, self.sites);
                    self.error(at, message, remedy);
                }
            }
        }
        order.into()
    }

    fn error(&mut self, at: &Place, message: String, remedy: String) {
        self.wrong += 1;
        if self.wrong <= TOLD_MAX {
            self.findings.error(at, message, remedy);
        }
    }

    fn finish(&mut self) {
        if let Some(more) = self.wrong.checked_sub(TOLD_MAX).filter(|&more| more > 0) {
            self.findings.error(&Place::whole(&self.file), format!("{more} more errors in this file"), LINE);
        }
    }
}
