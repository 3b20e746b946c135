//! Record program text → program → answer.
//!
//! A `LUA` record's strings are put together by [`join`], [`compile`]d at load into a [`Program`], whose calls of constant
//! structure (**pieces**) are settled under the statuses of their checks whenever one of them changes
//! ([`Program::settle`]). A query asks a [`Runner`] for the answer. Two tiers, one meaning:
//!
//! | tier | what lands there | what a query pays |
//! | --- | --- | --- |
//! | [`Tier::Plan`] | expressions; `local`, `if`, `return`, operators, calls, read-only methods and tables | one call of constants: a hash or a random number and an index, no allocation; else native evaluation of the tree |
//! | [`Tier::Script`] | the rest of Lua: loops, functions, most of Lua's own library, tables that change, `include` | Luau, under limits of steps, time and memory |
//!
//! Both ask the same pieces and natives, so a function means one thing; a property test compares them over random
//! programs. [`Program::why_script`] says what made a program a script. In both, calls with constant arguments are known at
//! load: their checks are probed before the first query, and what is wrong with them is reported then. What constants come to
//! is bounded, however short their text is: what is beyond is evaluated by runs, and means the same.
//!
//! What is wrong with a program that is one expression, and sure to be evaluated, is an **error**: the record answers
//! SERVFAIL, a reload that would bring it is refused. Within statements, behind `and`, `or` or `if`, it is a **warning**, and
//! the call fails when it is reached, as in PowerDNS. All findings of a program are reported at once, with their places.
//!
//! Why an own parser and not `full_moon`: every finding needs an offset that maps back to the zone file; the parser must
//! bound its own recursion, because the text comes from zone transfers too and a stack overflow cannot be caught; and the
//! tree is small enough to lower, survey and print. Where the Lua dialects differ (string escapes), LuaJIT is followed:
//! PowerDNS is built with it.
//!
//! Behaviour that looks arbitrary is PowerDNS's and is pinned by tests (`tests/scenarios/lua`): the spaces of [`join`], the
//! order in which weighted lists are walked, the hash, lenient addresses.
//!
//! # What differs from PowerDNS 5.1
//!
//! | what | PowerDNS | here |
//! | --- | --- | --- |
//! | mistakes in a program | SERVFAIL at the query that meets them | found at load, with line and column inside the program |
//! | `enable-lua-records`, `ENABLE-LUA-RECORDS` | programs are off until enabled | programs always run; `[lua] state` is `fresh` or `shared` |
//! | first probe | at the first query, which is answered by `backupSelector` | at load; the ports open when all targets have a result |
//! | probes of standby groups | none while the first group is up | as for the others |
//! | identity of a check | address, URL and all options, `selector` too | what is sent and expected; thresholds and selectors are each program's own |
//! | a target that was never up | up for its first `minimumFailures` - 1 failures | not up; one result decides |
//! | our own trouble (descriptors, routes) | a failure | no result: the last verdict is held |
//! | a down target that times out | asked every second interval | asked every interval |
//! | `interval` below the global one | without effect | honoured |
//! | `timeout=0.5` | 0 | half a second |
//! | `failOnIncompleteCheck` | pending only for the query that begins the check | pending as long as nothing is known of any address |
//! | URL checks: IPv6 literals, `?` after the host, ports | broken or not pinned | pinned, whatever the URL; redirects elsewhere are resolved and not pinned |
//! | `pickselfweighted`, none up or nothing known | SERVFAIL | one at random, as documented |
//! | drained or forced-down targets | unknown to it | never in a `backupSelector`'s answer |
//! | lists with keys other than 1 to n | Lua's `next` order | by rising key, with a warning |
//! | several records of a type at a name | each keeps its TTL | one RRset, the lowest TTL (RFC 2181 5.2) |
//! | identical records, CNAME beside others | as here | merged; a non-empty CNAME answers, an empty one lets the others |
//! | CNAME chains | SERVFAIL behind the tenth | the chain so far behind the sixteenth, or where it closes |
//! | ANY | all types | one RRset (RFC 8482); all with `[server] any = "full"` |
//! | client subnet scope | the source prefix | the largest network with the same answer; the source prefix where the whole address was hashed or read |
//! | an answer to which the record's type is wrong | SERVFAIL | the same, and an error at load where it is known then |
//! | presigned zones | the code is served | the code is never served to a query |
//! | `dblookup`, `include` | under global locks | read the snapshot that answers |
//! | `include` of statements | from records of any target type | from records of type LUA; others are run as the programs that they are |
//! | `resolve` | blocks the worker | from a cache that is refreshed in the background; not there yet: SERVFAIL |
//! | files, processes, modules, `debug`, `jit`, `ffi` | there | absent: see the table of `script::library` for what else of Lua 5.1 differs |
//! | limits | `lua-records-exec-limit` | `step_limit` for both tiers, in which natives pay for long texts and lists; for scripts `time_limit` and `memory_limit`; a text of 65,536 octets, an answer of 4096 values; a program that meets them ten times in a second for one network of senders (/24, /56), or fifty times for all, rests for the next |
//!
//! # What leeward adds
//!
//! Opt-in; PowerDNS ignores the options, and has none of the functions.
//!
//! | what | example |
//! | --- | --- |
//! | weights among what is up | `ifportup(443, {{80, '192.0.2.1'}, {20, '192.0.2.2'}}, {selector='wrandom'})`; also `whashed`, `namehashed` |
//! | consistent choice among what is up: only the clients of a dead member move | `ifportup(443, {'192.0.2.1', '192.0.2.2'}, {selector='chashed'})` |
//! | the first that is up | `ifportup(443, {'192.0.2.1', '192.0.2.2'}, {selector='first'})` |
//! | the nearest N | `{selector='pickclosest:3'}`, `pickclosest(list, {count=3})` |
//! | great circles | `pickclosest(list, {distance='sphere'})` |
//! | unknown places are far, not at 0°, 0° | `pickclosest(list, {unknown='far'})` |
//! | places by hand | `{address='192.0.2.1', lat=52.5, lon=13.4}`, with `weight=10` where wanted |
//! | rise beside fall | `{minimumSuccesses=2}` |
//! | failures that count until so many passes in a row, and not only in a row | `{minimumFailures=10, forgetAfter=10}` |
//! | a surprise is asked about again at once | `{minimumFailures=3, retryInterval=1}` |
//! | flap damping | `{damped='true'}` |
//! | half of its weight for a slow target | `{slow=0.5}` |
//! | fractions of a second | `{timeout=0.5, interval=2.5}` |
//! | checked certificates | `{tlsVerify='true'}` |
//! | other requests | `{method='POST', body='a=b', headers={Content_Type='text/plain'}}` |
//! | patterns | `{regexmatch='^ok [0-9]+'}` |
//! | an rcode | `;if country('XX') then return nxdomain() end return '192.0.2.1'`; `rcode('REFUSED')` |
//! | a TTL | `ttl(10, ifportup(443, {'192.0.2.1'}))` |
//! | a pool of the configuration, for A, AAAA, CNAME, SRV, SVCB and HTTPS | `pool('web')` |
//!
//! Never here: a clock (but for the time limit of scripts), a source of randomness, I/O, zones and record data. Answers are
//! presentation-format strings; what they mean for the record's target type is the caller's.

