//! The parameters of SVCB and HTTPS (RFC 9460).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use domain::utils::base64;

use super::scan::Complaint;
use super::text::write_quoted;
use crate::wire::master::Token;

/// How the value of a service parameter is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    /// The keys that a client must understand.
    Keys,
    /// Protocol ids behind their lengths.
    Protocols,
    /// No value.
    Nothing,
    /// A port.
    Port,
    /// IPv4 addresses.
    V4,
    /// IPv6 addresses.
    V6,
    /// Octets in base 64.
    Base64,
    /// Octets as text.
    Text,
}

/// The keys with names (RFC 9460, section 14.3.2; RFC 9461, section 5; RFC 9540, section 4).
const KEYS: [(u16, &str, Value); 9] = [
    (MANDATORY, "mandatory", Value::Keys),
    (ALPN, "alpn", Value::Protocols),
    (NO_DEFAULT_ALPN, "no-default-alpn", Value::Nothing),
    (3, "port", Value::Port),
    (4, "ipv4hint", Value::V4),
    (5, "ech", Value::Base64),
    (6, "ipv6hint", Value::V6),
    (7, "dohpath", Value::Text),
    (8, "ohttp", Value::Nothing),
];

/// The key that lists others.
const MANDATORY: u16 = 0;
/// The key of the protocols.
const ALPN: u16 = 1;
/// The key that takes the default protocol away.
const NO_DEFAULT_ALPN: u16 = 2;
/// The last key that every name server knows by name; BIND 9.18, NSD 4.6 and ldns 1.8 refuse the
/// name of a later one and take its number.
const LAST_COMMON: u16 = 6;
/// The key that never may be used (RFC 9460, section 14.3.2).
const INVALID: u16 = 65535;

