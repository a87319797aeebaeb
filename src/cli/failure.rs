//! What goes wrong, how it is shown, and the exit code.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::life::{latest, waits_of};
use super::moment::told;
use crate::document::Pointer;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Failure {
    /// The command was used wrongly, or names a file that cannot be read.
    #[error("{0}")]
    Usage(String),
    /// Files say what cannot be.
    #[error("{}; nothing was changed", counted(.0.len(), "problem"))]
    Files(Vec<FileFault>),
    /// The server refused.
    #[error("{}", .0.summary())]
    Refused(Box<Refusal>),
    /// Nobody answers.
    #[error("the server at {api} cannot be reached: {reason}")]
    Unreachable {
        /// Where it was looked for.
        api: String,
        /// What happened.
        reason: String,
    },
    /// What the server said cannot be written down.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

/// How many faults are shown: more scroll the first ones away.
const SHOWN: usize = 100;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}: {detail}")]
pub(super) struct FileFault {
    /// The file, as it was named.
    pub(super) file: String,
    /// The line, counted from one.
    pub(super) line: u32,
    /// What was expected and what was found.
    pub(super) detail: String,
}

/// What a server said when it refused (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// What kind of refusal it is, in words.
    pub(super) title: String,
    /// What is wrong, in words.
    pub(super) detail: String,
    /// Each field that is wrong.
    pub(super) errors: Vec<Wrong>,
    /// What was done all the same before this, and how to go on.
    pub(super) before: Option<String>,
    /// The domain that it is about, if it is about one.
    domain: Option<String>,
    /// The problem document, for scripts.
    document: Option<Value>,
}

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Where it stands in the document that was sent (RFC 6901).
    pub(super) pointer: String,
    /// Where the user wrote it, if that is known better than from the pointer.
    pub(super) place: Option<String>,
    /// What was expected and what was found.
    pub(super) detail: String,
}

impl Wrong {
    /// Notes where in a file it was found; the pointer stays, as the server's words may have it.
    pub(super) fn found_at(&mut self, fault: &FileFault) {
        let told = fault.to_string();
        // A pool's setting is named behind the line; of a zone's record the line in what was sent
        // is left out.
        if !told.ends_with(&self.detail) {
            self.detail.clone_from(&fault.detail);
        }
        let place = told.strip_suffix(&self.detail).unwrap_or(&told);
        self.place = Some(place.trim_end_matches(": ").to_owned());
    }
}

impl Wrong {
    /// Says where it is as people know it; nothing where its words say so themselves.
    fn shown_place(&self) -> String {
        let place = self.place.clone();
        place.unwrap_or_else(|| typed(&self.pointer))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shown_place().as_str() {
            "" => f.write_str(&self.detail),
            place => write!(f, "{place}: {}", self.detail),
        }
    }
}

/// Names a field as people type it; nothing where what is wrong with it says so itself.
fn typed(pointer: &str) -> String {
    let key = pointer.strip_prefix('/').unwrap_or(pointer);
    let value = key.strip_prefix("records/").and_then(|n| n.parse().ok());
    match key {
        "" | "pool" | "name" | "domain" | "to" | "ns" | "ns_gone" => String::new(),
        "at" | "reason" | "registrar" | "expires_at" | "fresh" | "ttl" | "state" | "after"
        | "limit" | "until" | "activate" => {
            format!("--{}", key.replace('_', "-"))
        }
        "last" => "--limit".to_owned(),
        key if key.starts_with("labels") => "--label".to_owned(),
        key if key.starts_with("burn") => "--burn".to_owned(),
        _ => value.map_or_else(
            || Pointer::steps(pointer).collect::<Vec<_>>().join("."),
            |index: usize| format!("value {}", index + 1),
        ),
    }
}

