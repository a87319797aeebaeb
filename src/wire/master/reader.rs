//! From entries to records: directives, defaults, includes.

use super::entry::Entry;
use super::error::Fault;
use super::ttl::parse_ttl;
use super::{Entries, IncludeSource, MasterError, Place, Token, absolute_name};
use crate::wire::{Name, Rdata, Rtype, Ttl};

/// A record as a master file has it, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterRecord {
    /// Where it begins.
    pub place: Place,
    /// The owner name.
    pub owner: Name,
    /// The type.
    pub rtype: Rtype,
    /// The TTL: its own, that of `$TTL`, the last one stated, or the caller's default.
    pub ttl: Ttl,
    /// The data.
    pub rdata: Rdata,
}

/// How deep includes may be nested.
const MAX_DEPTH: usize = 8;
/// How many files one file may include, in all: two that include each other twice would do
/// 2^[`MAX_DEPTH`].
const MAX_INCLUDES: usize = 1000;
/// How many errors are kept: enough to mend a file by, and no more than a screenful of memory for
/// 16 MiB of something that is no master file.
const MAX_ERRORS: usize = 1000;

/// Reads a master file and all that it includes.
///
/// A record without a class is of class IN, and others are refused. Without a TTL of its own it
/// has that of `$TTL` (RFC 2308, section 4), else the last one stated (RFC 1035, section 5.1), else
/// `default_ttl`. What an included file says of origin, owner and `$TTL` ends with it.
///
/// # Errors
///
/// Returns everything that is wrong, in the order of the text, at most 1000 errors.
pub fn parse_master(
    text: &str,
    file: Option<&str>,
    origin: &Name,
    default_ttl: Ttl,
    includes: &dyn IncludeSource,
) -> Result<Vec<MasterRecord>, Vec<MasterError>> {
    let mut reader = Reader {
        includes,
        included: 0,
        records: Vec::new(),
        errors: Vec::new(),
    };
    reader.read(
        text,
        State {
            file: file.map(str::to_owned),
            depth: 0,
            origin: origin.clone(),
            owner: None,
            dollar_ttl: None,
            last_ttl: default_ttl,
        },
    );
    if reader.errors.is_empty() {
        Ok(reader.records)
    } else {
        Err(reader.errors)
    }
}

/// What comes of all files together.
struct Reader<'i> {
    /// Where included texts come from.
    includes: &'i dyn IncludeSource,
    /// How many files were included.
    included: usize,
    /// The records, in order.
    records: Vec<MasterRecord>,
    /// What is wrong, in order.
    errors: Vec<MasterError>,
}

/// What the lines of one file say of those that follow.
#[derive(Clone)]
struct State {
    /// The file's name.
    file: Option<String>,
    /// How many files include this one.
    depth: usize,
    /// Where relative names belong.
    origin: Name,
    /// The owner of the record before.
    owner: Option<Name>,
    /// The TTL of `$TTL`.
    dollar_ttl: Option<Ttl>,
    /// The last TTL stated, or the caller's default.
    last_ttl: Ttl,
}

impl State {
    /// Returns the place of a line of this file.
    fn place(&self, line: u32) -> Place {
        Place {
            file: self.file.clone(),
            line,
        }
    }
}

