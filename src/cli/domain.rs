//! `domain` and `record`: the domains of the pools.

use std::fs;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use ureq::http::Method;

use super::client::{Payload, path, with_query};
use super::command::RecordCommand;
use super::domain_command::{AddDomains, DomainCommand, Forget, SetDomain};
use super::failure::{Failure, Refusal, counted};
use super::life::{self, Note};
use super::names::{self, BATCH, Listed, parse_list};
use super::output::cell;
use super::pool::items;
use super::run::Desk;
use super::zone::show_ds;
use crate::wire::Place;

/// From how many names on a progress bar is shown.
const LONG: usize = 1_000;
/// How many domains a page of a list has.
const PAGE: usize = 1_000;
/// How often the progress bar moves.
const TICK: Duration = Duration::from_millis(100);

/// Does a command about domains.
pub(super) fn run(desk: &Desk, command: DomainCommand) -> Result<(), Failure> {
    match command {
        DomainCommand::Add(arguments) => add(desk, arguments),
        DomainCommand::List {
            pool,
            state,
            retire_due,
        } => {
            let due = retire_due.then(|| "true".to_owned());
            list(
                desk,
                &[("pool", pool), ("state", state), ("retire_due", due)],
            )
        }
        DomainCommand::Set(arguments) => set(desk, &arguments),
        DomainCommand::Show { name } => {
            let answer = desk.client.get(&path(&["v1", "domains", &name]))?;
            if desk.output.is_json() {
                return Ok(desk.output.octets(&answer)?);
            }
            life::show(desk, &desk.client.json(&answer)?)
        }
        DomainCommand::Ds { name } => show_ds(desk, &path(&["v1", "domains", &name, "ds"])),
        DomainCommand::Zone { name, signed } => {
            let path = path(&["v1", "domains", &name, "zone"]);
            let signed = signed.then(|| "true".to_owned());
            let text = desk.client.get(&with_query(path, &[("signed", signed)]))?;
            Ok(desk.output.octets(&text)?)
        }
        DomainCommand::Standby(step) => life::transition(desk, &step, "standby"),
        DomainCommand::Activate(step) => life::transition(desk, &step, "active"),
        DomainCommand::Drain(step) => life::transition(desk, &step, "draining"),
        DomainCommand::Retire(step) => life::transition(desk, &step, "retired"),
        DomainCommand::Release(step) => life::transition(desk, &step, "released"),
        DomainCommand::Suspend(arguments) => life::suspend(desk, &arguments),
        DomainCommand::Resume(mark) => life::mark(desk, &mark, &Note::RESUME),
        DomainCommand::Hold(mark) => life::mark(desk, &mark, &Note::HOLD),
        DomainCommand::Unhold(mark) => life::mark(desk, &mark, &Note::UNHOLD),
        DomainCommand::Observed(seen) => life::observed(desk, &seen),
        DomainCommand::Caches { name, at } => life::caches(desk, &name, at),
        DomainCommand::Delete { name, force } => {
            let force = force.then(|| "true".to_owned());
            let path = with_query(path(&["v1", "domains", &name]), &[("force", force)]);
            let answer = desk
                .client
                .send(Method::DELETE, &path, Payload::Nothing)
                .map_err(|failure| failure.of_domain(&name))?;
            desk.done(&answer, &format!("deleted {name}"))
        }
    }
}

/// Does a command about the records of one domain.
pub(super) fn run_record(desk: &Desk, command: RecordCommand) -> Result<(), Failure> {
    match command {
        RecordCommand::Set {
            name,
            owner,
            rtype,
            ttl,
            values,
        } => {
            let path = path(&["v1", "domains", &name, "rrsets", &owner, &rtype]);
            let body = json!({"ttl": ttl, "records": values});
            let answer = desk.client.send(Method::PUT, &path, Payload::Json(&body))?;
            desk.done(&answer, &format!("{name} has {owner} {rtype}"))
        }
        RecordCommand::Delete { name, owner, rtype } => {
            let path = path(&["v1", "domains", &name, "rrsets", &owner, &rtype]);
            let answer = desk.client.send(Method::DELETE, &path, Payload::Nothing)?;
            desk.done(
                &answer,
                &format!("{name} has no {owner} {rtype} of its own"),
            )
        }
    }
}

