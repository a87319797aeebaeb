//! Data as master files write it.

use std::fmt::Write;

use domain::utils::{base32, base64};

use super::scan::{Complaint, read_fields};
use super::{Rdata, RdataError, service};
use crate::wire::master::{Entries, Token, parse_ttl};
use crate::wire::{Name, Rtype};

/// A field of a record's data as it is written.
#[derive(Clone, Copy)]
enum Part {
    /// A number of so many octets.
    Number(usize),
    /// An IPv4 address.
    V4,
    /// An IPv6 address.
    V6,
    /// A name.
    Name,
    /// One string in quotes.
    String,
    /// One or more strings in quotes.
    Strings,
    /// A CAA tag: letters and digits (RFC 8659, section 4.1).
    Tag,
    /// Whatever is left, as one text in quotes.
    Text,
    /// Whatever is left, in hexadecimal digits.
    Hex,
    /// Whatever is left, in base 64.
    Base64,
    /// A record type.
    Type,
    /// A moment as RRSIG writes it (RFC 4034, section 3.2).
    Time,
    /// Salt behind its length, `-` for none (RFC 5155, section 3.3).
    Salt,
    /// A hashed owner name behind its length (RFC 5155, section 3.3).
    Hash,
    /// The types of a bitmap (RFC 4034, section 4.2).
    Types,
    /// Service parameters (RFC 9460, section 2.1).
    Parameters,
}

/// Returns the fields of a type with a text form, and the words that tell an operator of them.
fn layout(rtype: Rtype) -> Option<(&'static [Part], &'static str)> {
    use Part::*;
    Some(match rtype {
        Rtype::A => (&[V4], "an IPv4 address"),
        Rtype::AAAA => (&[V6], "an IPv6 address"),
        Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::DNAME => (&[Name], "a name"),
        Rtype::MD | Rtype::MF | Rtype::MB | Rtype::MG | Rtype::MR => (&[Name], "a name"),
        Rtype::SOA => (
            &[
                Name,
                Name,
                Number(4),
                Number(4),
                Number(4),
                Number(4),
                Number(4),
            ],
            "primary, mailbox, serial, refresh, retry, expire, minimum",
        ),
        Rtype::RP => (&[Name, Name], "mailbox and the name of a TXT record"),
        Rtype::MINFO => (&[Name, Name], "two mailboxes"),
        Rtype::MX => (&[Number(2), Name], "preference and host"),
        Rtype::AFSDB | Rtype::RT | Rtype::KX => (&[Number(2), Name], "a number and a host"),
        Rtype::SRV => (
            &[Number(2), Number(2), Number(2), Name],
            "priority, weight, port, host",
        ),
        Rtype::NAPTR => (
            &[Number(2), Number(2), String, String, String, Name],
            "order, preference, flags, services, regular expression, replacement",
        ),
        Rtype::HINFO => (&[String, String], "processor and system"),
        Rtype::TXT | Rtype::SPF => (&[Strings], "strings of at most 255 octets each"),
        Rtype::CAA => (&[Number(1), Tag, Text], "flags, tag, value"),
        Rtype::URI => (
            &[Number(2), Number(2), Text],
            "priority, weight, \"target\"",
        ),
        Rtype::SVCB | Rtype::HTTPS => (
            &[Number(2), Name, Parameters],
            "priority, target, parameters like alpn=h2",
        ),
        Rtype::DS | Rtype::CDS => (
            &[Number(2), Number(1), Number(1), Hex],
            "key tag, algorithm, digest type, digest",
        ),
        Rtype::DNSKEY | Rtype::CDNSKEY => (
            &[Number(2), Number(1), Number(1), Base64],
            "flags, protocol, algorithm, key",
        ),
        Rtype::TLSA | Rtype::SMIMEA => (
            &[Number(1), Number(1), Number(1), Hex],
            "usage, selector, matching type, association",
        ),
        Rtype::SSHFP => (
            &[Number(1), Number(1), Hex],
            "algorithm, fingerprint type, fingerprint",
        ),
        Rtype::OPENPGPKEY => (&[Base64], "a key"),
        Rtype::ZONEMD => (
            &[Number(4), Number(1), Number(1), Hex],
            "serial, scheme, algorithm, digest",
        ),
        Rtype::RRSIG => (
            &[
                Type,
                Number(1),
                Number(1),
                Number(4),
                Time,
                Time,
                Number(2),
                Name,
                Base64,
            ],
            "type, algorithm, labels, TTL, expiration, inception, key tag, signer, signature",
        ),
        Rtype::NSEC => (&[Name, Types], "next name and types"),
        Rtype::NSEC3 => (
            &[Number(1), Number(1), Number(2), Salt, Hash, Types],
            "algorithm, flags, iterations, salt, next hash, types",
        ),
        Rtype::NSEC3PARAM => (
            &[Number(1), Number(1), Number(2), Salt],
            "algorithm, flags, iterations, salt",
        ),
        _ => return None,
    })
}

