//! Master files → records (RFC 1035 5, RFC 2308 4, RFC 3597 5), with includes and generated records; all that is wrong in one run.
//!
//! After an error the reader goes on with the next entry, and remembers what it lost ([`Lost`](super::raw::Lost)), so that the checks of
//! the whole zone do not complain that something is missing which is there and merely misspelt.
//!
//! The origin and the last owner are those of the file; `$TTL` and the last stated TTL run on through includes and
//! after them.
//!
//! Never here: what records mean together (see `check`); files are read only through [`Source`].

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::contents::{Contents, LuaRecord, Segment, lua_rdata};
use super::finding::{Finding, Findings, MAX_FINDINGS, Position};
use super::generate::{RECORDS_MAX, Range, Template, ZONE_OCTETS_MAX, ZONE_RECORDS_MAX};
use super::lexer::{Entry, Lexer, Place, Token, show};
use super::raw::{Raw, TooLarge};
use super::rdata::{self, RdataError};
use crate::wire::{Class, Name, NameBuf, NameError, NameRef, RecordType, Ttl};

/// Deepest `$INCLUDE`, the zone's own file not counted.
const INCLUDE_DEPTH: usize = 16;
/// Most files that one zone may consist of, each inclusion counted.
const MAX_FILES: usize = 10_000;
/// The TTL where none was ever stated.
const DEFAULT_TTL: u32 = 3600;

/// Where files come from.
pub trait Source {
    /// The whole file.
    ///
    /// # Errors
    /// As the source has them; the text of the error becomes part of a finding.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files;

impl Source for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
}

/// What became of a zone's files.
#[derive(Debug)]
pub struct Loaded {
    /// The zone; `None` when any finding is an error.
    pub contents: Option<Contents>,
    /// The record programs that could be read, also where the rest has errors, so that they can be checked too.
    pub programs: Vec<Arc<LuaRecord>>,
    /// All that is wrong, in the order of the files and of the places in them.
    pub findings: Vec<Finding>,
}

/// Reads and checks the zone `apex` from the master file `path`.
pub fn load(source: &dyn Source, path: &Path, apex: NameRef<'_>) -> Loaded {
    let mut reader = Reader::new(source, apex);
    let top: Arc<Path> = path.into();
    reader.findings.opened(&top);
    match source.read(path) {
        Ok(bytes) => {
            reader.file(&top, &bytes, Some(apex.to_name()));
            drop(bytes);
            let start = Position { file: top, line: 1, column: 1 };
            let Reader { raw, mut findings, .. } = reader;
            let contents = Contents::checked(apex, &raw, &start, &mut findings);
            Loaded { contents, programs: raw.programs().to_vec(), findings: findings.into_sorted() }
        }
        Err(error) => {
            let at = Position { file: top, line: 1, column: 1 };
            reader.findings.error(at, format!("the file cannot be read: {error}"), "check the path and its permissions");
            Loaded { contents: None, programs: Vec::new(), findings: reader.findings.into_sorted() }
        }
    }
}

/// Why an entry is not taken.
enum Fault {
    /// To be reported.
    At(Place, String, String),
    /// A consequence of what was reported before.
    Consequence,
}

type Outcome<T = ()> = Result<T, Fault>;

fn fault<T>(at: Place, message: impl Into<String>, remedy: impl Into<String>) -> Outcome<T> {
    Err(Fault::At(at, message.into(), remedy.into()))
}

/// The owner that a line without one has.
#[derive(Clone, Copy)]
enum Owner {
    /// No line had one yet.
    None,
    /// The last one was reported as no name.
    Lost,
    /// The last one was reported as outside the zone, which loses nothing.
    Outside,
    /// Its number in [`Raw`].
    Known(u32),
}

/// What belongs to one file.
struct Scope {
    file: Arc<Path>,
    /// Its number in [`Raw`].
    number: u16,
    /// `None` after a bad `$ORIGIN`: relative names are then lost, not wrong.
    origin: Option<Name>,
    owner: Owner,
}

impl Scope {
    fn at(&self, place: Place) -> Position {
        Position { file: Arc::clone(&self.file), line: place.line, column: place.column }
    }
}

struct Reader<'s> {
    source: &'s dyn Source,
    apex: NameRef<'s>,
    findings: Findings,
    raw: Raw,
    default_ttl: Option<Ttl>,
    last_ttl: Option<Ttl>,
    /// The files from the top to the one that is being read.
    open: Vec<Arc<Path>>,
    files: usize,
    /// Records, and octets of text, that `$GENERATE` has made.
    generated: (u32, usize),
    /// The type of the record that is being read, once it is known.
    rtype: Option<RecordType>,
    /// Room for the name and the RDATA that are being read.
    name: NameBuf,
    rdata: Vec<u8>,
}

impl<'s> Reader<'s> {
    fn new(source: &'s dyn Source, apex: NameRef<'s>) -> Self {
        Self {
            source,
            apex,
            findings: Findings::default(),
            raw: Raw::default(),
            default_ttl: None,
            last_ttl: None,
            open: Vec::new(),
            files: 0,
            generated: (0, 0),
            rtype: None,
            name: NameBuf::new(),
            rdata: Vec::new(),
        }
    }