impl Refusal {
    /// Reads a problem document; anything else is quoted.
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        let Ok(Value::Object(problem)) = serde_json::from_slice(body) else {
            let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
            return Self {
                status,
                title: "the server refused".to_owned(),
                detail: format!("the server answered {status}: {text}"),
                errors: Vec::new(),
                before: None,
                domain: None,
                document: None,
            };
        };
        let text = |value: &Value, key: &str| {
            let text = value.get(key).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let errors = problem.get("errors").and_then(Value::as_array);
        let errors = errors.into_iter().flatten().map(|error| Wrong {
            pointer: text(error, "pointer"),
            place: None,
            detail: as_typed(&text(error, "detail")),
        });
        let errors = errors.collect();
        let title = problem.get("title").and_then(Value::as_str);
        let detail = problem.get("detail").and_then(Value::as_str).or(title);
        Self {
            status,
            title: title.unwrap_or("the server refused").to_owned(),
            detail: as_typed(detail.unwrap_or("the server gave no reason")),
            errors,
            before: None,
            domain: None,
            document: Some(Value::Object(problem)),
        }
    }

    /// Makes a refusal of what was found before anything was sent.
    pub(super) fn local(title: &str, errors: Vec<Wrong>) -> Self {
        let named = errors
            .iter()
            .map(|wrong| json!({"place": wrong.place, "detail": wrong.detail}));
        let named: Vec<Value> = named.collect();
        let detail = match errors.as_slice() {
            [only] => only.detail.clone(),
            several => {
                let problems = counted(several.len(), "problem");
                format!("{problems}; nothing was changed")
            }
        };
        Self {
            status: 422,
            title: title.to_owned(),
            document: Some(json!({
                "type": "about:blank", "title": title, "detail": detail, "errors": named,
            })),
            detail,
            errors,
            before: None,
            domain: None,
        }
    }

    /// Returns the rules that a step waits for; of several steps each says it itself.
    fn waits(&self) -> &[Value] {
        if self.errors.iter().any(|wrong| wrong.place.is_some()) {
            return &[];
        }
        let problem = self.document.as_ref();
        let waits = problem.and_then(|problem| problem["waiting_for"].as_array());
        waits.map_or(&[], Vec::as_slice)
    }

    /// Says in one line what is wrong.
    fn summary(&self) -> String {
        if !self.waits().is_empty() {
            let problem = self.document.as_ref();
            let moment = problem.and_then(|problem| problem["not_before"].as_str());
            return match moment {
                Some(moment) => format!("this must wait until {}", told(moment)),
                None => {
                    let earliest = latest(self.waits());
                    let earliest = earliest.map(|at| format!(", not before {}", told(at)));
                    let earliest = earliest.unwrap_or_default();
                    format!("this must wait until all of that holds{earliest}")
                }
            };
        }
        match self.errors.as_slice() {
            [] => self.detail.clone(),
            [only] => match self.detail.strip_suffix(&only.detail) {
                Some(before) => format!("{}{only}", without_place(before, only)),
                None if self.detail.starts_with(&only.detail) => only.to_string(),
                None => with_place(&self.detail, only),
            },
            several => {
                let problems = counted(several.len(), "problem");
                let rest = match self.before {
                    Some(_) => "none of these was added",
                    None => "nothing was changed",
                };
                format!("{}: {problems}; {rest}", self.title)
            }
        }
    }
}

/// Returns what stands before a fault's words without the server's ways to say where it is: `/ttl: `,
/// `the pool is in use: /ttl: `, `/changes/0/records: line 2: `.
///
/// They are not looked for by the fault's pointer: where it stands in the pool is said without the
/// place of its step. But of a fault that is shown without a place only its own pointer goes, which is
/// left out because its words say where; any other one is all that tells.
fn without_place<'a>(mut before: &'a str, only: &Wrong) -> &'a str {
    if only.shown_place().is_empty() {
        let pointed = before.strip_suffix(": ");
        let own = pointed.filter(|_| !only.pointer.is_empty());
        let rest = own.and_then(|words| words.strip_suffix(&only.pointer));
        let rest = rest.filter(|rest| rest.is_empty() || rest.ends_with(": "));
        return rest.unwrap_or(before);
    }
    loop {
        let words = before.strip_suffix(": ").unwrap_or(before);
        let last = words.rfind(": ").map_or(0, |at| at + 2);
        let line = words[last..].strip_prefix("line ");
        let is_line = line.is_some_and(|line| line.parse::<usize>().is_ok());
        if !is_line && !words[last..].starts_with('/') {
            return before;
        }
        before = &before[..last];
    }
}