impl Rdata {
    /// Parses data as a master file has it behind the type; relative names are put under `origin`.
    ///
    /// `\# length hex` is read for every type (RFC 3597, section 5). A text of several lines needs
    /// parentheses, as in a file.
    ///
    /// # Errors
    ///
    /// Says which fields the type has and what was found.
    pub fn parse_text(rtype: Rtype, text: &str, origin: &Name) -> Result<Self, RdataError> {
        let bad = |complaint: String, found: String| bad_text(rtype, complaint, found);
        let mut entries = Entries::new(text);
        let entry = match entries.next() {
            Some(Ok(entry)) => entry,
            Some(Err(fault)) => return Err(bad(fault.reason, format!("{text:?}"))),
            None => return Err(bad("expected data".to_owned(), "an empty text".to_owned())),
        };
        if entries.next().is_some() {
            return Err(bad(
                "expected one record's data on one line".to_owned(),
                format!("{text:?}"),
            ));
        }
        Self::read_tokens(rtype, &entry.tokens, origin).map_err(|(error, _)| error)
    }

    /// Reads the tokens behind a type.
    ///
    /// # Errors
    ///
    /// Returns with the error the index of the token at fault; past the last one when the data
    /// ends too soon.
    pub(in crate::wire) fn read_tokens(
        rtype: Rtype,
        tokens: &[Token<'_>],
        origin: &Name,
    ) -> Result<Self, (RdataError, usize)> {
        let octets = if tokens.first().is_some_and(|token| token.is_word("\\#")) {
            read_generic(tokens)
        } else {
            read_known(rtype, tokens, origin)
        };
        let octets = octets.map_err(|complaint| {
            let found = match tokens.get(complaint.token) {
                Some(token) => format!("{:?}", shortened(token.text)),
                None => "the end of the record".to_owned(),
            };
            (bad_text(rtype, complaint.wanted, found), complaint.token)
        })?;
        Self::from_wire(rtype, &octets).map_err(|error| (error, 0))
    }

    /// Returns the text form, with absolute names.
    ///
    /// Data without a text form of its own is written as RFC 3597, section 5 says.
    pub fn to_text(&self, rtype: Rtype) -> String {
        let known = layout(rtype).and_then(|(parts, _)| write_parts(parts, self.as_wire()));
        known.unwrap_or_else(|| {
            let octets = self.as_wire();
            let mut text = format!("\\# {}", octets.len());
            if !octets.is_empty() {
                text.push(' ');
                write_hex(&mut text, octets);
            }
            text
        })
    }
}

/// Makes the error of a text that is no data of its type.
fn bad_text(rtype: Rtype, wanted: String, found: String) -> RdataError {
    let layout = match layout(rtype) {
        Some((_, words)) => words,
        None => "\\#, the number of octets, and the octets in hexadecimal (RFC 3597, section 5)",
    };
    RdataError::BadText {
        rtype,
        wanted,
        found,
        layout,
    }
}

/// Returns a text short enough for a message.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain("…".chars()).collect()
}