    /// Reads one file to its end.
    fn file(&mut self, path: &Arc<Path>, bytes: &[u8], origin: Option<Name>) {
        self.findings.opened(path);
        self.open.push(Arc::clone(path));
        self.raw.reserve(bytes.iter().filter(|&&byte| byte == b'\n').count());
        let number = self.raw.put_file(path);
        let mut scope = Scope { file: Arc::clone(path), number, origin, owner: Owner::None };
        let mut lexer = Lexer::new(bytes);
        let mut entry = Entry::default();
        while let Some(result) = lexer.next_entry(&mut entry) {
            self.rtype = None;
            let outcome = match result {
                Ok(()) => self.entry(&mut scope, &entry),
                Err(broken) => {
                    self.owner_of_broken(&mut scope, &entry);
                    fault(broken.at, broken.error.to_string(), broken.error.remedy())
                }
            };
            if let Err(reason) = outcome {
                self.give_up_entry(&scope, &entry, reason);
            }
            if self.findings.is_full() {
                break;
            }
        }
        self.open.pop();
    }

    /// Reports why an entry is not taken, and notes what is lost with it.
    fn give_up_entry(&mut self, scope: &Scope, entry: &Entry<'_>, reason: Fault) {
        if let Fault::At(place, message, remedy) = reason {
            self.findings.error(scope.at(place), message, remedy);
            if self.findings.is_full() {
                let message = format!("more than {MAX_FINDINGS} errors, reading stops here");
                self.findings.warn(scope.at(place), message, "mend these first");
            }
        }
        if entry.tokens.first().is_some_and(is_directive) {
            return; // what a directive loses, it notes itself
        }
        match scope.owner {
            Owner::Known(owner) => {
                let owner = self.raw.owner(owner).to_name();
                self.raw.lost.some.insert((owner, self.rtype));
            }
            Owner::Lost => self.raw.lost.below_apex = true,
            Owner::Outside => {}
            Owner::None => self.raw.lost.everything = true,
        }
    }

    fn owner_of_broken(&mut self, scope: &mut Scope, entry: &Entry<'_>) {
        let Some(first) = entry.tokens.first() else { return };
        if is_directive(first) {
            self.raw.lost.everything = true;
        } else if !entry.leading_blank {
            let _ = self.state_owner(scope, first); // one finding for one entry
        }
    }

    fn entry(&mut self, scope: &mut Scope, entry: &Entry<'_>) -> Outcome {
        let Some((first, rest)) = entry.tokens.split_first() else { return Ok(()) };
        if is_directive(first) {
            return self.directive(scope, first, rest);
        }
        if entry.leading_blank {
            return self.record(scope, &entry.tokens, first.at);
        }
        self.state_owner(scope, first)?;
        match rest {
            [] => fault(first.at, format!("{} has no record", first.show()), "write `owner [ttl] [IN] type data` on one line"),
            _ => self.record(scope, rest, first.at),
        }
    }

    /// Takes the owner that an entry states.
    fn state_owner(&mut self, scope: &mut Scope, token: &Token<'_>) -> Outcome {
        let known = std::mem::replace(&mut scope.owner, Owner::Lost);
        let name = self.name.read(token.text, scope.origin.as_ref().map(Name::as_ref));
        let name = name.or_else(|error| bad_name(token, error, "owner"))?;
        if !name.is_within(self.apex) {
            scope.owner = Owner::Outside;
            let remedy = format!("names of this zone end in `{}`; a final dot makes a name absolute", self.apex);
            return fault(token.at, format!("the owner {name} is outside the zone {}", self.apex), remedy);
        }
        scope.owner = match known {
            Owner::Known(owner) if self.raw.owner(owner).as_wire() == name.as_wire() => known,
            _ => Owner::Known(self.raw.put_owner(name).or_else(|error| too_large(token.at, error))?),
        };
        Ok(())
    }

    // Directives -----------------------------------------------------------------------------------------------------