/// Returns a server's words with a fault's place, if it is shown, where they have its pointer.
fn with_place(words: &str, fault: &Wrong) -> String {
    let place = fault.shown_place();
    if place.is_empty() || fault.pointer.is_empty() {
        return words.to_owned();
    }
    let parts = words.split(": ").map(|part| {
        let is_pointer = part == fault.pointer;
        if is_pointer { place.as_str() } else { part }
    });
    parts.collect::<Vec<_>>().join(": ")
}

/// Says what the server wants to be told as the flag of it.
fn as_typed(detail: &str) -> String {
    detail.replace("expect_domains=", "--confirm ")
}

/// Says a warning of the server's in the words of manifests: `readiness.delegated`, no pointer.
pub(super) fn warning(text: &str) -> String {
    let text = as_typed(text);
    let pointed = text.split_once(": /").and_then(|(who, rest)| {
        let (pointer, what) = rest.split_once(": ")?;
        Some(format!(
            "warning: {who}: {}: {what}",
            pointer.replace('/', ".")
        ))
    });
    pointed.unwrap_or_else(|| format!("warning: {text}"))
}

/// Counts things: `1 problem`, `2 problems`.
pub(super) fn counted(count: impl TryInto<u64>, thing: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {thing}"),
        count => format!("{count} {thing}s"),
    }
}

impl Failure {
    /// Notes which domain it is about: the commands that a refusal names can be copied then.
    pub(super) fn of_domain(mut self, name: &str) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.domain = Some(name.to_owned());
        }
        self
    }

    /// Notes which domain each step of a change is about.
    pub(super) fn of_each(mut self, names: &[String]) -> Self {
        if let Self::Refused(refusal) = &mut self {
            for wrong in &mut refusal.errors {
                let step = wrong.pointer.strip_prefix("/changes/");
                let step = step.and_then(|step| step.split('/').next()?.parse::<usize>().ok());
                wrong.place = step.and_then(|step| names.get(step).cloned());
            }
        }
        self
    }

    /// Returns what the program exits with.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Files(_) | Self::Refused(_) | Self::Output(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::Unreachable { .. } => ExitCode::from(3),
        }
    }

    /// Returns what scripts are told: the server's own problem document, or the same of files.
    pub(super) fn document(&self) -> Option<Value> {
        match self {
            Self::Refused(refusal) => refusal.document.clone(),
            Self::Files(faults) => {
                let errors = faults.iter().map(
                    |fault| json!({"file": fault.file, "line": fault.line, "detail": fault.detail}),
                );
                Some(json!({
                    "type": "about:blank",
                    "title": "Files are wrong",
                    "detail": self.to_string(),
                    "errors": errors.collect::<Vec<_>>(),
                }))
            }
            Self::Usage(_) | Self::Unreachable { .. } | Self::Output(_) => None,
        }
    }

    /// Writes the failure for people.
    ///
    /// # Errors
    ///
    /// When `to` cannot be written.
    pub(super) fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Files(faults) => {
                list(to, faults.iter().map(ToString::to_string))?;
            }
            Self::Refused(refusal) if !refusal.waits().is_empty() => {
                let name = refusal.domain.as_deref().unwrap_or("NAME");
                list(to, refusal.waits().iter().map(|rule| waits_of(name, rule)))?;
            }
            Self::Refused(refusal) if refusal.errors.len() > 1 => {
                list(to, refusal.errors.iter().map(ToString::to_string))?;
            }
            Self::Refused(refusal) if refusal.status == 401 => {
                writeln!(to, "hint: give --token, MXPOOL_TOKEN or MXPOOL_TOKEN_FILE")?;
            }
            _ => {}
        }
        let words = self.to_string();
        if let Some(list) = list_of_those_there(&words) {
            writeln!(to, "hint: `{list}` shows those that there are")?;
        }
        writeln!(to, "error: {words}")?;
        match self.before() {
            Some(before) => writeln!(to, "{before}"),
            None => Ok(()),
        }
    }

    /// Returns what was done all the same, and how to go on.
    pub(super) fn before(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.before.as_deref(),
            _ => None,
        }
    }
}