impl Reader<'_> {
    /// Reads a text to its end.
    fn read(&mut self, text: &str, mut state: State) {
        for entry in Entries::new(text) {
            if self.errors.len() >= MAX_ERRORS {
                return;
            }
            let read = entry.and_then(|entry| {
                let first = &entry.tokens[0];
                if !entry.indented && !first.quoted && first.text.starts_with('$') {
                    self.directive(&entry, &mut state)
                } else {
                    self.record(&entry, &mut state)
                }
            });
            if let Err(Fault { line, reason }) = read {
                let place = state.place(line);
                self.errors.push(MasterError { place, reason });
            }
        }
    }

    /// Obeys `$ORIGIN`, `$TTL` or `$INCLUDE`.
    fn directive(&mut self, entry: &Entry<'_>, state: &mut State) -> Result<(), Fault> {
        let [directive, arguments @ ..] = &entry.tokens[..] else {
            return Ok(());
        };
        let argument = arguments.first();
        let missing = |what: &str| Fault {
            line: directive.line,
            reason: format!("expected {what} behind {}, found nothing", directive.text),
        };
        let allowed = if directive.is_word("$ORIGIN") {
            let argument = argument.ok_or_else(|| missing("a name"))?;
            state.origin = name(argument, &state.origin)?;
            1
        } else if directive.is_word("$TTL") {
            let argument = argument.ok_or_else(|| missing("a TTL"))?;
            state.dollar_ttl = Some(ttl(argument)?);
            1
        } else if directive.is_word("$INCLUDE") {
            let path = argument.ok_or_else(|| missing("a file name"))?;
            let origin = match arguments.get(1) {
                Some(token) => name(token, &state.origin)?,
                None => state.origin.clone(),
            };
            end_of(arguments, 2)?;
            return self.include(path, origin, state);
        } else {
            return Err(Fault {
                line: directive.line,
                reason: format!(
                    "expected $ORIGIN, $TTL or $INCLUDE, found {}",
                    directive.text
                ),
            });
        };
        end_of(arguments, allowed)
    }

    /// Reads an included file with a state of its own.
    fn include(&mut self, path: &Token<'_>, origin: Name, state: &State) -> Result<(), Fault> {
        let fault = |reason: String| Fault {
            line: path.line,
            reason,
        };
        if state.depth >= MAX_DEPTH {
            return Err(fault(format!(
                "expected at most {MAX_DEPTH} files inside one another: does one include itself?"
            )));
        }
        if self.included >= MAX_INCLUDES {
            return Err(fault(format!("expected at most {MAX_INCLUDES} includes")));
        }
        self.included += 1;
        let file = String::from_utf8(path.octets())
            .map_err(|_| fault("expected a file name in UTF-8".to_owned()))?;
        let text = self
            .includes
            .read(&file)
            .map_err(|reason| fault(format!("cannot include {file:?}: {reason}")))?;
        self.read(
            &text,
            State {
                file: Some(file),
                depth: state.depth + 1,
                origin,
                ..state.clone()
            },
        );
        Ok(())
    }

    /// Reads a record.
    fn record(&mut self, entry: &Entry<'_>, state: &mut State) -> Result<(), Fault> {
        let (owner, rest) = if entry.indented {
            let owner = state.owner.clone().ok_or_else(|| Fault {
                line: entry.line,
                reason: "expected an owner name: the line begins with a space, but no record \
                         comes before it"
                    .to_owned(),
            })?;
            (owner, &entry.tokens[..])
        } else {
            let owner = name(&entry.tokens[0], &state.origin);
            // A stand-in keeps the lines that inherit the owner from being blamed for it.
            state.owner = Some(owner.clone().unwrap_or_else(|_| state.origin.clone()));
            (owner?, &entry.tokens[1..])
        };
        let head = Head::read(entry, rest)?;
        if let Some(ttl) = head.ttl {
            state.last_ttl = ttl;
        }
        let ttl = head.ttl.or(state.dollar_ttl).unwrap_or(state.last_ttl);
        let rdata = Rdata::read_tokens(head.rtype, head.data, &state.origin);
        let rdata = rdata.map_err(|(error, at)| Fault {
            line: head
                .data
                .get(at)
                .or(entry.tokens.last())
                .map_or(entry.line, |token| token.line),
            reason: error.to_string(),
        })?;
        self.records.push(MasterRecord {
            place: state.place(entry.line),
            owner,
            rtype: head.rtype,
            ttl,
            rdata,
        });
        Ok(())
    }
}

/// What stands between owner and data: `[TTL] [class] type`, the first two in either order.
struct Head<'t> {
    /// The TTL, if there is one.
    ttl: Option<Ttl>,
    /// The type.
    rtype: Rtype,
    /// The tokens of the data.
    data: &'t [Token<'t>],
}