/// Adds domains: up to [`BATCH`] in one call, all or none; more in as many calls as it takes.
fn add(desk: &Desk, arguments: AddDomains) -> Result<(), Failure> {
    let listed = listed(&arguments)?;
    let wrong = names::check(&listed);
    if !wrong.is_empty() {
        let refusal = Refusal::local("Names are wrong", wrong);
        return Err(Failure::Refused(Box::new(refusal)));
    }
    let bar = progress(listed.len());
    let (mut created, mut revision) = (0, Value::Null);
    let mut domains = Vec::new();
    for (index, batch) in listed.chunks(BATCH).enumerate() {
        let body = body(&arguments, batch);
        let sent = desk
            .client
            .send(Method::POST, "/v1/domains", Payload::Json(&body));
        let answer = sent.map_err(|failure| {
            bar.finish_and_clear();
            broke_off(failure, batch, &listed[..index * BATCH])
        })?;
        let mut answer = desk.client.json(&answer)?;
        created += answer["created"].as_u64().unwrap_or(0);
        revision = answer["revision"].take();
        if let Value::Array(items) = answer["items"].take() {
            domains.extend(items);
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    if desk.output.is_json() {
        let answer = json!({"revision": revision, "created": created, "items": domains});
        return Ok(desk.output.text(&answer.to_string())?);
    }
    let records = domains.iter().flat_map(|domain| domain["ds"].as_array());
    let lines = records.flatten().map(|ds| cell(ds.get("text")));
    let lines: Vec<String> = lines.collect();
    desk.output.text(&lines.join("\n"))?;
    let (created, revision) = (counted(created, "domain"), cell(Some(&revision)));
    Ok(desk
        .output
        .text(&format!("added {created} (revision {revision})"))?)
}

/// Changes what is said about domains, one after the other.
fn set(desk: &Desk, arguments: &SetDomain) -> Result<(), Failure> {
    life::check_once(&arguments.names)?;
    let said = [
        (
            Forget::Registrar,
            arguments.registrar.is_some(),
            "registrar",
        ),
        (
            Forget::ExpiresAt,
            arguments.expires_at.is_some(),
            "expires-at",
        ),
        (Forget::Labels, !arguments.labels.is_empty(), "label"),
    ];
    for (what, is_said, option) in said {
        if is_said && arguments.forget.contains(&what) {
            return Err(Failure::Usage(format!(
                "expected --{option} or that it is forgotten, found both"
            )));
        }
    }
    let mut body = json!({});
    for what in &arguments.forget {
        match what {
            Forget::Registrar => body["registrar"] = Value::Null,
            Forget::ExpiresAt => body["expires_at"] = Value::Null,
            Forget::Labels => body["labels"] = json!({}),
        }
    }
    say_about(
        &mut body,
        arguments.registrar.as_deref(),
        arguments.expires_at.as_deref(),
        &arguments.labels,
    );
    for name in &arguments.names {
        let path = path(&["v1", "domains", name]);
        let answer = desk
            .client
            .send(Method::PATCH, &path, Payload::Json(&body))
            .map_err(|failure| failure.of_domain(name))?;
        let changed = &desk.client.json(&answer)?["changed"];
        // Said at once: where one fails, those before it are done, and those after it are not.
        let words = if changed == false {
            format!("nothing was changed: that is said about {name} already")
        } else {
            format!("what is said about {name} was changed")
        };
        desk.done(&answer, &words)?;
    }
    Ok(())
}

/// Adds what is said about a domain to a document.
fn say_about(
    body: &mut Value,
    registrar: Option<&str>,
    expires_at: Option<&str>,
    labels: &[(String, String)],
) {
    if let Some(registrar) = registrar {
        body["registrar"] = json!(registrar);
    }
    if let Some(expires_at) = expires_at {
        body["expires_at"] = json!(expires_at);
    }
    for (key, value) in labels {
        body["labels"][key] = json!(value);
    }
}

/// Returns the names that are to be added.
fn listed(arguments: &AddDomains) -> Result<Vec<Listed>, Failure> {
    let Some(file) = &arguments.from_file else {
        return Ok(arguments.names.iter().map(|name| typed(name)).collect());
    };
    let shown = file.display().to_string();
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("cannot read {shown}: {error}")))?;
    let listed = parse_list(&text, &shown);
    if listed.is_empty() {
        return Err(Failure::Usage(format!("no names found in {shown}")));
    }
    Ok(listed)
}