/// Reads parameters from the token `first` on (RFC 9460, section 2.1 and appendix A).
pub(super) fn read_parameters(tokens: &[Token<'_>], first: usize) -> Result<Vec<u8>, Complaint> {
    let mut parameters: BTreeMap<u16, (Vec<u8>, usize)> = BTreeMap::new();
    let mut at = first;
    while let Some(token) = tokens.get(at) {
        let complaint = |wanted: String| Complaint { wanted, token: at };
        let (key, mut value) = match token.text.split_once('=') {
            _ if token.quoted => {
                return Err(complaint("expected a parameter like alpn=h2".to_owned()));
            }
            Some((key, text)) => (key, Some(Token { text, ..*token }.octets())),
            None => (token.text, None),
        };
        let mut after = at + 1;
        // A value in quotes is a token of its own, right behind the equals sign.
        let quoted = tokens.get(after).filter(|next| next.quoted && next.glued);
        if let Some(quoted) = quoted {
            if !token.text.ends_with('=') {
                return Err(complaint("expected a value all in quotes".to_owned()));
            }
            value = Some(quoted.octets());
            after += 1;
        }
        let number = key_number(key);
        let number = number.ok_or_else(|| {
            complaint("expected a parameter key like alpn, port or key65000".to_owned())
        })?;
        let octets = match KEYS.iter().find(|(_, name, _)| *name == key) {
            Some((_, _, kind)) => read_value(*kind, value.as_deref()).map_err(complaint)?,
            // A key by number has its value as it goes over the wire.
            None => value.unwrap_or_default(),
        };
        if octets.len() > usize::from(u16::MAX) {
            return Err(complaint(
                "expected a value of at most 65535 octets".to_owned(),
            ));
        }
        if parameters.insert(number, (octets, at)).is_some() {
            return Err(complaint("expected each parameter once".to_owned()));
        }
        at = after;
    }
    check_together(&parameters)?;
    let mut octets = Vec::new();
    for (key, (value, _)) in &parameters {
        octets.extend(key.to_be_bytes());
        octets.extend((value.len() as u16).to_be_bytes());
        octets.extend(value);
    }
    Ok(octets)
}

/// Checks what parameters ask of each other.
fn check_together(parameters: &BTreeMap<u16, (Vec<u8>, usize)>) -> Result<(), Complaint> {
    if let Some((keys, token)) = parameters.get(&MANDATORY) {
        for key in keys.as_chunks::<2>().0 {
            let key = u16::from_be_bytes(*key);
            if !parameters.contains_key(&key) {
                let name = key_name(key);
                return Err(Complaint {
                    wanted: format!("expected {name} too: it is mandatory (RFC 9460, section 8)"),
                    token: *token,
                });
            }
        }
    }
    match parameters.get(&NO_DEFAULT_ALPN) {
        Some((_, token)) if !parameters.contains_key(&ALPN) => Err(Complaint {
            wanted: "expected alpn beside no-default-alpn (RFC 9460, section 7.1.1)".to_owned(),
            token: *token,
        }),
        _ => Ok(()),
    }
}

/// Returns the number of a key, by name or as `keyNNNNN`.
fn key_number(key: &str) -> Option<u16> {
    let named = KEYS.iter().find(|(_, name, _)| *name == key);
    if let Some((number, _, _)) = named {
        return Some(*number);
    }
    let digits = key.strip_prefix("key")?;
    // No sign and no leading zeros: one key has one text (RFC 9460, section 2.1).
    let number: u16 = digits.parse().ok()?;
    (number != INVALID && number.to_string() == digits).then_some(number)
}

/// Returns the text of a key that others read.
fn key_name(number: u16) -> String {
    let mut common = KEYS.iter().filter(|(known, _, _)| *known <= LAST_COMMON);
    let named = common.find(|(known, _, _)| *known == number);
    named.map_or_else(|| format!("key{number}"), |(_, name, _)| (*name).to_owned())
}

/// Reads the value of a key with a name.
fn read_value(kind: Value, value: Option<&[u8]>) -> Result<Vec<u8>, String> {
    if kind == Value::Nothing {
        return match value {
            None | Some([]) => Ok(Vec::new()),
            Some(_) => Err("expected this parameter without a value".to_owned()),
        };
    }
    let value = value.filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| "expected a value behind the key".to_owned())?;
    let text = || str::from_utf8(value).map_err(|_| "expected a value in ASCII".to_owned());
    match kind {
        Value::Keys => {
            let keys = text()?.split(',').map(key_number);
            let keys: Option<Vec<u16>> = keys.collect();
            let mut keys = keys.ok_or_else(|| "expected keys with commas between".to_owned())?;
            keys.sort_unstable();
            if keys.contains(&MANDATORY) || keys.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err("expected each key once and not \"mandatory\" itself".to_owned());
            }
            Ok(keys.into_iter().flat_map(u16::to_be_bytes).collect())
        }
        Value::Protocols => read_protocols(value),
        Value::Port => {
            let port: Result<u16, _> = text()?.parse();
            let port = port.map_err(|_| "expected a port up to 65535".to_owned())?;
            Ok(port.to_be_bytes().to_vec())
        }
        Value::V4 => {
            let addresses = text()?.split(',').map(|one| one.parse::<Ipv4Addr>());
            let addresses: Result<Vec<_>, _> = addresses.collect();
            let addresses = addresses.map_err(|_| "expected IPv4 addresses".to_owned())?;
            Ok(addresses.iter().flat_map(Ipv4Addr::octets).collect())
        }
        Value::V6 => {
            let addresses = text()?.split(',').map(|one| one.parse::<Ipv6Addr>());
            let addresses: Result<Vec<_>, _> = addresses.collect();
            let addresses = addresses.map_err(|_| "expected IPv6 addresses".to_owned())?;
            Ok(addresses.iter().flat_map(Ipv6Addr::octets).collect())
        }
        Value::Base64 => {
            base64::decode::<Vec<u8>>(text()?).map_err(|_| "expected base 64".to_owned())
        }
        Value::Text | Value::Nothing => Ok(value.to_vec()),
    }
}