/// Reads `\# length hex` (RFC 3597, section 5).
fn read_generic(tokens: &[Token<'_>]) -> Result<Vec<u8>, Complaint> {
    let complaint = |wanted: &str, token| Complaint {
        wanted: wanted.to_owned(),
        token,
    };
    let length = tokens
        .get(1)
        .and_then(|token| token.text.parse::<u16>().ok());
    let length = length.ok_or_else(|| complaint("expected a number of octets up to 65535", 1))?;
    let mut octets = Vec::with_capacity(usize::from(length));
    let mut high = None;
    for (index, token) in tokens.iter().enumerate().skip(2) {
        for digit in token.text.chars() {
            let digit = digit.to_digit(16).map(|digit| digit as u8);
            let digit = digit.ok_or_else(|| complaint("expected hexadecimal digits", index))?;
            match high.take() {
                None => high = Some(digit),
                Some(high) => octets.push(high << 4 | digit),
            }
        }
    }
    if high.is_some() || octets.len() != usize::from(length) {
        let wanted = format!("expected {} hexadecimal digits", usize::from(length) * 2);
        return Err(complaint(&wanted, 2));
    }
    Ok(octets)
}

/// Reads the fields of a type with a text form.
fn read_known(rtype: Rtype, tokens: &[Token<'_>], origin: &Name) -> Result<Vec<u8>, Complaint> {
    // Types that the library lacks but that have the fields of one it knows.
    let like = match rtype {
        Rtype::SPF => Rtype::TXT,
        Rtype::SMIMEA => Rtype::TLSA,
        Rtype::AFSDB | Rtype::RT | Rtype::KX => Rtype::MX,
        // Its parameters are read here: the library (0.12.3) knows no keys with "z" or "9", and
        // neither key order nor `mandatory` is checked for all of them.
        Rtype::SVCB | Rtype::HTTPS => {
            let head = &tokens[..tokens.len().min(2)];
            let mut octets = read_fields(Rtype::MX, head, origin)?;
            octets.extend(service::read_parameters(tokens, 2)?);
            return Ok(octets);
        }
        Rtype::URI => {
            return read_uri(tokens);
        }
        Rtype::SOA => {
            // The four spans behind the serial are written like TTLs, `1h30m`.
            let span = |(index, token): (usize, &Token<'_>)| {
                let ttl = (index > 2).then(|| parse_ttl(token.text)).flatten();
                ttl.map(|ttl| ttl.to_string())
            };
            let spans: Vec<Option<String>> = tokens.iter().enumerate().map(span).collect();
            let plain = tokens.iter().zip(&spans).map(|(token, span)| Token {
                text: span.as_deref().unwrap_or(token.text),
                ..*token
            });
            return read_fields(rtype, &plain.collect::<Vec<_>>(), origin);
        }
        other if layout(other).is_some() => other,
        _ => {
            return Err(Complaint {
                wanted: format!(
                    "expected \\# and octets, the only text form of {rtype} known here"
                ),
                token: 0,
            });
        }
    };
    read_fields(like, tokens, origin)
}

/// Reads URI data (RFC 7553, section 4.5).
fn read_uri(tokens: &[Token<'_>]) -> Result<Vec<u8>, Complaint> {
    let mut octets = Vec::new();
    for at in 0..2 {
        let number = tokens
            .get(at)
            .and_then(|token| token.text.parse::<u16>().ok());
        let number = number.ok_or_else(|| Complaint {
            wanted: "expected a number up to 65535".to_owned(),
            token: at,
        })?;
        octets.extend(number.to_be_bytes());
    }
    match tokens.get(2).map(Token::octets) {
        Some(target) if !target.is_empty() => octets.extend(target),
        _ => {
            return Err(Complaint {
                wanted: "expected a target".to_owned(),
                token: 2,
            });
        }
    }
    if tokens.len() > 3 {
        return Err(Complaint {
            wanted: "expected the end of the record".to_owned(),
            token: 3,
        });
    }
    Ok(octets)
}

/// Writes fields, or returns `None` for octets that have no text in this form.
fn write_parts(parts: &[Part], octets: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut rest = octets;
    for part in parts {
        if !text.is_empty() && !text.ends_with(' ') {
            text.push(' ');
        }
        rest = write_part(*part, rest, &mut text)?;
    }
    text.truncate(text.trim_end_matches(' ').len());
    rest.is_empty().then_some(text)
}

/// Writes one field and returns what follows it.
fn write_part<'o>(part: Part, octets: &'o [u8], text: &mut String) -> Option<&'o [u8]> {
    const END: &[u8] = &[];
    match part {
        Part::Number(length) => {
            let (number, rest) = octets.split_at_checked(length)?;
            let number = number
                .iter()
                .fold(0_u64, |value, octet| value << 8 | u64::from(*octet));
            write!(text, "{number}").ok()?;
            Some(rest)
        }
        Part::V4 => {
            let (address, rest) = octets.split_first_chunk::<4>()?;
            write!(text, "{}", std::net::Ipv4Addr::from(*address)).ok()?;
            Some(rest)
        }
        Part::V6 => {
            let (address, rest) = octets.split_first_chunk::<16>()?;
            write!(text, "{}", std::net::Ipv6Addr::from(*address)).ok()?;
            Some(rest)
        }
        Part::Name => {
            let (name, rest) = Name::split_from(octets).ok()?;
            write!(text, "{name}").ok()?;
            Some(rest)
        }
        Part::String => {
            let (string, rest) = split_string(octets)?;
            write_quoted(text, string);
            Some(rest)
        }
        Part::Strings => {
            let (string, mut rest) = split_string(octets)?;
            write_quoted(text, string);
            while !rest.is_empty() {
                let (string, after) = split_string(rest)?;
                text.push(' ');
                write_quoted(text, string);
                rest = after;
            }
            Some(rest)
        }
        Part::Tag => {
            let (tag, rest) = split_string(octets)?;
            let is_tag = !tag.is_empty() && tag.iter().all(u8::is_ascii_alphanumeric);
            text.push_str(str::from_utf8(tag).ok().filter(|_| is_tag)?);
            Some(rest)
        }
        Part::Text => {
            write_quoted(text, octets);
            Some(END)
        }
        Part::Hex => {
            write_hex(text, octets);
            (!octets.is_empty()).then_some(END)
        }
        Part::Base64 => {
            base64::display(octets, text).ok()?;
            (!octets.is_empty()).then_some(END)
        }
        Part::Type => {
            let (code, rest) = octets.split_first_chunk::<2>()?;
            write!(text, "{}", Rtype::new(u16::from_be_bytes(*code))).ok()?;
            Some(rest)
        }
        Part::Time => {
            let (seconds, rest) = octets.split_first_chunk::<4>()?;
            write_time(text, u32::from_be_bytes(*seconds))?;
            Some(rest)
        }
        Part::Salt => {
            let (salt, rest) = split_string(octets)?;
            match salt {
                [] => text.push('-'),
                _ => write_hex(text, salt),
            }
            Some(rest)
        }
        Part::Hash => {
            let (hash, rest) = split_string(octets)?;
            base32::display_hex(hash, text).ok()?;
            (!hash.is_empty()).then_some(rest)
        }
        Part::Types => {
            for (index, rtype) in bitmap_types(octets)?.into_iter().enumerate() {
                let space = if index > 0 { " " } else { "" };
                write!(text, "{space}{rtype}").ok()?;
            }
            Some(END)
        }
        Part::Parameters => {
            text.push_str(&service::write_parameters(octets)?);
            Some(END)
        }
    }
}

/// Splits off one string with its length octet.
fn split_string(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// Writes octets in hexadecimal digits.
fn write_hex(text: &mut String, octets: &[u8]) {
    for octet in octets {
        text.push(char::from(b"0123456789abcdef"[usize::from(octet >> 4)]));
        text.push(char::from(b"0123456789abcdef"[usize::from(octet & 15)]));
    }
}

/// Writes octets in quotes.
pub(super) fn write_quoted(text: &mut String, octets: &[u8]) {
    text.push('"');
    for octet in octets {
        match octet {
            b'"' | b'\\' => text.extend(['\\', char::from(*octet)]),
            b' '..=b'~' => text.push(char::from(*octet)),
            other => text.push_str(&format!("\\{other:03}")),
        }
    }
    text.push('"');
}

/// Writes a moment as `YYYYMMDDHHmmSS`.
fn write_time(text: &mut String, seconds: u32) -> Option<()> {
    let time = time::OffsetDateTime::from_unix_timestamp(i64::from(seconds)).ok()?;
    write!(
        text,
        "{:04}{:02}{:02}{:02}{:02}{:02}",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
    .ok()
}

/// Returns the types of a bitmap, if it is written as RFC 4034, section 4.1.2 has it.
fn bitmap_types(octets: &[u8]) -> Option<Vec<Rtype>> {
    let mut types = Vec::new();
    let mut rest = octets;
    let mut last = None;
    while let Some((window, after)) = rest.split_first() {
        let (bits, after) = split_string(after)?;
        let ascending = last.is_none_or(|last| last < *window);
        if !ascending || bits.len() > 32 || bits.last().is_none_or(|octet| *octet == 0) {
            return None;
        }
        last = Some(*window);
        for low in 0..bits.len() * 8 {
            if bits[low / 8] & (0x80 >> (low % 8)) != 0 {
                types.push(Rtype::new(u16::from(*window) << 8 | low as u16));
            }
        }
        rest = after;
    }
    Some(types)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// Reads data under `burner.example`.
    fn parse(rtype: Rtype, text: &str) -> Result<Rdata, String> {
        let origin = Name::parse("burner.example").unwrap();
        Rdata::parse_text(rtype, text, &origin).map_err(|error| error.to_string())
    }

    #[test]
    fn data_is_written_as_others_read_it() {
        for (rtype, text, written) in [
            (Rtype::MX, "10 MX1", "10 mx1.burner.example."),
            (Rtype::MX, "0 .", "0 ."),
            (Rtype::TXT, "v=spf1 -all", "\"v=spf1\" \"-all\""),
            (
                Rtype::TXT,
                "( \"a;\\\"b\"\n \"\" \"\\009\\;\\065\" )",
                "\"a;\\\"b\" \"\" \"\\009;A\"",
            ),
            (Rtype::TXT, "\"grüße\"", "\"gr\\195\\188\\195\\159e\""),
            (
                Rtype::SOA,
                "ns1 hostmaster\\.x 1 1h 15M 2w 900",
                "ns1.burner.example. hostmaster\\.x.burner.example. 1 3600 900 1209600 900",
            ),
            (Rtype::CAA, "0 issue \";\"", "0 issue \";\""),
            (
                Rtype::CAA,
                "0 issue letsencrypt.org",
                "0 issue \"letsencrypt.org\"",
            ),
            (Rtype::TLSA, "3 1 1 ( AB cd\n ef )", "3 1 1 abcdef"),
            (Rtype::SMIMEA, "3 1 1 abcd", "3 1 1 abcd"),
            (Rtype::SRV, "0 5 443 web.other.", "0 5 443 web.other."),
            (
                Rtype::NAPTR,
                "100 10 u E2U+sip \"!^.*$!sip:a@b!\" .",
                "100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
            ),
            (
                Rtype::URI,
                "10 1 \"ftp://a.example/x\"",
                "10 1 \"ftp://a.example/x\"",
            ),
            (Rtype::SSHFP, "4 2 0102", "4 2 0102"),
            (Rtype::RP, "host.master .", "host.master.burner.example. ."),
            (Rtype::CDS, "0 0 0 00", "0 0 0 00"),
            (Rtype::CDNSKEY, "0 3 0 AA==", "0 3 0 AA=="),
            (Rtype::AAAA, "2001:DB8::1", "2001:db8::1"),
            (Rtype::A, "\\# 4 c0000201", "192.0.2.1"),
            (Rtype::LOC, "\\# 2 ( ab CD )", "\\# 2 abcd"),
            (Rtype::new(65400), "\\# 0", "\\# 0"),
            (
                Rtype::RRSIG,
                "A 13 2 3600 20261124000000 1795478400 7 burner.example. AAAA",
                "A 13 2 3600 20261124000000 20261124000000 7 burner.example. AAAA",
            ),
            (
                Rtype::NSEC,
                "a A TYPE65400 RRSIG",
                "a.burner.example. A RRSIG TYPE65400",
            ),
            (
                Rtype::HTTPS,
                "1 . port=8443 alpn=\"h2,h3\" ipv4hint=192.0.2.1,192.0.2.2 mandatory=port,alpn",
                "1 . mandatory=alpn,port alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.2",
            ),
            (Rtype::HTTPS, "0 www", "0 www.burner.example."),
            (
                Rtype::SVCB,
                "1 x. alpn=h2 no-default-alpn ipv6hint=2001:db8::1 ech=\"AAEC\" key667=\"a \\\\b\" key9=z",
                "1 x. alpn=h2 no-default-alpn ech=AAEC ipv6hint=2001:db8::1 key9=z key667=\"a \\\\b\"",
            ),
            // RFC 9460, appendix D.2, figure 10: escaped in the list and in the string.
            (
                Rtype::SVCB,
                "16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"",
                "16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"",
            ),
        ] {
            let rdata =
                parse(rtype, text).unwrap_or_else(|error| panic!("{rtype} {text}: {error}"));

            assert_eq!(rdata.to_text(rtype), written, "{rtype} {text}");
            assert_eq!(parse(rtype, written), Ok(rdata), "{rtype} {written}");
        }
    }

    #[test]
    fn a_wrong_field_is_named_with_what_was_wanted() {
        let long = "x".repeat(256);
        for (rtype, text, words) in [
            (
                Rtype::MX,
                "mx1 10",
                "found \"mx1\" (MX data: preference and host)",
            ),
            (Rtype::MX, "10", "expected another field, found the end"),
            (
                Rtype::MX,
                "10 mx1 x",
                "expected the end of the record, found \"x\"",
            ),
            (Rtype::MX, "10 a..b", "empty label"),
            (Rtype::MX, "10 bücher", "xn--bcher-kva"),
            (Rtype::A, "192.0.2.256", "192.0.2.256"),
            (Rtype::TXT, long.as_str(), "at most 255 octets"),
            (Rtype::TXT, "", "expected data, found an empty text"),
            (Rtype::TXT, "a\nb", "on one line"),
            (Rtype::LOC, "52 N 4 E 0m", "expected \\#"),
            (
                Rtype::new(65400),
                "\\# 3 abcd",
                "expected 6 hexadecimal digits",
            ),
            (Rtype::A, "\\# 3 010203", "A record"),
            (Rtype::SVCB, "1 . alpn=h2 alpn=h3", "each parameter once"),
            (Rtype::SVCB, "1 . mandatory=port", "expected port too"),
            (Rtype::SVCB, "1 . no-default-alpn", "expected alpn beside"),
            (Rtype::SVCB, "1 . port", "expected a value"),
            (Rtype::SVCB, "1 . key03=x", "parameter key"),
            (Rtype::SVCB, "1 . ipv4hint=2001:db8::1", "IPv4"),
            (Rtype::CAA, "0 is-sue x", "is-sue"),
        ] {
            let error = parse(rtype, text).expect_err(text);

            assert!(error.contains(words), "{rtype} {text}: {error}");
        }
    }

    #[test]
    fn every_type_can_stand_in_a_bitmap() {
        for code in 1..=u16::MAX {
            let rtype = Rtype::new(code);
            let text = format!("burner.example. {rtype}");

            let nsec = parse(Rtype::NSEC, &text).unwrap();
            assert_eq!(nsec.to_text(Rtype::NSEC), text);
        }
    }

    /// Octets of one field, well formed.
    fn part_octets(part: Part) -> BoxedStrategy<Vec<u8>> {
        let string = |text: Vec<u8>| [&[text.len() as u8], &text[..]].concat();
        let any_string = vec(any::<u8>(), 0..40).prop_map(string).boxed();
        match part {
            Part::Number(length) => vec(any::<u8>(), length).boxed(),
            Part::V4 | Part::Time => vec(any::<u8>(), 4).boxed(),
            Part::V6 => vec(any::<u8>(), 16).boxed(),
            Part::Type => any::<u16>()
                .prop_map(|code| code.to_be_bytes().to_vec())
                .boxed(),
            Part::Name => vec(vec(any::<u8>(), 1..12), 0..5)
                .prop_map(move |labels| {
                    let labels = labels
                        .into_iter()
                        .map(|label| string(label.to_ascii_lowercase()));
                    labels.chain([vec![0]]).flatten().collect()
                })
                .boxed(),
            Part::String => any_string,
            Part::Strings => vec(any_string, 1..4)
                .prop_map(|texts| texts.concat())
                .boxed(),
            Part::Tag => "[a-zA-Z0-9]{1,15}"
                .prop_map(move |tag| string(tag.into_bytes()))
                .boxed(),
            Part::Text | Part::Hex | Part::Base64 => vec(any::<u8>(), 1..70).boxed(),
            Part::Salt => any_string,
            Part::Hash => vec(any::<u8>(), 1..40).prop_map(string).boxed(),
            Part::Types => proptest::collection::btree_set(any::<u16>(), 0..8)
                .prop_map(|types| {
                    let mut bitmap = domain::rdata::dnssec::RtypeBitmap::<Vec<u8>>::builder();
                    for code in types {
                        let _ = bitmap.add(domain::base::Rtype::from_int(code));
                    }
                    bitmap.finalize().as_slice().to_vec()
                })
                .boxed(),
            Part::Parameters => {
                proptest::collection::btree_map(10_u16..65535, vec(any::<u8>(), 0..9), 0..4)
                    .prop_map(|parameters| {
                        let pairs = parameters.into_iter().map(|(key, value)| {
                            [
                                &key.to_be_bytes()[..],
                                &(value.len() as u16).to_be_bytes(),
                                &value,
                            ]
                            .concat()
                        });
                        let alpn = [0, 1, 0, 6, 5, b'h', b',', b'2', b'\\', b'"'];
                        alpn.into_iter().chain(pairs.flatten()).collect()
                    })
                    .boxed()
            }
        }
    }

    /// A type with a text form, and octets of it.
    fn typed_octets() -> impl Strategy<Value = (Rtype, Vec<u8>)> {
        let types: Vec<Rtype> = (0..=u16::MAX).map(Rtype::new).collect();
        let with_text = types.into_iter().filter(|rtype| layout(*rtype).is_some());
        select(with_text.collect::<Vec<_>>()).prop_flat_map(|rtype| {
            let (parts, _) = layout(rtype).expect("only types with a layout were selected");
            let fields: Vec<_> = parts.iter().map(|part| part_octets(*part)).collect();
            fields.prop_map(move |fields| (rtype, fields.concat()))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn what_is_written_reads_back((rtype, octets) in typed_octets()) {
            let rdata = Rdata::from_wire(rtype, &octets).unwrap();
            let text = rdata.to_text(rtype);

            prop_assert!(!text.starts_with("\\#"), "{} {}", rtype, text);
            prop_assert_eq!(parse(rtype, &text), Ok(rdata), "{} {}", rtype, text);
        }

        #[test]
        fn whatever_octets_are_data_are_written_and_read_back(
            code in prop_oneof![0..70_u16, 250..260_u16, any::<u16>()],
            octets in vec(any::<u8>(), 0..60),
        ) {
            let rtype = Rtype::new(code);
            if let Ok(rdata) = Rdata::from_wire(rtype, &octets) {
                let text = rdata.to_text(rtype);
                // The next name of an NSEC is the one that keeps its case on the wire.
                let same = parse(rtype, &text).map(|read| read.as_wire().to_ascii_lowercase());
                prop_assert_eq!(same, Ok(rdata.as_wire().to_ascii_lowercase()), "{} {}", rtype, text);
            }
        }

        #[test]
        fn arbitrary_text_never_panics(
            code in 0..70_u16,
            text in "([0-9]{1,3} ){0,3}[ -~é\n]{0,40}",
        ) {
            let _ = parse(Rtype::new(code), &text);
            let _ = parse(Rtype::CAA, &text);
            let _ = parse(Rtype::URI, &text);
        }
    }
}