impl<'t> Head<'t> {
    /// Reads up to the type.
    fn read(entry: &Entry<'_>, tokens: &'t [Token<'t>]) -> Result<Self, Fault> {
        let mut head_ttl = None;
        let mut class = None;
        for (index, token) in tokens.iter().enumerate() {
            let fault = |reason: String| Fault {
                line: token.line,
                reason,
            };
            let found = token.text;
            if token.quoted {
                return Err(fault(format!(
                    "expected a record type, found \"{found}\" in quotes"
                )));
            }
            if head_ttl.is_none() && found.starts_with(|first: char| first.is_ascii_digit()) {
                head_ttl = Some(ttl(token)?);
                continue;
            }
            if class.is_none() && is_class(token) {
                if !token.is_word("IN") && !token.is_word("CLASS1") {
                    return Err(fault(format!("expected class IN, found {found}")));
                }
                class = Some(());
                continue;
            }
            let rtype: Rtype = found.parse().map_err(|_| {
                fault(format!(
                    "expected a record type, found {found:?}; one without a name here is written \
                     TYPE65400 \\# 2 abcd (RFC 3597, section 5)"
                ))
            })?;
            if rtype.is_meta() {
                return Err(fault(format!(
                    "expected a type of data, found {rtype}, which stands in messages only"
                )));
            }
            return Ok(Self {
                ttl: head_ttl,
                rtype,
                data: &tokens[index + 1..],
            });
        }
        Err(Fault {
            line: entry.tokens.last().map_or(entry.line, |token| token.line),
            reason: "expected a record type, found the end of the record".to_owned(),
        })
    }
}

/// Returns whether a token is written as a class (RFC 6895, section 3.2; RFC 3597, section 5).
fn is_class(token: &Token<'_>) -> bool {
    let generic = token
        .text
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("CLASS"));
    generic
        || ["IN", "CH", "HS", "CS", "NONE"]
            .iter()
            .any(|class| token.is_word(class))
}

/// Reads a name.
fn name(token: &Token<'_>, origin: &Name) -> Result<Name, Fault> {
    let fault = |reason| Fault {
        line: token.line,
        reason,
    };
    if token.quoted {
        let found = token.text;
        return Err(fault(format!(
            "expected a name, found \"{found}\" in quotes"
        )));
    }
    absolute_name(token, origin).map_err(fault)
}

/// Reads a TTL.
fn ttl(token: &Token<'_>) -> Result<Ttl, Fault> {
    parse_ttl(token.text).ok_or_else(|| Fault {
        line: token.line,
        reason: format!(
            "expected a TTL like 3600 or 1h30m, at most 2147483647 seconds, found {:?}",
            token.text
        ),
    })
}