/// Reads protocol ids with commas between, `\,` and `\\` inside (RFC 9460, appendix A.1).
fn read_protocols(value: &[u8]) -> Result<Vec<u8>, String> {
    let mut ids = vec![Vec::new()];
    let mut octets = value.iter();
    while let Some(octet) = octets.next() {
        let octet = match octet {
            b',' => {
                ids.push(Vec::new());
                continue;
            }
            b'\\' => match octets.next() {
                Some(escaped @ (b',' | b'\\')) => escaped,
                _ => return Err("expected a comma or a backslash behind a backslash".to_owned()),
            },
            other => other,
        };
        if let Some(id) = ids.last_mut() {
            id.push(*octet);
        }
    }
    let mut wire = Vec::with_capacity(value.len() + 1);
    for id in ids {
        if id.is_empty() || id.len() > 255 {
            return Err("expected protocol ids of 1 to 255 octets".to_owned());
        }
        wire.push(id.len() as u8);
        wire.extend(id);
    }
    Ok(wire)
}

/// Writes parameters, or returns `None` for octets that do not read back the same.
pub(super) fn write_parameters(octets: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut rest = octets;
    let mut parameters = BTreeMap::new();
    while !rest.is_empty() {
        let (head, after) = rest.split_first_chunk::<4>()?;
        let key = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (value, after) = after.split_at_checked(length)?;
        if key == INVALID {
            return None;
        }
        parameters.insert(key, (value.to_vec(), 0));
        rest = after;
        let space = if text.is_empty() { "" } else { " " };
        write!(text, "{space}{}", key_name(key)).ok()?;
        let kind = KEYS.iter().find(|(known, _, _)| *known == key);
        let written = match kind {
            Some((_, _, kind)) if key <= LAST_COMMON => write_value(*kind, value)?,
            _ => value.to_vec(),
        };
        let plain = |octet: &u8| octet.is_ascii_graphic() && !b"\"\\;()".contains(octet);
        if written.is_empty() {
            continue;
        }
        text.push('=');
        if written.iter().all(plain) {
            text.extend(written.iter().map(|octet| char::from(*octet)));
        } else {
            write_quoted(&mut text, &written);
        }
    }
    check_together(&parameters).is_ok().then_some(text)
}

/// Returns the text of a value, escaped only as lists need it.
fn write_value(kind: Value, value: &[u8]) -> Option<Vec<u8>> {
    let text = match kind {
        Value::Nothing => return value.is_empty().then(Vec::new),
        _ if value.is_empty() => return None,
        Value::Text => return Some(value.to_vec()),
        Value::Protocols => return write_protocols(value),
        Value::Keys => {
            let (keys, []) = value.as_chunks::<2>() else {
                return None;
            };
            let keys: Vec<u16> = keys.iter().map(|key| u16::from_be_bytes(*key)).collect();
            let ascending = keys.windows(2).all(|pair| pair[0] < pair[1]);
            if !ascending || keys.contains(&MANDATORY) || keys.contains(&INVALID) {
                return None;
            }
            let names: Vec<String> = keys.into_iter().map(key_name).collect();
            names.join(",")
        }
        Value::Port => u16::from_be_bytes(value.try_into().ok()?).to_string(),
        Value::V4 => {
            let (addresses, []) = value.as_chunks::<4>() else {
                return None;
            };
            let addresses = addresses.iter().map(|one| Ipv4Addr::from(*one).to_string());
            addresses.collect::<Vec<_>>().join(",")
        }
        Value::V6 => {
            let (addresses, []) = value.as_chunks::<16>() else {
                return None;
            };
            let addresses = addresses.iter().map(|one| Ipv6Addr::from(*one).to_string());
            addresses.collect::<Vec<_>>().join(",")
        }
        Value::Base64 => base64::encode_string(value),
    };
    Some(text.into_bytes())
}

/// Writes protocol ids with commas between.
fn write_protocols(value: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((length, after)) = rest.split_first() {
        let (id, after) = after.split_at_checked(usize::from(*length))?;
        if id.is_empty() {
            return None;
        }
        if !text.is_empty() {
            text.push(b',');
        }
        for octet in id {
            if matches!(octet, b',' | b'\\') {
                text.push(b'\\');
            }
            text.push(*octet);
        }
        rest = after;
    }
    Some(text)
}