/// Makes the document that adds a batch.
fn body(arguments: &AddDomains, batch: &[Listed]) -> Value {
    let names: Vec<&str> = batch.iter().map(|listed| listed.name.as_str()).collect();
    let mut body = json!({"pool": arguments.pool, "names": names});
    if let Some(fresh) = arguments.fresh {
        body["fresh"] = json!(fresh);
    }
    say_about(
        &mut body,
        arguments.registrar.as_deref(),
        arguments.expires_at.as_deref(),
        &arguments.labels,
    );
    body
}

/// Wraps a name of the command line.
fn typed(name: &str) -> Listed {
    Listed {
        name: name.to_owned(),
        place: Place {
            file: None,
            line: 0,
        },
    }
}

/// Shows faults where the names were written, and says what was added before and how to go on.
fn broke_off(failure: Failure, batch: &[Listed], before: &[Listed]) -> Failure {
    let went_on = before.last().zip(batch.first()).map(|(last, next)| {
        let (added, last, next) = (counted(before.len(), "domain"), last.shown(), next.shown());
        format!("{added} up to {last} were added; to go on, add those from {next} on alone")
    });
    match failure {
        Failure::Refused(mut refusal) => {
            for wrong in &mut refusal.errors {
                let index = wrong.pointer.strip_prefix("/names/");
                let index = index.and_then(|index| index.parse::<usize>().ok());
                if let Some(listed) = index.and_then(|index| batch.get(index)) {
                    wrong.place = Some(listed.shown());
                }
            }
            refusal.before = went_on;
            Failure::Refused(refusal)
        }
        Failure::Unreachable { api, reason } => Failure::Unreachable {
            api,
            reason: match went_on {
                Some(went_on) => format!(
                    "{reason}\n{went_on}, unless `domain list` shows that they came through"
                ),
                None => reason,
            },
        },
        other => other,
    }
}

/// Makes a progress bar for long lists; hidden for short ones and where nobody looks.
fn progress(length: usize) -> ProgressBar {
    if length < LONG {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length as u64);
    let template = if length > BATCH {
        "{spinner} {bar:40} {pos}/{len} domains, {eta} left"
    } else {
        // One call is all or none: there is no half of it to be shown.
        "{spinner} adding {len} domains, {elapsed}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}

/// Lists the domains that a filter lets pass, page after page.
fn list(desk: &Desk, filter: &[(&str, Option<String>)]) -> Result<(), Failure> {
    let mut domains = Vec::new();
    desk.each_domain(filter, |domain| domains.push(domain))?;
    if desk.output.is_json() {
        let answer = json!({"items": domains, "next": null});
        return Ok(desk.output.text(&answer.to_string())?);
    }
    let rows = domains.iter().map(|domain| {
        ["name", "pool", "state", "since", "serial"]
            .map(|key| cell(domain.get(key)))
            .to_vec()
    });
    let headings = ["DOMAIN", "POOL", "STATE", "SINCE", "SERIAL"];
    Ok(desk.output.table(&headings, rows.collect())?)
}

impl Desk {
    /// Hands every domain that a filter lets pass to `take`, page after page.
    pub(super) fn each_domain(
        &self,
        filter: &[(&str, Option<String>)],
        mut take: impl FnMut(Value),
    ) -> Result<(), Failure> {
        let mut after: Option<String> = None;
        loop {
            let mut parameters = filter.to_vec();
            parameters.extend([("after", after), ("limit", Some(PAGE.to_string()))]);
            let path = with_query("/v1/domains".to_owned(), &parameters);
            let page = self.client.get_json(&path)?;
            items(&page).iter().cloned().for_each(&mut take);
            match page["next"].as_str() {
                Some(next) => after = Some(next.to_owned()),
                None => return Ok(()),
            }
        }
    }
}