/// Checks that no more than so many arguments are there.
fn end_of(arguments: &[Token<'_>], allowed: usize) -> Result<(), Fault> {
    match arguments.get(allowed) {
        None => Ok(()),
        Some(token) => Err(Fault {
            line: token.line,
            reason: format!("expected the end of the line, found {:?}", token.text),
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{NoIncludes, write_master};

    /// A folder of texts.
    struct Folder(&'static [(&'static str, &'static str)]);

    impl IncludeSource for Folder {
        fn read(&self, path: &str) -> Result<String, String> {
            let found = self.0.iter().find(|(name, _)| *name == path);
            found
                .map(|(_, text)| (*text).to_owned())
                .ok_or_else(|| "no such file".to_owned())
        }
    }

    /// Reads a text under `burner.example` with an hour as TTL.
    fn read(text: &str, includes: &dyn IncludeSource) -> Result<Vec<MasterRecord>, Vec<String>> {
        let origin = Name::parse("burner.example").unwrap();
        let read = parse_master(text, Some("zone"), &origin, Ttl::from_secs(3600), includes);
        read.map_err(|errors| errors.iter().map(MasterError::to_string).collect())
    }

    /// Returns records as `file:line owner ttl type data`.
    fn written(records: &[MasterRecord]) -> Vec<String> {
        let lines = records.iter().map(|record| {
            let MasterRecord {
                place,
                owner,
                rtype,
                ttl,
                rdata,
            } = record;
            format!("{place} {owner} {ttl} {rtype} {}", rdata.to_text(*rtype))
        });
        lines.collect()
    }

    #[test]
    fn owner_class_ttl_and_directives_are_read_as_rfc_1035_5_1_has_them() {
        let text = "\
; a comment
@ IN SOA ns hostmaster ( 1 ; serial
    1h 15m 2w 900 )
  300 NS ns
  IN 1h30m NS ns2.other.
ns class1 A 192.0.2.1
   A 192.0.2.2
$TTL 1d
w a 192.0.2.3
$ORIGIN sub
@ TXT x
* 60 in type1 192.0.2.4\r
\\$x TYPE65400 \\# 1 ff";

        let records = read(text, &NoIncludes).unwrap();

        assert_eq!(
            written(&records),
            [
                "zone:2 burner.example. 3600 SOA ns.burner.example. hostmaster.burner.example. 1 3600 900 1209600 900",
                "zone:4 burner.example. 300 NS ns.burner.example.",
                "zone:5 burner.example. 5400 NS ns2.other.",
                "zone:6 ns.burner.example. 5400 A 192.0.2.1",
                "zone:7 ns.burner.example. 5400 A 192.0.2.2",
                "zone:9 w.burner.example. 86400 A 192.0.2.3",
                "zone:11 sub.burner.example. 86400 TXT \"x\"",
                "zone:12 *.sub.burner.example. 60 A 192.0.2.4",
                "zone:13 \\$x.sub.burner.example. 86400 TYPE65400 \\# 1 ff",
            ]
        );
    }

    #[test]
    fn an_included_file_keeps_its_state_and_its_errors_to_itself() {
        let folder = Folder(&[
            (
                "a b.zone",
                "$TTL 60\nx A 192.0.2.1\n$ORIGIN deep\ny A 192.0.2.2",
            ),
            ("bad.zone", "x A 192.0.2.1\ny A nonsense"),
            ("loop.zone", "$INCLUDE loop.zone"),
        ]);
        let text = "o TXT 1\n$INCLUDE \"a b.zone\" sub\n  TXT 2";

        let records = read(text, &folder).unwrap();

        assert_eq!(
            written(&records),
            [
                "zone:1 o.burner.example. 3600 TXT \"1\"",
                "a b.zone:2 x.sub.burner.example. 60 A 192.0.2.1",
                "a b.zone:4 y.deep.sub.burner.example. 60 A 192.0.2.2",
                "zone:3 o.burner.example. 3600 TXT \"2\"",
            ]
        );
        let errors = read(
            "$INCLUDE bad.zone\n$INCLUDE none\n$INCLUDE loop.zone\nx A y",
            &folder,
        );
        let errors = errors.unwrap_err();
        assert!(
            errors[0].starts_with("bad.zone:2: expected IPv4"),
            "{errors:?}"
        );
        assert!(errors[1].starts_with("zone:2: cannot include \"none\": no such"));
        assert!(errors[2].starts_with("loop.zone:1: expected at most 8 files"));
        assert!(errors[3].starts_with("zone:4: "));
    }

    #[test]
    fn every_error_is_reported_with_its_line_and_what_was_wanted() {
        for (line, words) in [
            (" A 192.0.2.1", "begins with a space"),
            ("w CH A 192.0.2.1", "expected class IN, found CH"),
            ("w CLASS3 A 192.0.2.1", "expected class IN"),
            (
                "w 1h 2h A 192.0.2.1",
                "expected a record type, found \"2h\"",
            ),
            ("w 1x A 192.0.2.1", "expected a TTL like 3600"),
            ("w BOGUS x", "expected a record type, found \"BOGUS\""),
            ("w ANY x", "expected a type of data, found ANY"),
            ("w", "found the end of the record"),
            ("w A", "expected another field, found the end"),
            ("w \"A\" 192.0.2.1", "in quotes"),
            ("\"w\" A 192.0.2.1", "in quotes"),
            ("a..b A 192.0.2.1", "empty label"),
            ("$TTL", "expected a TTL behind $TTL"),
            ("$TTL 1 2", "expected the end of the line"),
            ("$ORIGIN", "expected a name behind"),
            (
                "$GENERATE 1-9 a A 192.0.2.$",
                "expected $ORIGIN, $TTL or $INCLUDE",
            ),
            ("$INCLUDE x", "nothing can be included here"),
            ("w TXT \"open", "closing quote"),
            ("w TXT a ) b", "without \"(\""),
            ("w TXT \\999", "bad escape"),
            ("w TXT a\u{1}b", "control character"),
        ] {
            let text = format!("\n; x\n{line}\nok A 192.0.2.1\nw MX mx\n");

            let errors = read(&text, &NoIncludes).expect_err(line);

            assert_eq!(errors.len(), 2, "{line}: {errors:?}");
            assert!(errors[0].starts_with("zone:3: "), "{line}: {}", errors[0]);
            assert!(errors[0].contains(words), "{line}: {}", errors[0]);
            assert!(errors[1].starts_with("zone:5: "), "{line}: {}", errors[1]);
        }
    }

    #[test]
    fn the_line_of_a_wrong_field_is_that_of_the_field() {
        let text = "@ SOA ns hostmaster (\n 1\n 1h\n soon\n 2w\n 900 )\nw MX (\n10\n)\n";

        let errors = read(text, &NoIncludes).unwrap_err();

        assert!(errors[0].starts_with("zone:4: "), "{}", errors[0]);
        assert!(errors[0].contains("found \"soon\""), "{}", errors[0]);
        assert!(errors[1].starts_with("zone:8: "), "{}", errors[1]);
    }

    #[test]
    fn a_text_without_sense_yields_no_more_than_a_thousand_errors() {
        let errors = read(&"(".repeat(5000), &NoIncludes).unwrap_err();
        assert_eq!(errors.len(), 1);

        let errors = read(&"x\n".repeat(5000), &NoIncludes).unwrap_err();
        assert_eq!(errors.len(), MAX_ERRORS);
    }

    /// A record of a few types, as text.
    fn any_record() -> impl Strategy<Value = (String, String)> {
        let owner = prop_oneof![
            "[a-z*]{1,9}",
            Just("@".to_owned()),
            "[a-z]{1,3}\\\\\\.[a-z]"
        ];
        let record = prop_oneof![
            (0..256_u16).prop_map(|octet| format!("A 192.0.2.{octet}")),
            "[ -!#-\\[\\]-~]{0,80}".prop_map(|text| format!("TXT \"{text}\" \"b\"")),
            any::<u16>().prop_map(|number| format!("MX {number} mx1")),
            "[0-9a-f]{8}".prop_map(|hex| format!("TYPE65400 \\# 4 {hex}")),
            any::<u16>().prop_map(|port| format!("HTTPS 1 . alpn=h2 port={port}")),
        ];
        (owner, record)
    }

    proptest! {
        #[test]
        fn a_file_that_is_written_reads_back(lines in vec((any_record(), 0..99_999_u32), 0..20)) {
            let text: String = lines
                .iter()
                .map(|((owner, record), ttl)| format!("{owner} {ttl} {record}\n"))
                .collect();
            let records = read(&text, &NoIncludes).unwrap();

            let text = write_master(
                records.iter().map(|record| (&record.owner, record.rtype, record.ttl, &record.rdata)),
            );

            // One a line, so the places are the same, too.
            prop_assert_eq!(read(&text, &NoIncludes), Ok(records));
        }

        #[test]
        fn an_error_is_reported_on_its_line(
            before in vec(any_record(), 0..9),
            bad in select_bad(),
            after in vec(any_record(), 0..9),
        ) {
            let line = |(owner, record): &(String, String)| format!("{owner} {record}\n");
            let text: String = before.iter().map(line)
                .chain([format!("{bad}\n")])
                .chain(after.iter().map(line))
                .collect();

            let errors = read(&text, &NoIncludes).unwrap_err();

            prop_assert_eq!(errors.len(), 1, "{:?}", errors);
            let start = format!("zone:{}: ", before.len() + 1);
            prop_assert!(errors[0].starts_with(&start), "{}", errors[0]);
        }

        #[test]
        fn arbitrary_text_never_panics(
            text in "(([a-z@$*.\\\\ ]{0,6} ?(A|TXT|MX|SOA|HTTPS|\\$TTL|NSEC|RRSIG|NAPTR) )?[ -~é\t\n\r]{0,30}\n?){0,6}",
        ) {
            let _ = read(&text, &NoIncludes);
        }

        #[test]
        fn arbitrary_characters_never_panic(text in any::<String>()) {
            let _ = read(&text, &NoIncludes);
        }
    }

    /// One line that is no record.
    fn select_bad() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "w A 192.0.2.256",
            "w MX mx1",
            "w TXT \"open",
            "w NOTYPE x",
            "a..b A 192.0.2.1",
            "w HTTPS 1 . alpn",
            "$NOSUCH",
            "w TXT ( a\nw TXT ( b )",
        ])
    }
}