/// Returns the command that lists what there is, where something is not there: names are mistyped.
fn list_of_those_there(words: &str) -> Option<&'static str> {
    let (_, what) = words.split_once("there is no ")?;
    match what.split(' ').next()? {
        "pool" => Some("mxpool pool list"),
        "domain" => Some("mxpool domain list"),
        "zone" => Some("mxpool zone list"),
        "change" => Some("mxpool audit"),
        _ => None,
    }
}

/// Writes the first lines of a list, and how many there are beside them.
fn list(to: &mut dyn Write, mut lines: impl ExactSizeIterator<Item = String>) -> io::Result<()> {
    for line in lines.by_ref().take(SHOWN) {
        writeln!(to, "{line}")?;
    }
    match lines.len() {
        0 => Ok(()),
        more => writeln!(to, "… and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_shows_every_fault() {
        let body = br#"{"title":"Fields are wrong","detail":"/ttl: bad (and 1 more)",
            "errors":[{"pointer":"/ttl","detail":"bad"},{"pointer":"/caa/0","detail":"worse"}]}"#;

        let mut shown = Vec::new();
        let failure = Failure::Refused(Box::new(Refusal::read(422, body)));
        failure.write(&mut shown).unwrap();

        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(
            shown,
            "--ttl: bad\ncaa.0: worse\nerror: Fields are wrong: 2 problems; nothing was changed\n"
        );
    }

    #[test]
    fn of_several_steps_each_says_what_holds_it() {
        let body = br#"{"title":"Too early","detail":"the step waits: R1: x (and 1 more)",
            "waiting_for":[{"rule":"R1","what":"x","not_before":null}],
            "errors":[{"pointer":"/changes/0","detail":"the step waits: R1: x"},
                      {"pointer":"/changes/2","detail":"the step waits: R2: y"}]}"#;
        let names = ["a.example", "b.example", "c.example"].map(str::to_owned);
        let mut shown = Vec::new();

        let failure = Failure::Refused(Box::new(Refusal::read(409, body))).of_each(&names);
        failure.write(&mut shown).unwrap();

        let lines = "a.example: the step waits: R1: x\nc.example: the step waits: R2: y\n";
        let last = "error: Too early: 2 problems; nothing was changed\n";
        assert_eq!(String::from_utf8(shown).unwrap(), format!("{lines}{last}"));
    }

    #[test]
    fn who_mistypes_a_name_is_told_where_the_names_are() {
        let say = |body: &[u8]| {
            let mut shown = Vec::new();
            let failure = Failure::Refused(Box::new(Refusal::read(404, body)));
            failure.write(&mut shown).unwrap();
            String::from_utf8(shown).unwrap()
        };

        let pool = say(br#"{"detail":"there is no pool \"man\""}"#);
        let other = say(br#"{"detail":"there is nothing at /v2"}"#);

        let hint = "hint: `mxpool pool list` shows those that there are\n";
        assert_eq!(pool, format!("{hint}error: there is no pool \"man\"\n"));
        assert_eq!(other, "error: there is nothing at /v2\n");
    }

    #[test]
    fn an_answer_that_is_no_problem_document_is_quoted() {
        let refusal = Refusal::read(502, b"<html>Bad gateway");

        assert_eq!(
            refusal.summary(),
            "the server answered 502: <html>Bad gateway"
        );
    }

    #[test]
    fn what_is_found_before_anything_is_sent_is_told_alike() {
        let wrong = |name: &str| Wrong {
            pointer: String::new(),
            place: Some(name.to_owned()),
            detail: "is no name".to_owned(),
        };
        let say = |errors| Failure::Refused(Box::new(Refusal::local("Names are wrong", errors)));

        assert_eq!(say(vec![wrong("a..b")]).to_string(), "a..b: is no name");
        let two = say(vec![wrong("a..b"), wrong("")]);
        assert_eq!(
            two.to_string(),
            "Names are wrong: 2 problems; nothing was changed"
        );
        assert!(two.document().is_some(), "scripts are told, too");
    }

    #[test]
    fn one_fault_is_one_line_in_the_users_words() {
        let say = |body: &[u8]| Failure::Refused(Box::new(Refusal::read(422, body))).to_string();

        let field = say(br#"{"detail":"/records/0: bad","errors":[
            {"pointer":"/records/0","detail":"bad"}]}"#);
        let named = say(br#"{"detail":"there is no pool \"x\"","errors":[
            {"pointer":"/pool","detail":"there is no pool \"x\""}]}"#);
        let within = say(br#"{"detail":"the pool is in use: /ttl: wait","errors":[
            {"pointer":"/ttl","detail":"wait"}]}"#);
        let word = say(br#"{"detail":"12 are touched: say expect_domains=12 if that is meant"}"#);

        assert_eq!(field, "value 1: bad");
        assert_eq!(named, "there is no pool \"x\"");
        assert_eq!(within, "the pool is in use: --ttl: wait");
        assert_eq!(
            warning("the pool main: /readiness/secured: no DANE yet"),
            "warning: the pool main: readiness.secured: no DANE yet"
        );
        assert_eq!(word, "12 are touched: say --confirm 12 if that is meant");
    }

    #[test]
    fn one_fault_that_was_found_in_a_file_keeps_its_words() {
        // Every ": " became the place once, as its pointer was empty by then.
        let say = |detail: &str, pointer: &str, place: Option<&str>, words: &str| {
            let body = json!({"detail": detail, "errors": [{"pointer": pointer, "detail": words}]});
            let mut refusal = Refusal::read(422, body.to_string().as_bytes());
            for wrong in &mut refusal.errors {
                wrong.place = place.map(str::to_owned);
            }
            Failure::Refused(Box::new(refusal)).to_string()
        };
        let words = "expected a span: 1h, found: soon";
        let written = Some("a.toml:4: ttl");

        let pointer = "/changes/0/settings/ttl";
        let located = say(&format!("{pointer}: {words}"), pointer, written, words);
        assert_eq!(located, format!("a.toml:4: ttl: {words}"));
        let whole = say(words, "", written, words);
        assert_eq!(whole, format!("a.toml:4: ttl: {words}"));
        // Of its own accord the server says where in the pool, not where in the change.
        let within = say("main is in use: /ttl: wait: x", pointer, written, "wait: x");
        assert_eq!(within, "main is in use: a.toml:4: ttl: wait: x");
        let record = say(
            "/changes/0/records: line 2: w: a CNAME",
            "/changes/0/records",
            Some("infra.zone:5"),
            "w: a CNAME",
        );
        assert_eq!(record, "infra.zone:5: w: a CNAME");
        assert_eq!(say("one: two: three", "", None, "three"), "one: two: three");
        assert_eq!(say("one: two: three", "", None, "four"), "one: two: three");
    }

    #[test]
    fn the_only_place_that_the_server_tells_stays_and_is_told_in_the_users_words() {
        let say = |detail: &str, pointer: &str, words: &str| {
            let body = json!({"detail": detail, "errors": [{"pointer": pointer, "detail": words}]});
            let refusal = Refusal::read(422, body.to_string().as_bytes());
            Failure::Refused(Box::new(refusal)).to_string()
        };

        assert_eq!(say("/ttl: bad", "", "bad"), "/ttl: bad");
        assert_eq!(say("main: /ttl: bad", "/pool", "bad"), "main: /ttl: bad");
        // The words of these say what they are about.
        assert_eq!(say("/pool: no pool", "/pool", "no pool"), "no pool");
        assert_eq!(say("x: /pool: no pool", "/pool", "no pool"), "x: no pool");
        // Where more stands behind the words, too.
        let longer = "main: /ttl: bad, or so";
        assert_eq!(say(longer, "/ttl", "bad"), "main: --ttl: bad, or so");
        assert_eq!(say(longer, "/pool", "bad"), longer);
    }
}
