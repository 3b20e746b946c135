//! The options table of `ifportup` and `ifurlup`: who is chosen. How the targets are probed is for `probing`.

use std::collections::BTreeSet;

use super::super::choice::Metric;
use super::super::plan::{Function, Selector};
use super::super::syntax::{Expr, Kind};
use super::names::closest;
use super::probing::{self, Probing};
use super::{Lowering, describe};

/// What the options say, defaults filled in.
pub(super) struct Options {
    pub(super) selector: Selector,
    pub(super) backup: Selector,
    pub(super) metric: Metric,
    /// Whether there is no answer as long as nothing is known of any address.
    pub(super) fail_incomplete: bool,
    pub(super) probing: Probing,
}

/// The options that are not of the probe.
const NAMES: [&str; 5] = ["selector", "backupSelector", "failOnIncompleteCheck", "distance", "unknown"];

impl Lowering<'_> {
    /// The options in `table`, if it is given and not nil.
    pub(super) fn options(&mut self, function: Function, table: Option<&Expr>) -> Option<Options> {
        let fields = self.named_fields(function, table)?;
        let named = fields.iter().rfind(|(_, name, _)| probing::Name::find(name) == Some(probing::Name::Check));
        let base = self.base(function, named.map(|&(_, _, value)| value));
        let mut sound = base.is_some();
        let probing = base.unwrap_or_else(|| Probing::new(self.defaults));
        let (selector, backup, metric) = (Selector::Random, Selector::Random, Metric::default());
        let mut options = Options { selector, backup, metric, fail_incomplete: false, probing };
        for (offset, name, value) in fields {
            sound &= self.option(function, offset, &name, value, &mut options).is_some();
        }
        if let Some(table) = table {
            sound &= self.check_probing(&options.probing, table.offset).is_some();
        }
        sound.then_some(options)
    }

    /// The fields of a table of options: places, names and values.
    pub(super) fn named_fields<'e>(
        &mut self,
        function: Function,
        table: Option<&'e Expr>,
    ) -> Option<Vec<(usize, String, &'e Expr)>> {
        let Some(table) = table.filter(|table| table.kind != Kind::Nil) else { return Some(Vec::new()) };
        let Kind::Table(fields) = &table.kind else {
            return self.misplaced(table, &format!("the options of `{function}`"), "a table of options");
        };
        let (mut named, mut seen, mut sound, mut position) = (Vec::new(), BTreeSet::new(), true, 0u32);
        for field in fields.iter().filter(|field| field.value.kind != Kind::Nil) {
            let (offset, name) = match &field.key {
                Some(key) => (key.offset, self.text(key, "the name of an option")),
                None => {
                    position += 1;
                    (field.value.offset, Some(position.to_string()))
                }
            };
            let Some(name) = name else {
                sound = false;
                continue;
            };
            if !seen.insert(name.clone()) {
                let message = format!("the option `{}` is given twice", name.escape_debug());
                self.warn(offset, message, "remove one, the last one counts");
            }
            named.push((offset, name, &field.value));
        }
        sound.then_some(named)
    }

    fn option(&mut self, function: Function, offset: usize, name: &str, value: &Expr, options: &mut Options) -> Option<()> {
        if let Some(known) = probing::Name::find(name) {
            if known == probing::Name::Check {
                return Some(());
            }
            return self.set_probing(known, function, (offset, name), value, &mut options.probing);
        }
        let text = self.option_text(name, value)?;
        match name {
            "selector" => options.selector = self.selector(name, value.offset, &text)?,
            "backupSelector" => options.backup = self.selector(name, value.offset, &text)?,
            "failOnIncompleteCheck" => options.fail_incomplete = self.truth(name, value.offset, &text),
            "distance" | "unknown" => self.set_metric(name, value.offset, &text, &mut options.metric)?,
            _ => self.unknown_option(offset, name),
        }
        Some(())
    }

    /// A value, which must be a string or a number whatever the option: anything else makes PowerDNS reject the table.
    pub(super) fn option_text(&mut self, name: &str, value: &Expr) -> Option<String> {
        if let Kind::Boolean(boolean) = value.kind {
            let message = format!("the option `{name}` has {} as value, which rejects the whole table", describe(value));
            return self.error(value.offset, message, format!("write a string or a number, such as `'{boolean}'`"));
        }
        self.text(value, &format!("the option `{name}`"))
    }

    pub(super) fn unknown_option(&mut self, offset: usize, name: &str) {
        let known = probing::NAMES.iter().map(|(known, _)| *known).chain(NAMES);
        let remedy = match closest(name, known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "remove it".to_owned(),
        };
        self.warn(offset, format!("the unknown option `{}` is ignored", name.escape_debug()), remedy);
    }

    /// A selector; `pickclosest:3` is the three nearest.
    fn selector(&mut self, name: &str, offset: usize, text: &str) -> Option<Selector> {
        if let Some(count) = text.strip_prefix("pickclosest:") {
            return match count.parse() {
                Ok(count @ 1..=64) => Some(Selector::Closest(count)),
                _ => self.error(offset, format!("the {name} `{}`", text.escape_debug()), "write a number from 1 to 64 after it"),
            };
        }
        let known = Selector::ALL.into_iter().find(|selector| selector.as_str() == text);
        if known.is_none() {
            let remedy = match closest(text, Selector::ALL.map(Selector::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("use one of {}", Selector::ALL.map(Selector::as_str).join(", ")),
            };
            self.warn(offset, format!("the unknown {name} `{}` counts as `random`", text.escape_debug()), remedy);
        }
        Some(known.unwrap_or(Selector::Random))
    }
}
