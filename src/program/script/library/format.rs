//! `string.format`: what is text is put in here, each number by Luau's own, which is C's.

use mlua::{Function, LuaString, Value};

use super::arguments::{Call, Fault};

/// `string.format` over Luau's of that name; nothing where the prelude has first to ask the metatable of an argument.
pub(super) fn format(call: &Call<'_>, luau: &Function) -> Result<Option<Value>, Fault> {
    if (1..call.count()).any(|index| matches!(call.value(index), Value::Table(_) | Value::UserData(_))) {
        return Ok(None);
    }
    let template = call.text(0)?;
    let (mut rest, mut result, mut index) = (&*template, Vec::new(), 0);
    while let Some(at) = rest.iter().position(|octet| *octet == b'%') {
        result.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(b"%") {
            result.push(b'%');
            rest = after;
            continue;
        }
        let item = Item::read(rest)?;
        index += 1;
        if index >= call.count() {
            return Err(call.expected(index, item.wanted()));
        }
        rest = &rest[item.len()..];
        let before = result.len();
        item.write(call, index, luau, &mut result)?;
        call.meter().charge_octets(result.len() - before)?;
        call.meter().check_string(result.len())?;
    }
    result.extend_from_slice(rest);
    Ok(Some(call.string(&result)?))
}

/// A conversion: flags, width, precision, letter.
struct Item<'a> {
    options: &'a [u8],
    letter: u8,
}

impl<'a> Item<'a> {
    /// Reads what stands after a `%`.
    fn read(text: &'a [u8]) -> Result<Self, Fault> {
        let digits = |from: usize| from + text[from..].iter().take(2).take_while(|octet| octet.is_ascii_digit()).count();
        let flags = text.iter().take_while(|octet| b"-+ #0".contains(octet)).count();
        let width = digits(flags);
        let end = if text.get(width) == Some(&b'.') { digits(width + 1) } else { width };
        match text.get(end) {
            Some(letter) if flags <= 5 && b"cdiouxXeEfgGqs".contains(letter) => {
                Ok(Self { options: &text[..end], letter: *letter })
            }
            Some(digit) if digit.is_ascii_digit() || flags > 5 => {
                Err(Fault::Other("invalid format (width or precision too long)".into()))
            }
            _ => {
                let shown = String::from_utf8_lossy(&text[..text.len().min(end + 1)]).into_owned();
                Err(Fault::Other(format!("invalid option '%{shown}' to 'format'")))
            }
        }
    }

    fn len(&self) -> usize {
        self.options.len() + 1
    }

    fn wanted(&self) -> &'static str {
        if matches!(self.letter, b's' | b'q') { "string" } else { "number" }
    }

    fn write(&self, call: &Call<'_>, index: usize, luau: &Function, result: &mut Vec<u8>) -> Result<(), Fault> {
        match self.letter {
            b's' => match call.value(index) {
                value @ (Value::Nil | Value::Boolean(_)) => self.pad(value.to_string()?.as_bytes(), result),
                _ => self.pad(&call.text(index)?, result),
            },
            b'q' => quote(&call.text(index)?, result),
            b'c' => self.pad(&[call.integer(index)? as u8], result),
            letter => {
                let spec = [b"%", self.options, &[letter]].concat();
                let text: LuaString = luau.call((call.lua.create_string(spec)?, call.number(index)?))?;
                result.extend_from_slice(&text.as_bytes());
            }
        }
        Ok(())
    }

    fn pad(&self, text: &[u8], result: &mut Vec<u8>) {
        let options = String::from_utf8_lossy(self.options);
        let left = options.contains('-');
        let (width, precision) = match options.split_once('.') {
            Some((width, precision)) => (width, Some(precision.parse().unwrap_or(0))),
            None => (&*options, None),
        };
        let width: usize = width.trim_start_matches(['-', '+', ' ', '#', '0']).parse().unwrap_or(0);
        let text = &text[..precision.unwrap_or(text.len()).min(text.len())];
        let blanks = std::iter::repeat_n(b' ', width.saturating_sub(text.len()));
        if left {
            result.extend_from_slice(text);
            result.extend(blanks);
        } else {
            result.extend(blanks);
            result.extend_from_slice(text);
        }
    }
}

/// `text` as a Lua literal, as LuaJIT writes it.
fn quote(text: &[u8], result: &mut Vec<u8>) {
    result.push(b'"');
    for (at, &octet) in text.iter().enumerate() {
        match octet {
            b'"' | b'\\' | b'\n' => result.extend([b'\\', octet]),
            octet if octet.is_ascii_control() => {
                let long = text.get(at + 1).is_some_and(u8::is_ascii_digit);
                result.push(b'\\');
                result.extend([octet / 100, octet / 10 % 10, octet % 10].iter().enumerate().filter_map(|(place, digit)| {
                    let shown = long || place == 2 || octet >= [100, 10][place];
                    shown.then_some(b'0' + digit)
                }));
            }
            octet => result.push(octet),
        }
    }
    result.push(b'"');
}