    fn directive(&mut self, scope: &mut Scope, word: &Token<'_>, values: &[Token<'_>]) -> Outcome {
        if word.is_word("$ORIGIN") {
            self.origin(scope, word, values)
        } else if word.is_word("$TTL") {
            self.default_ttl(scope, word, values)
        } else if word.is_word("$INCLUDE") {
            self.include(scope, word, values)
        } else if word.is_word("$GENERATE") {
            self.generate(scope, word, values).inspect_err(|_| self.raw.lost.everything = true)
        } else {
            self.raw.lost.everything = true;
            let remedy =
                "the directives are $ORIGIN, $TTL, $INCLUDE and $GENERATE; a name that starts with a dollar is written `\\$...`";
            fault(word.at, format!("unknown directive {}", word.show()), remedy)
        }
    }

    fn origin(&mut self, scope: &mut Scope, word: &Token<'_>, values: &[Token<'_>]) -> Outcome {
        let origin = scope.origin.take();
        self.raw.lost.everything |= !matches!(values, [_]);
        let [value] = values else { return one_value(word, values, "$ORIGIN example.com.") };
        scope.origin = Some(name_of(value, origin.as_ref(), "origin").inspect_err(|_| self.raw.lost.everything = true)?);
        Ok(())
    }

    fn default_ttl(&mut self, scope: &Scope, word: &Token<'_>, values: &[Token<'_>]) -> Outcome {
        let [value] = values else { return one_value(word, values, "$TTL 1h") };
        let Some(seconds) = rdata::seconds(value.text) else {
            let message = format!("{} is not a TTL", value.show());
            return fault(value.at, message, "write seconds or units, such as `300` or `1h30m`");
        };
        self.default_ttl = Some(self.ttl(scope, value, seconds)?);
        Ok(())
    }

    /// A TTL of so many seconds. From 2³¹ on they count as none (RFC 2181 8); what 32 bits cannot hold is no TTL.
    fn ttl(&mut self, scope: &Scope, token: &Token<'_>, seconds: u64) -> Outcome<Ttl> {
        let Ok(seconds) = u32::try_from(seconds) else {
            let message = format!("the TTL {} does not fit in 32 bits", token.show());
            return fault(token.at, message, format!("write at most {} (RFC 2181 8)", Ttl::MAX));
        };
        Ok(Ttl::new(seconds).unwrap_or_else(|| {
            let message = format!("the TTL {} is above {} and counts as 0", token.show(), Ttl::MAX);
            self.findings.warn(scope.at(token.at), message, "write a smaller one (RFC 2181 8)");
            Ttl::new(0).expect("0 is a TTL")
        }))
    }

    fn include(&mut self, scope: &Scope, word: &Token<'_>, values: &[Token<'_>]) -> Outcome {
        let opened = self.open_include(scope, word, values);
        let (path, bytes, origin) = opened.inspect_err(|_| self.raw.lost.everything = true)?;
        self.file(&path, &bytes, origin);
        self.rtype = None;
        Ok(())
    }

    fn open_include(
        &mut self,
        scope: &Scope,
        word: &Token<'_>,
        values: &[Token<'_>],
    ) -> Outcome<(Arc<Path>, Vec<u8>, Option<Name>)> {
        let (file, origin) = match values {
            [file] => (file, scope.origin.clone()),
            [file, origin] => (file, Some(name_of(origin, scope.origin.as_ref(), "origin")?)),
            _ => return one_value(word, values, "$INCLUDE file [origin]"),
        };
        let path: Arc<Path> = include_path(&scope.file, file)?.into();
        self.check_include(&path, file)?;
        self.files += 1;
        match self.source.read(&path) {
            Ok(bytes) => Ok((path, bytes, origin)),
            Err(error) => {
                let message = format!("the included file {} cannot be read: {error}", path.display());
                fault(file.at, message, "paths are relative to the file that includes; check it and its permissions")
            }
        }
    }

    fn check_include(&self, path: &Arc<Path>, file: &Token<'_>) -> Outcome {
        if let Some(from) = self.open.iter().position(|open| open == path) {
            let round: Vec<_> = self.open[from..].iter().chain([path]).map(|path| path.display().to_string()).collect();
            return fault(file.at, format!("the files include each other: {}", round.join(" -> ")), "remove this $INCLUDE");
        }
        if self.open.len() > INCLUDE_DEPTH {
            let message = format!("$INCLUDE is nested more than {INCLUDE_DEPTH} deep");
            return fault(file.at, message, "include the file from one that is less deep");
        }
        if self.files >= MAX_FILES {
            return fault(file.at, format!("more than {MAX_FILES} files are included"), "join some of them");
        }
        Ok(())
    }

    /// Makes the records of a `$GENERATE`. All of them are at the directive's place, and the first that is wrong ends it:
    /// the others would be wrong in the same way.
    fn generate(&mut self, scope: &mut Scope, word: &Token<'_>, values: &[Token<'_>]) -> Outcome {
        let [range, owner, record @ ..] = values else {
            return fault(word.at, "$GENERATE without a range and an owner", GENERATE_REMEDY);
        };
        if record.is_empty() {
            return fault(owner.at, "$GENERATE without a type and data", GENERATE_REMEDY);
        }
        let numbers = self.generated_range(range)?;
        let head = self.head(scope, record)?;
        let (head_words, data) = record.split_at(head.len);
        let data = template(&Token { text: &generated_data(data), quoted: false, at: range.at })?;
        let owners = template(owner)?;
        let before = scope.owner;
        let made = self.generated_records(scope, word, (range, &numbers), (owner, &owners), (&head, head_words, &data));
        (scope.owner, self.rtype) = (before, None); // what follows has the owner that it had without the directive
        made
    }

    fn generated_records(
        &mut self,
        scope: &mut Scope,
        word: &Token<'_>,
        (range, numbers): (&Token<'_>, &Range),
        (owner, owners): (&Token<'_>, &Template),
        (head, head_words, data): (&Head, &[Token<'_>], &Template),
    ) -> Outcome {
        for number in numbers.numbers() {
            let (name, data) = (owners.expand(number), data.expand(number));
            self.generated.0 += 1;
            self.generated.1 += name.len() + data.len();
            if self.generated.1 > ZONE_OCTETS_MAX {
                let message = format!("$GENERATE makes more than {ZONE_OCTETS_MAX} octets of records in this zone");
                return fault(range.at, message, "make fewer or shorter records");
            }
            let owner = Token { text: &name, quoted: false, at: owner.at };
            let taken = self.state_owner(scope, &owner).and_then(|()| {
                let tokens = generated_tokens(head_words, &data, word.at)?;
                self.rtype = Some(head.rtype);
                self.data(scope, head, &tokens, word.at)
            });
            taken.map_err(|reason| at_directive(reason, word.at, number))?;
        }
        Ok(())
    }

    fn generated_range(&self, token: &Token<'_>) -> Outcome<Range> {
        let Some(range) = Range::parse(token.text) else {
            let message = format!("{} is not a range of numbers", token.show());
            return fault(token.at, message, "write `start-stop` or `start-stop/step`, upwards, such as `1-100`");
        };
        if range.count() > RECORDS_MAX {
            let message = format!("the range {} makes {} records", token.show(), range.count());
            return fault(token.at, message, format!("one $GENERATE makes at most {RECORDS_MAX}"));
        }
        if range.count() > ZONE_RECORDS_MAX - self.generated.0 {
            let message = format!("$GENERATE makes more than {ZONE_RECORDS_MAX} records in this zone");
            return fault(token.at, message, "write fewer, or let a wildcard answer");
        }
        Ok(range)
    }

    // Records --------------------------------------------------------------------------------------------------------

    /// Reads `[ttl] [class] type data`; `start` is where the entry starts.
    fn record(&mut self, scope: &mut Scope, tokens: &[Token<'_>], start: Place) -> Outcome {
        let head = self.head(scope, tokens)?;
        self.rtype = Some(head.rtype);
        self.data(scope, &head, tokens, start)
    }

    /// Reads the data after the head, and takes the record.
    fn data(&mut self, scope: &Scope, head: &Head, tokens: &[Token<'_>], start: Place) -> Outcome {
        let ttl = self.effective_ttl(head.ttl);
        let words = &tokens[head.len..];
        let owner = match scope.owner {
            Owner::Known(owner) => Some(owner),
            Owner::Lost | Owner::Outside => None,
            Owner::None => return fault(start, "the first record has no owner", "start the line with a name, such as `@`"),
        };
        let place = (scope.number, start);
        let taken = if head.rtype == RecordType::LUA {
            let name = owner.map_or(self.apex, |owner| self.raw.owner(owner)).to_name();
            let (rtype, segments) = lua(scope, words, &tokens[head.len - 1])?;
            let program = LuaRecord { owner: name, rtype, ttl, segments, at: scope.at(start) };
            self.raw.put_program(owner.ok_or(Fault::Consequence)?, Arc::new(program), place)
        } else {
            let parsed = rdata::parse_into(head.rtype, words, scope.origin.as_ref().map(Name::as_ref), &mut self.rdata);
            parsed.map_err(|(index, error)| rdata_fault(tokens, head.len + index, head.rtype, &error))?;
            self.warn_long_strings(scope, head.rtype, words);
            self.raw.put_rdata((owner.ok_or(Fault::Consequence)?, head.rtype, ttl), &self.rdata, place)
        };
        taken.or_else(|error| too_large(start, error))
    }

    /// What stands before the data: TTL and class in either order, then the type.
    fn head(&mut self, scope: &Scope, tokens: &[Token<'_>]) -> Outcome<Head> {
        let (mut ttl, mut class) = (None, None);
        for (index, token) in tokens.iter().enumerate() {
            if ttl.is_none()
                && !token.quoted
                && let Some(seconds) = rdata::seconds(token.text)
            {
                ttl = Some(self.ttl(scope, token, seconds)?);
            } else if class.is_none()
                && let Some(stated) = class_of(token)
            {
                if stated != Class::IN {
                    return fault(token.at, format!("class {stated} is not served"), "write `IN` or leave the class out");
                }
                class = Some(stated);
            } else {
                return Ok(Head { ttl, rtype: type_of(token)?, len: index + 1 });
            }
        }
        let last = tokens.last().map_or(Place { line: 1, column: 1 }, |token| token.at);
        fault(last, "the record has no type", "write `owner [ttl] [IN] type data`")
    }

    fn effective_ttl(&mut self, stated: Option<Ttl>) -> Ttl {
        self.last_ttl = stated.or(self.last_ttl);
        let inherited = self.default_ttl.or(self.last_ttl);
        stated.or(inherited).unwrap_or(Ttl::new(DEFAULT_TTL).expect("an hour is a TTL"))
    }

    fn warn_long_strings(&mut self, scope: &Scope, rtype: RecordType, words: &[Token<'_>]) {
        if rtype != RecordType::TXT || rdata::is_generic(words) {
            return;
        }
        for word in words.iter().filter(|word| word.text.len() > 255) {
            if rdata::unescape(word.text).is_some_and(|text| text.len() > 255) {
                let remedy = "write several strings of at most 255 octets (RFC 1035 3.3)";
                self.findings.warn(scope.at(word.at), "the string is longer than 255 octets and is split", remedy);
            }
        }
    }
}

struct Head {
    ttl: Option<Ttl>,
    rtype: RecordType,
    /// How many tokens, the type included.
    len: usize,
}

fn is_directive(token: &Token<'_>) -> bool {
    !token.quoted && token.text.first() == Some(&b'$')
}

fn one_value<T>(word: &Token<'_>, values: &[Token<'_>], form: &str) -> Outcome<T> {
    let (at, what) = match values.last() {
        None => (word.at, "no value"),
        Some(last) => (last.at, "too many values"),
    };
    fault(at, format!("{} has {what}", word.show()), format!("write `{form}`"))
}

fn name_of(token: &Token<'_>, origin: Option<&Name>, what: &str) -> Outcome<Name> {
    Name::from_text(token.text, origin.map(Name::as_ref)).or_else(|error| bad_name(token, error, what))
}

fn bad_name<T>(token: &Token<'_>, error: NameError, what: &str) -> Outcome<T> {
    match error {
        NameError::NoOrigin => Err(Fault::Consequence),
        error => fault(token.at, format!("the {what} {} is not a domain name: {error}", token.show()), NAME_REMEDY),
    }
}

fn too_large<T>(at: Place, TooLarge: TooLarge) -> Outcome<T> {
    fault(at, format!("from here on the zone takes more than {} octets", u32::MAX), "at most so many are served: split the zone")
}

const GENERATE_REMEDY: &str = "write `$GENERATE 1-9 host$ [ttl] [IN] A 192.0.2.$`";

fn template(token: &Token<'_>) -> Outcome<Template> {
    Template::parse(token.text).map_or_else(
        || {
            let remedy = "write `$` or `${offset[,width[,base]]}` with base d, o, x, X, n or N, and `\\$` for a dollar";
            fault(token.at, format!("{} has a placeholder that cannot be read", token.show()), remedy)
        },
        Ok,
    )
}

/// The text of a directive's data. BIND takes one word, whose quotes only keep it together; where there are more, quotes
/// stand for strings as in any other record.
fn generated_data(words: &[Token<'_>]) -> Vec<u8> {
    if let [Token { text, quoted: true, .. }] = words {
        return unquoted(text);
    }
    let mut out = Vec::new();
    let mut end = None;
    for word in words {
        let quote: &[u8] = if word.quoted { b"\"" } else { b"" };
        let len = word.text.len() + 2 * quote.len();
        let gap: &[u8] = if end == Some(word.at) { b"" } else { b" " }; // `alpn="h2"` is one value
        for part in [gap, quote, word.text, quote] {
            out.extend_from_slice(part);
        }
        end = Some(Place { column: word.at.column + len as u32, ..word.at });
    }
    out
}

/// A string's text with `\"` as `"`; other escapes stay.
fn unquoted(mut text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    loop {
        text = match text {
            [] => return out,
            [b'\\', b'"', rest @ ..] => {
                out.push(b'"');
                rest
            }
            [b'\\', escaped, rest @ ..] => {
                out.extend([b'\\', *escaped]);
                rest
            }
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
        };
    }
}

/// An error in generated text is shown where the directive is, with the number that led to it.
fn at_directive(reason: Fault, at: Place, number: u32) -> Fault {
    match reason {
        Fault::At(_, message, remedy) => Fault::At(at, format!("{message} (where $ is {number})"), remedy),
        Fault::Consequence => Fault::Consequence,
    }
}

/// The head of a directive's record and the words of its generated data, which stand where the directive does.
fn generated_tokens<'t>(head: &[Token<'t>], data: &'t [u8], at: Place) -> Outcome<Vec<Token<'t>>> {
    let mut entry = Entry::default();
    let mut lexer = Lexer::new(data);
    if let Some(Err(broken)) = lexer.next_entry(&mut entry) {
        return fault(at, format!("the generated data cannot be read: {}", broken.error), broken.error.remedy());
    }
    let mut tokens = head.to_vec();
    // Side by side as they were, because parameters of SVCB are told apart by that, but on the directive's line.
    let place = |token: &Token<'_>| Place { line: at.line, column: at.column + token.at.column - 1 };
    tokens.extend(entry.tokens.iter().map(|token| Token { at: place(token), ..*token }));
    Ok(tokens)
}

const NAME_REMEDY: &str = "a name is labels of 1 to 63 octets with dots between them, 255 octets in all";

fn class_of(token: &Token<'_>) -> Option<Class> {
    if token.quoted { None } else { std::str::from_utf8(token.text).ok()?.parse().ok() }
}

/// A type that can be zone data.
fn type_of(token: &Token<'_>) -> Outcome<RecordType> {
    let parsed = std::str::from_utf8(token.text).ok().filter(|_| !token.quoted).and_then(|text| text.parse().ok());
    match parsed {
        Some(rtype) if !RecordType::is_meta(rtype) => Ok(rtype),
        Some(rtype) => fault(token.at, format!("{rtype} is a query type and cannot be in a zone"), "write the type of the data"),
        None => {
            let remedy = "write a type such as `A`, or `TYPEnnn` with its number; a line without an owner starts with a blank";
            fault(token.at, format!("unknown record type {}", token.show()), remedy)
        }
    }
}

/// The fault of one word of a record; where the word is missing, of the last one that is there.
fn rdata_fault(tokens: &[Token<'_>], index: usize, rtype: RecordType, error: &RdataError) -> Fault {
    if matches!(error, RdataError::Name { source: NameError::NoOrigin, .. }) {
        return Fault::Consequence;
    }
    let token = tokens.get(index).or(tokens.last());
    let at = token.map_or(Place { line: 1, column: 1 }, |token| token.at);
    Fault::At(at, error.to_string(), error.remedy(rtype))
}

/// The path that a file names, seen from the file `from`.
fn include_path(from: &Path, file: &Token<'_>) -> Outcome<PathBuf> {
    let text = rdata::unescape(file.text).and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| !text.is_empty());
    let Some(text) = text else {
        return fault(
            file.at,
            format!("{} is not a file name", file.show()),
            "write a path in UTF-8, in quotes if it has blanks",
        );
    };
    let named = Path::new(&text).components().filter(|part| *part != Component::CurDir); // `./x` is `x`, so loops show
    Ok(from.parent().unwrap_or(Path::new("")).join(named.collect::<PathBuf>()))
}

/// Reads `type "code"...`, or the same on the wire in RFC 3597 form. The code's escapes are left as they are.
fn lua(scope: &Scope, words: &[Token<'_>], rtype: &Token<'_>) -> Outcome<(RecordType, Vec<Segment>)> {
    let (target, segments) = if rdata::is_generic(words) {
        lua_generic(scope, words, rtype)?
    } else {
        let Some((first, code)) = words.split_first() else {
            return fault(rtype.at, "the LUA record has no target type", format!("write `{}`", rdata::form(RecordType::LUA)));
        };
        let target = type_of(first)?;
        (target, code.iter().map(|token| segment(scope, token)).collect::<Outcome<Vec<_>>>()?)
    };
    if segments.is_empty() {
        let last = words.last().unwrap_or(rtype);
        return fault(last.at, "the LUA record has no code", format!("write `{}`", rdata::form(RecordType::LUA)));
    }
    if lua_rdata(target, &segments).len() > usize::from(u16::MAX) {
        return fault(
            rtype.at,
            "the code is longer than a record can hold (65535 octets)",
            "move parts to a record of their own",
        );
    }
    Ok((target, segments))
}

fn segment(scope: &Scope, token: &Token<'_>) -> Outcome<Segment> {
    let at = Place { column: token.at.column + u32::from(token.quoted), ..token.at };
    code(token.text, at).map(|text| Segment { text, at: scope.at(at) })
}

fn code(text: &[u8], at: Place) -> Outcome<Box<str>> {
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text.into()),
        Err(error) => {
            let bad = Place { column: at.column + error.valid_up_to() as u32, ..at };
            fault(bad, format!("the code is not UTF-8 from {} on", show(&text[error.valid_up_to()..])), "save the file as UTF-8")
        }
    }
}

fn lua_generic(scope: &Scope, words: &[Token<'_>], rtype: &Token<'_>) -> Outcome<(RecordType, Vec<Segment>)> {
    let wire = rdata::generic(RecordType::LUA, words).map_err(|(index, error)| {
        rdata_fault(words, index, RecordType::LUA, &error) // there is at least the word `\#`
    })?;
    let place = words.first().unwrap_or(rtype).at;
    let (number, strings) = wire.split_at(2);
    let target = RecordType(u16::from_be_bytes([number[0], number[1]]));
    if target.is_meta() {
        return fault(place, format!("{target} is a query type and no program can make it"), "state the type of the data");
    }
    let strings = rdata::split_strings(strings).unwrap_or_default();
    let segment = |text: &[u8]| code(text, place).map(|text| Segment { text, at: scope.at(place) });
    Ok((target, strings.into_iter().map(segment).collect::<Outcome<Vec<_>>>()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{Memory, contents, findings, load_bytes, name};
    use super::*;

    const HEAD: &str = "@ 60 SOA ns.x. h.x. 1 2 3 4 5\n NS ns.x.\n";

    /// The records after the head as `owner ttl type data`.
    fn records(body: &str) -> Vec<String> {
        let text = String::from_utf8(contents("z.", &(HEAD.to_owned() + body)).to_text()).expect("it is ASCII here");
        let lines = text.lines().map(|line| line.replace("\tIN\t", "\t").replace('\t', " "));
        lines.filter(|line| !line.contains(" SOA ") && !line.contains(" NS ns.x.")).collect()
    }

    #[test]
    fn every_form_of_entry_is_read() {
        let cases: &[(&str, &[&str])] = &[
            ("$TTL 1h30m\na A 192.0.2.1", &["a.z. 5400 A 192.0.2.1"]),
            ("a A 192.0.2.1", &["a.z. 60 A 192.0.2.1"]), // the last stated TTL is the SOA's
            ("a 5 A 192.0.2.1\nb A 192.0.2.1", &["a.z. 5 A 192.0.2.1", "b.z. 5 A 192.0.2.1"]),
            ("$TTL 9\na 5 A 192.0.2.1\nb A 192.0.2.1", &["a.z. 5 A 192.0.2.1", "b.z. 9 A 192.0.2.1"]),
            ("a IN 1W2d A 192.0.2.1", &["a.z. 777600 A 192.0.2.1"]),
            ("a 5 in a 192.0.2.1", &["a.z. 5 A 192.0.2.1"]),
            ("a CLASS1 TYPE1 \\# 4 c0 000201", &["a.z. 60 A 192.0.2.1"]),
            ("a A \\# 4 C0000201", &["a.z. 60 A 192.0.2.1"]),
            ("a TYPE999 \\# 0", &["a.z. 60 TYPE999 \\# 0"]),
            ("a\tTXT x\r\n\t\tAAAA\t::1\r\n", &["a.z. 60 TXT \"x\"", "a.z. 60 AAAA ::1"]),
            ("$ORIGIN b\n@ A 192.0.2.1\n$ORIGIN c.z.\nd A 192.0.2.1", &["b.z. 60 A 192.0.2.1", "d.c.z. 60 A 192.0.2.1"]),
            ("a MX ( 10 ; the first\n  m )\n", &["a.z. 60 MX 10 m.z."]),
            ("a TXT \"a;b\" \"c\\\"d\" e\\032f \\065", &["a.z. 60 TXT \"a;b\" \"c\\\"d\" \"e f\" \"A\""]),
            ("a SRV 1 2 3 @\na CAA 128 issue \"x; y=z\"", &["a.z. 60 SRV 1 2 3 z.", "a.z. 60 CAA 128 issue \"x; y=z\""]),
            ("a PTR b\nc CNAME a.", &["a.z. 60 PTR b.z.", "c.z. 60 CNAME a."]),
            ("\\*x\\.y A 192.0.2.1", &["*x\\.y.z. 60 A 192.0.2.1"]),
            ("l 5 IN LUA A \"ifportup(443,{'192.0.2.1'})\"", &["l.z. 5 LUA A \"ifportup(443,{'192.0.2.1'})\""]),
            ("l LUA TXT ( \"; return 'a\\065'\" ; why\n \" ..'b'\" )", &["l.z. 60 LUA TXT \"; return 'a\\065'\" \" ..'b'\""]),
            ("l LUA A word LUA", &["l.z. 60 LUA A \"word\" \"LUA\""]),
            ("l LUA A \"a\\\"b\"", &["l.z. 60 LUA A \"a\\\"b\""]),
            ("l TYPE65402 \\# 5 0001 02 7b7d", &["l.z. 60 LUA A \"{}\""]),
            ("l LUA \\# 5 0001 02 220a", &["l.z. 60 LUA \\# 5 000102220a"]),
            ("a A 192.0.2.1\nA A 192.0.2.1", &["a.z. 60 A 192.0.2.1"]),
            ("$GENERATE 1-2 a$ A 192.0.2.$", &["a1.z. 60 A 192.0.2.1", "a2.z. 60 A 192.0.2.2"]),
            ("$GENERATE 8-9/2 a${2,3,x} 5 IN TXT \"v $\" ${0,3,n}", &["a00a.z. 5 TXT \"v 8\" \"8.0\""]),
            ("$GENERATE 1-1 a$ MX \"10 m$\"", &["a1.z. 60 MX 10 m1.z."]),
            ("$GENERATE 1-1 a$ MX 10 m$", &["a1.z. 60 MX 10 m1.z."]),
            (
                "b A 192.0.2.9\n$GENERATE 1-1 a\\$$ TXT \"\\\"x; y\\\"\"\n TXT b",
                &["a\\$1.z. 60 TXT \"x; y\"", "b.z. 60 A 192.0.2.9", "b.z. 60 TXT \"b\""],
            ),
            ("$GENERATE 1-1 a$ HTTPS 1 . alpn=\"h$\"", &["a1.z. 60 HTTPS 1 . alpn=\"h1\""]),
            ("$GENERATE 1-1 a$ LUA A \"f(${1})\"", &["a1.z. 60 LUA A \"f(2)\""]),
        ];
        for (body, expected) in cases {
            assert_eq!(records(body), *expected, "{body}");
        }
    }

    #[test]
    fn ttl_without_any_statement_is_an_hour() {
        let text = String::from_utf8(contents("z.", "@ SOA ns.x. h.x. 1 2 3 4 5\n NS ns.x.").to_text()).expect("ASCII");
        assert_eq!(text.lines().next(), Some("z.\t3600\tIN\tSOA\tns.x. h.x. 1 2 3 4 5"));
    }

    #[test]
    fn octets_that_are_not_text_are_kept() {
        let mut bytes = b"\xEF\xBB\xBF".to_vec();
        bytes.extend_from_slice(HEAD.as_bytes());
        bytes.extend_from_slice(b"\xFF TXT \"\xFE\"");
        let loaded = load_bytes("z.", &bytes);
        let text = loaded.contents.map(|contents| String::from_utf8(contents.to_text()));
        assert!(matches!(&text, Some(Ok(text)) if text.contains("\\255.z.\t60\tIN\tTXT\t\"\\254\"")), "{text:?}");
    }

    #[test]
    fn one_run_reports_every_mistake() {
        let text = "@ 60 SOA ns.x. h.x. 1 2 3 4 5
   NS ns.x.
bad..name A 192.0.2.1
a A 192.0.2.256
 A 192.0.2.1 extra
 AAAA 192.0.2.1
 MX 10
 TXT \"open
 TYPE1 \\# 4 c000
 A \\# 3 c00002
 LOC 51 30 12.748 N
 FOO bar
 CH A 192.0.2.1
www.other. A 192.0.2.1
$TTL soon
$GENERATE 100-303/100 a A 192.0.2.$
$WHAT
l LUA FOO \"code\"
 LUA A
 LUA A \"a\\\"b
 ANY x
p SRV ( 1 2
 3
q )
r A ( 192.0.2.1
s CAA 0 is-sue x
t TXT \\300 x
u 99999999999 A 192.0.2.1
v 2147483648 A 192.0.2.1
";
        let expected = [
            "3:1: error: the owner `bad..name` is not a domain name: an empty label",
            "4:5: error: `192.0.2.256` is not an IPv4 address",
            "5:14: error: `extra` is one value too many for the A record",
            "6:7: error: `192.0.2.1` is not an IPv6 address",
            "7:5: error: the mail host is missing from the MX record",
            "8:6: error: the string that starts here has no closing quote on its line",
            "9:11: error: the hexadecimal digits do not have the stated length",
            "10:9: error: these octets are not the RDATA of type A",
            "11:19: error: the LOC record ends before a longitude such as `0 7 39.611 W`",
            "12:2: error: unknown record type `FOO`",
            "13:2: error: class CH is not served",
            "14:1: error: the owner www.other. is outside the zone z.",
            "15:6: error: `soon` is not a TTL",
            "16:1: error: `192.0.2.300` is not an IPv4 address (where $ is 300)",
            "17:1: error: unknown directive `$WHAT`",
            "18:7: error: unknown record type `FOO`",
            "19:6: error: the LUA record has no code",
            "20:8: error: the string that starts here has no closing quote on its line",
            "21:2: error: ANY is a query type and cannot be in a zone",
            "25:5: error: the parenthesis that opens here is never closed",
            "26:9: error: `is-sue` is not a CAA tag",
            "27:7: error: `\\\\300` has a bad escape",
            "28:3: error: the TTL `99999999999` does not fit in 32 bits",
            "29:3: warning: the TTL `2147483648` is above 2147483647 and counts as 0",
        ];
        let loaded = load_bytes("z.", text.as_bytes());
        assert!(loaded.contents.is_none());
        assert_eq!(findings(&loaded), expected);
        assert_eq!(loaded.findings[1].to_string(), "zone:4:5: error: `192.0.2.256` is not an IPv4 address; write `A 192.0.2.1`");
    }

    #[test]
    fn includes_have_their_own_origin_and_owner() {
        let main = HEAD.to_owned() + "a A 192.0.2.1\n$INCLUDE sub/one sub\n A 192.0.2.2\n$INCLUDE \"./sub/two\" ; the rest\n";
        let files = Memory::new([
            ("dir/zone", main.as_bytes()),
            ("dir/sub/one", b"b A 192.0.2.3\n$ORIGIN deeper\n$INCLUDE two".as_slice()),
            ("dir/sub/two", b"c A 192.0.2.4\n"),
        ]);
        let loaded = load(&files, Path::new("dir/zone"), name("z.").as_ref());
        let text = loaded.contents.map(|contents| String::from_utf8_lossy(&contents.to_text()).into_owned()).unwrap_or_default();
        let owners: Vec<&str> = text.lines().filter(|l| l.contains("\tA\t")).filter_map(|l| l.split('\t').next()).collect();
        assert_eq!(owners, ["a.z.", "a.z.", "c.z.", "b.sub.z.", "c.deeper.sub.z."], "{:?}", loaded.findings);
    }

    #[test]
    fn generated_records_are_bounded() {
        let cases = [
            ("$GENERATE 0-65536 a$ A 192.0.2.1", "3:11: error: the range `0-65536` makes 65537 records"),
            ("$GENERATE 3-1 a$ A 192.0.2.1", "3:11: error: `3-1` is not a range of numbers"),
            ("$GENERATE 1-3", "3:1: error: $GENERATE without a range and an owner"),
            ("$GENERATE 1-3 a$", "3:15: error: $GENERATE without a type and data"),
            ("$GENERATE 1-3 a${ A x", "3:15: error: `a${` has a placeholder that cannot be read"),
            ("$GENERATE 7-9 a$.x. A 192.0.2.1", "3:1: error: the owner a7.x. is outside the zone z. (where $ is 7)"),
            (
                "$GENERATE 1-3 a$ TXT \"\\\"$\"",
                "3:1: error: the generated data cannot be read: the string that starts here has no closing quote on its line (where $ is 1)",
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(findings(&load_bytes("z.", (HEAD.to_owned() + body).as_bytes()))[..1], [expected], "{body}");
        }
        let many = "$GENERATE 1-65536 a TXT x\n".repeat(16);
        let found = findings(&load_bytes("z.", (HEAD.to_owned() + &many).as_bytes()));
        let expected = "18:11: error: $GENERATE makes more than 1000000 records in this zone".to_owned();
        assert!(found.contains(&expected), "{:?}", found.last());
        let long = format!("$GENERATE 1-65536 a TXT {}\n", "x".repeat(2000));
        let found = findings(&load_bytes("z.", (HEAD.to_owned() + &long).as_bytes()));
        let expected = "3:11: error: $GENERATE makes more than 67108864 octets of records in this zone".to_owned();
        assert!(found.contains(&expected), "{found:?}");
    }

    #[test]
    fn bad_includes_are_reported_where_they_stand() {
        let main = HEAD.to_owned() + "$INCLUDE none\n$INCLUDE loop\n$INCLUDE\n$INCLUDE bad\n";
        let files = Memory::new([
            ("zone", main.as_bytes()),
            ("loop", b"\n$INCLUDE ./zone\n".as_slice()),
            ("bad", b"a A x\nb LUA A \"\xFF\"\n"),
        ]);
        let loaded = load(&files, Path::new("zone"), name("z.").as_ref());
        let found: Vec<String> = loaded.findings.iter().map(|f| format!("{} {}", f.at, f.message)).collect();
        let expected = [
            "zone:3:10 the included file none cannot be read: no such file",
            "zone:5:1 `$INCLUDE` has no value",
            "loop:2:10 the files include each other: zone -> loop -> zone",
            "bad:1:5 `x` is not an IPv4 address",
            "bad:2:10 the code is not UTF-8 from `\u{FFFD}` on",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn includes_end_at_a_depth() {
        let files: Vec<(String, String)> = (0..30).map(|n| (format!("f{n}"), format!("$INCLUDE f{}\n", n + 1))).collect();
        let memory = Memory::new(files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())));
        let loaded = load(&memory, Path::new("f0"), name("z.").as_ref());
        let found: Vec<String> = loaded.findings.iter().map(|f| format!("{} {}", f.at, f.message)).collect();
        assert_eq!(found, ["f16:1:10 $INCLUDE is nested more than 16 deep"]);
    }

    #[test]
    fn a_missing_file_is_one_finding() {
        let loaded = load(&Memory::new([]), Path::new("zone"), name("z.").as_ref());
        assert_eq!(findings(&loaded), ["1:1: error: the file cannot be read: no such file"]);
    }

    #[test]
    fn findings_are_bounded() {
        let loaded = load_bytes("z.", "a A x\n".repeat(5000).as_bytes());
        assert_eq!(loaded.findings.len(), MAX_FINDINGS + 1);
        let message = loaded.findings.last().map(|finding| finding.message.as_str());
        assert_eq!(message, Some("more than 1000 errors, reading stops here"));
    }

    #[test]
    fn programs_are_raw_and_know_where_they_are() {
        let contents = contents("z.", &(HEAD.to_owned() + "a 7 LUA AAAA ( \"x\\\\y\"\n  word )\n"));
        let programs: Vec<&LuaRecord> = contents.lua_records().collect();
        assert_eq!(programs.len(), 1);
        let segments: Vec<_> = programs[0].segments.iter().map(|s| (&*s.text, s.at.line, s.at.column)).collect();
        assert_eq!(segments, [("x\\\\y", 3, 17), ("word", 4, 3)]);
        assert_eq!((programs[0].rtype, programs[0].ttl.seconds(), programs[0].at.line), (RecordType::AAAA, 7, 3));
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            load_bytes("z.", &bytes);
        }

        #[test]
        fn no_text_makes_it_panic(text in "([a*.@\\\\\"();$# \n\t0-9]|A |TXT |LUA |\\$INCLUDE |\\$ORIGIN |\\$GENERATE 1-[0-9]|LOC |HTTPS |SOA |NS ){0,60}") {
            let loaded = load_bytes("z.", format!("{HEAD}{text}").as_bytes());
            if let Some(contents) = loaded.contents {
                let again = load_bytes("z.", &contents.to_text());
                prop_assert_eq!(again.contents, Some(contents), "{:?}", again.findings);
            }
        }
    }
}