mod address;
mod body;
mod choice;
mod compile;
mod dynamic;
mod facts;
mod failure;
mod finding;
pub mod geography;
mod hash;
mod lexer;
mod lower;
mod lua;
mod luau;
mod meter;
mod native;
mod number;
pub mod object;
mod order;
mod parser;
mod plan;
mod reply;
mod runner;
mod script;
mod settle;
mod source;
mod syntax;
pub mod synthesis;
mod value;
mod variables;
mod world;

pub use body::Visit;
pub use choice::{Choice, Closest, Contender, Draw, FailReason, Metric};
pub use compile::{Atlas, Compiled, Defaults, compile, compile_for, compile_snippet};
pub use facts::{Facts, Reach};
pub use failure::{Failure, Limit};
pub use finding::{Finding, Severity};
pub use hash::{hash, hash_client, hash_name};
pub use lower::Settings;
pub use object::Object;
pub use plan::{Depends, Function, Program, Selector, Steer, Tier};
pub use reply::Reply;
pub use runner::{Answer, Records, Runner, Said};
pub use script::Limits;
pub use settle::{Consulted, Settled, Step, Stood, Under};
pub use source::{Source, join};
pub use value::{Argument, Entry, Misuse, Place, Value, arguments};
pub use world::{Resolved, Sight, Snippet, World};

/// What names that only leeward makes begin with.
const RESERVED: &str = "_leeward";
/// Longest program, in octets. The longest records in use are a few kilobytes.
pub const CODE_MAX: usize = 64 * 1024;
/// Deepest nesting of tables, calls and parentheses. Real records need five; the parser and everything that walks its
/// tree recurse, and this is what bounds their stack.
pub const NESTING_MAX: usize = 64;
/// Most members of one list.
pub const LIST_MAX: usize = 4096;
/// Most distinct members of one program: they are numbered in 16 bits.
pub const MEMBERS_MAX: usize = u16::MAX as usize;

#[cfg(test)]
mod tiers;
