//! The options table of `ifportup` and `ifurlup`: who is chosen. How the targets are probed is for `probing`.

use std::collections::BTreeSet;

use super::super::parser::{Expr, Kind};
use super::super::plan::{Function, Selector};
use super::names::closest;
use super::probing::{self, Probing};
use super::{Lowering, describe};

/// What the options say, defaults filled in.
pub(super) struct Options {
    pub(super) selector: Selector,
    pub(super) backup: Selector,
    /// Whether there is no answer as long as nothing is known of any address.
    pub(super) fail_on_incomplete: bool,
    pub(super) probing: Probing,
}

impl Lowering<'_> {
    /// The options in `table`, if it is given and not nil.
    pub(super) fn options(&mut self, function: Function, table: Option<&Expr>) -> Option<Options> {
        let probing = Probing::new(self.defaults);
        let (selector, backup) = (Selector::Random, Selector::Random);
        let mut options = Options { selector, backup, fail_on_incomplete: false, probing };
        let Some(table) = table.filter(|table| table.kind != Kind::Nil) else { return Some(options) };
        let Kind::Table(fields) = &table.kind else {
            return self.misplaced(table, &format!("the third argument of `{function}`"), "a table of options");
        };
        let (mut seen, mut sound, mut position) = (BTreeSet::new(), true, 0u32);
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
            sound &= self.option(function, offset, &name, &field.value, &mut options).is_some();
            if seen.contains(&name) {
                self.warn(
                    offset,
                    format!("the option `{}` is given twice", name.escape_debug()),
                    "remove one, the last one counts",
                );
            }
            seen.insert(name);
        }
        sound &= self.check_probing(&options.probing, table.offset).is_some();
        sound.then_some(options)
    }

    fn option(&mut self, function: Function, offset: usize, name: &str, value: &Expr, options: &mut Options) -> Option<()> {
        if let Some(known) = probing::Name::find(name) {
            return self.set_probing(known, function, (offset, name), value, &mut options.probing);
        }
        let text = self.option_text(name, value)?;
        match name {
            "selector" => options.selector = self.selector(name, value.offset, &text)?,
            "backupSelector" => options.backup = self.selector(name, value.offset, &text)?,
            "failOnIncompleteCheck" => options.fail_on_incomplete = self.truth(name, value.offset, &text),
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

    fn unknown_option(&mut self, offset: usize, name: &str) {
        let known =
            probing::NAMES.map(|(known, _)| known).into_iter().chain(["selector", "backupSelector", "failOnIncompleteCheck"]);
        let remedy = match closest(name, known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "remove it".to_owned(),
        };
        self.warn(offset, format!("the unknown option `{}` is ignored", name.escape_debug()), remedy);
    }

    fn selector(&mut self, name: &str, offset: usize, text: &str) -> Option<Selector> {
        if text == "pickclosest" {
            return self.error(
                offset,
                format!("the {name} `pickclosest` is not in this release"),
                "use `random`, `all` or `hashed`",
            );
        }
        let known = Selector::ALL.into_iter().find(|selector| selector.as_str() == text);
        if known.is_none() {
            let remedy = match closest(text, Selector::ALL.map(Selector::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "use `random`, `all`, `hashed` or `empty`".to_owned(),
            };
            self.warn(offset, format!("the unknown {name} `{}` counts as `random`", text.escape_debug()), remedy);
        }
        Some(known.unwrap_or(Selector::Random))
    }
}
