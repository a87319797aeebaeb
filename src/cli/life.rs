//! The steps of domains' lives, and how one stands.

use std::collections::HashSet;

use serde_json::{Value, json};
use ureq::http::Method;

use super::change;
use super::client::{Payload, path, with_query};
use super::domain_command::{Answer, Mark, Observed, Step, Suspend};
use super::failure::Failure;
use super::moment::told;
use super::output::{cell, inline};
use super::pool::items;
use super::run::Desk;
use crate::wire::Apex;

/// Moves domains to another state.
pub(super) fn transition(desk: &Desk, step: &Step, to: &str) -> Result<(), Failure> {
    let [name] = step.names.as_slice() else {
        return transition_all(desk, step, to);
    };
    let body = json!({"to": to, "force": step.force});
    let when = When::of(step.at.as_deref(), step.reason.as_deref());
    let done = format!("{name} is {to}");
    let idle = format!("nothing was changed: {name} is {to} already");
    act_or_rest(desk, name, "transition", body, when, (&done, &idle))
}

/// Moves several domains to another state: all of them or none.
fn transition_all(desk: &Desk, step: &Step, to: &str) -> Result<(), Failure> {
    check_once(&step.names)?;
    let steps = step
        .names
        .iter()
        .map(|name| json!({"op": "transition", "domain": name, "to": to, "force": step.force}));
    let mut body = json!({"changes": steps.collect::<Value>()});
    if let Some(reason) = &step.reason {
        body["reason"] = json!(reason);
    }
    if let Some(at) = &step.at {
        body["at"] = json!(at);
    }
    let confirm = step.confirm.map(|domains| domains.to_string());
    let path = with_query("/v1/changes".to_owned(), &[("expect_domains", confirm)]);
    let tell = |answer: &Value| {
        let mut lines: Vec<String> = change::warnings(answer).collect();
        if step.at.is_some() {
            lines.extend(change::accepted(answer));
        } else {
            let (count, revision) = (step.names.len(), cell(answer.get("revision")));
            let plan = answer["plan"].as_array();
            lines.push(if plan.is_some_and(Vec::is_empty) {
                format!("nothing was changed: {count} domains are {to} already")
            } else {
                format!("{count} domains are {to} (revision {revision})")
            });
        }
        lines
    };
    desk.ask(&path, &body, tell)
        .map_err(|failure| failure.of_each(&step.names))
}

/// Refuses a domain that is named twice: somebody meant another one.
///
/// What is no domain's name is left to the server, which says what is wrong with it.
pub(super) fn check_once(names: &[String]) -> Result<(), Failure> {
    let mut named = HashSet::with_capacity(names.len());
    let mut read = names.iter().filter_map(|it| Apex::parse_unicode(it).ok());
    match read.find(|name| !named.insert(name.clone())) {
        Some(twice) => Err(Failure::Usage(format!(
            "expected each domain once, found {} twice",
            twice.to_api_text()
        ))),
        None => Ok(()),
    }
}

/// Lets a domain take no mail for a while.
pub(super) fn suspend(desk: &Desk, arguments: &Suspend) -> Result<(), Failure> {
    let answer = match arguments.answer {
        Answer::Later => "later",
        Answer::Never => "never",
    };
    let mut body = json!({"answer": answer});
    if let Some(until) = &arguments.until {
        body["until"] = json!(until);
    }
    let name = &arguments.name;
    let words = match arguments.answer {
        Answer::Later => format!("{name} is suspended: senders are told to try again later"),
        Answer::Never => format!("{name} is suspended: mail to it goes back to its senders"),
    };
    let when = When::of(arguments.at.as_deref(), Some(&arguments.reason));
    let idle = format!("nothing was changed: {name} is suspended already, so and for that reason");
    act_or_rest(desk, name, "suspend", body, when, (&words, &idle))
}

/// What is noted beside a domain's state, or taken away.
pub(super) struct Note {
    /// The name of the step.
    verb: &'static str,
    /// How the domain is then.
    done: &'static str,
    /// How it was already, where nothing changed.
    idle: &'static str,
}

impl Note {
    /// Ends a suspension.
    pub(super) const RESUME: Self = Self {
        verb: "resume",
        done: "is suspended no more",
        idle: "is not suspended",
    };
    /// Lets no step withdraw anything.
    pub(super) const HOLD: Self = Self {
        verb: "hold",
        done: "is on hold",
        idle: "is on hold already, for the same reason",
    };
    /// Ends a hold.
    pub(super) const UNHOLD: Self = Self {
        verb: "unhold",
        done: "is on hold no more",
        idle: "is not on hold",
    };
}

/// Notes something beside a domain's state, or takes it away.
pub(super) fn mark(desk: &Desk, mark: &Mark, note: &Note) -> Result<(), Failure> {
    let (name, body) = (&mark.name, json!({}));
    let when = When::of(mark.at.as_deref(), mark.reason.as_deref());
    let done = format!("{name} {}", note.done);
    let idle = format!("nothing was changed: {name} {}", note.idle);
    act_or_rest(desk, name, note.verb, body, when, (&done, &idle))
}

/// Tells the server what was seen of a domain.
pub(super) fn observed(desk: &Desk, seen: &Observed) -> Result<(), Failure> {
    let words = [
        ("ns", json!(seen.ns)),
        ("ds", json!(seen.ds)),
        ("ns_gone", json!(seen.ns_gone)),
        ("published", json!(seen.published)),
        ("mail_ready", json!(seen.mail_ready)),
        ("policy_served", json!(seen.policy_served)),
        ("queries", json!(seen.queries)),
    ];
    let said = words.into_iter().filter(|(_, value)| !value.is_null());
    let mut body: Value = said
        .map(|(key, value)| (key.to_owned(), value))
        .collect::<serde_json::Map<_, _>>()
        .into();
    if body.as_object().is_none_or(serde_json::Map::is_empty) {
        let detail = "say at least one thing that you have seen, like --ns yes";
        return Err(Failure::Usage(detail.to_owned()));
    }
    if let Some(at) = &seen.at {
        body["at"] = json!(at);
    }
    let name = &seen.name;
    act(
        desk,
        name,
        "observed",
        body,
        When::default(),
        &format!("noted what you have seen of {name}"),
    )
}

/// When something is done, and why.
#[derive(Clone, Copy, Default)]
struct When<'w> {
    /// At which moment, if not now.
    at: Option<&'w str>,
    /// Why, for the audit log.
    reason: Option<&'w str>,
}

impl<'w> When<'w> {
    /// Takes what was typed.
    fn of(at: Option<&'w str>, reason: Option<&'w str>) -> Self {
        Self { at, reason }
    }
}

/// Does something to a domain, or has it done at a moment; says so in words.
fn act(
    desk: &Desk,
    name: &str,
    verb: &str,
    body: Value,
    when: When<'_>,
    words: &str,
) -> Result<(), Failure> {
    act_or_rest(desk, name, verb, body, when, (words, words))
}

/// Does the same; has other words where that changed nothing.
fn act_or_rest(
    desk: &Desk,
    name: &str,
    verb: &str,
    mut body: Value,
    when: When<'_>,
    (done, idle): (&str, &str),
) -> Result<(), Failure> {
    if let Some(at) = when.at {
        body["op"] = json!(verb);
        body["domain"] = json!(name);
        return change::schedule(desk, body, at, when.reason, false)
            .map_err(|failure| failure.of_domain(name));
    }
    if let Some(reason) = when.reason {
        body["reason"] = json!(reason);
    }
    let path = path(&["v1", "domains", name, verb]);
    let answer = desk
        .client
        .send(Method::POST, &path, Payload::Json(&body))
        .map_err(|failure| failure.of_domain(name))?;
    let changed = &desk.client.json(&answer)?["changed"];
    desk.done(&answer, if changed == false { idle } else { done })
}

/// Shows what caches, validators and senders may still hold of a domain.
pub(super) fn caches(desk: &Desk, name: &str, at: Option<String>) -> Result<(), Failure> {
    let path = with_query(path(&["v1", "domains", name, "caches"]), &[("at", at)]);
    let answer = desk.client.get(&path)?;
    if desk.output.is_json() {
        return Ok(desk.output.octets(&answer)?);
    }
    let answer = desk.client.json(&answer)?;
    let rows = items(&answer).iter().map(|held| {
        let of = |key: &str| cell(held.get(key));
        let what = match held["policy"].as_object() {
            Some(policy) => {
                let acts = policy.get("acts").and_then(Value::as_bool) == Some(true);
                let mode = if acts { "acted on" } else { "mode none" };
                let max_age = cell(policy.get("max_age"));
                [
                    "-".to_owned(),
                    "MTA-STS".to_owned(),
                    max_age,
                    mode.to_owned(),
                ]
            }
            None => {
                let records = held["records"].as_array().into_iter().flatten();
                let records: Vec<String> = records.map(|it| cell(Some(it))).collect();
                [of("owner"), of("type"), of("ttl"), records.join(" | ")]
            }
        };
        let until = |key: &str| match held["off"].as_str() {
            Some(_) => told(&cell(held.get(key))),
            None => "served".to_owned(),
        };
        let mut row = what.to_vec();
        row.insert(3, until("cache_until"));
        row.insert(4, until("replay_until"));
        row
    });
    let headings = [
        "OWNER",
        "TYPE",
        "TTL",
        "CACHED UNTIL",
        "REPLAYED UNTIL",
        "DATA",
    ];
    Ok(desk.output.table(&headings, rows.collect())?)
}

/// Shows what is known of a domain, what people look for first; and what is to be done to it at a
/// moment.
pub(super) fn show(desk: &Desk, domain: &Value) -> Result<(), Failure> {
    let waiting = desk.client.get_json("/v1/changes")?;
    let mut facts = facts(domain);
    let at = facts.iter().position(|(name, _)| *name == "condition");
    let at = at.unwrap_or(facts.len());
    facts.splice(at..at, to_come(domain, &waiting));
    Ok(desk.output.facts(&facts)?)
}

/// Returns what changes that wait for their moment are to do to a domain.
fn to_come(domain: &Value, waiting: &Value) -> Vec<(&'static str, String)> {
    let name = cell(domain.get("name"));
    let mut lines = Vec::new();
    for change in items(waiting) {
        let (id, at) = (cell(change.get("id")), told(&cell(change.get("at"))));
        let steps = change["steps"].as_array().into_iter().flatten();
        let steps = steps.map(|step| cell(step.get("what")));
        // What is drained by a rotation stands among others.
        let words = |what: &str| what.split([' ', ',']).any(|word| word == name);
        let steps = steps.filter(|what| words(what));
        lines.extend(steps.map(|what| ("scheduled", format!("{at}: {what} (change {id})"))));
    }
    lines
}

/// Returns what is known of a domain, a line for each.
fn facts(domain: &Value) -> Vec<(&'static str, String)> {
    let text = |key: &str| cell(domain.get(key));
    let time = |key: &str| domain[key].as_str().map_or_else(|| "-".to_owned(), told);
    let items = |key: &str| domain[key].as_array().into_iter().flatten();
    let state = format!("{} since {}", text("state"), time("since"));
    let mut facts = vec![
        ("domain", text("name")),
        ("pool", text("pool")),
        ("state", state),
        ("mail", mail(domain)),
        ("suspended", noted(&domain["suspended"])),
        ("on hold", noted(&domain["hold"])),
        ("handed out", handed_out(&domain["handed_out"])),
    ];
    let name = text("name");
    facts.extend(items("hand_out_waits").map(|wait| ("not handed out", waits_of(&name, wait))));
    facts.extend(next_step(domain));
    facts.extend(items("conditions").map(|condition| {
        let of = |key: &str| cell(condition.get(key));
        let since = condition["since"].as_str();
        let since = since.map_or_else(String::new, |since| format!(", since {}", told(since)));
        let message = with_name(&name, &of("message"));
        (
            "condition",
            format!("{} {}: {message}{since}", of("type"), of("status")),
        )
    }));
    facts.push(("serial", text("serial")));
    facts.extend(items("ds").map(|ds| ("DS", cell(ds.get("text")))));
    facts.extend(items("rrsets").flat_map(|rrset| {
        let of = |key: &str| cell(rrset.get(key));
        let head = format!("{} {} {}", of("owner"), of("ttl"), of("type"));
        let records = rrset["records"].as_array().into_iter().flatten();
        records.map(move |record| ("own record", format!("{head} {}", cell(Some(record)))))
    }));
    let fresh = match domain["fresh"].as_bool() {
        Some(true) => "yes: it was never delegated before it was added",
        _ => "no",
    };
    facts.extend([
        ("zone dropped", time("dropped")),
        ("signatures until", time("signatures_expire_at")),
        ("fresh", fresh.to_owned()),
        ("registrar", text("registrar")),
        ("registered until", time("expires_at")),
        ("labels", inline(&domain["labels"])),
        ("revision", text("revision")),
    ]);
    facts
}

/// Says in words what becomes of mail to a domain.
fn mail(domain: &Value) -> String {
    let words = match domain["routing"].as_str() {
        Some("accept") => "accepted",
        Some("later") => {
            "senders are told to try again later (450); postmaster@ and abuse@ are accepted"
        }
        Some("never") => "refused for good (556)",
        Some("gone") => "the mail hosts know the domain no more",
        _ => "-",
    };
    words.to_owned()
}

/// Says since when and why something is noted of a domain.
fn noted(note: &Value) -> String {
    let Some(since) = note["since"].as_str() else {
        return "-".to_owned();
    };
    let mut words = format!("since {}", told(since));
    if let Some(until) = note["until"].as_str() {
        words.push_str(&format!(", until {}", told(until)));
    }
    if let Some(reason) = note["reason"].as_str() {
        words.push_str(&format!(": {reason}"));
    }
    words
}

/// Says how often and when addresses in a domain were given out.
fn handed_out(given: &Value) -> String {
    let (Some(count), Some(last)) = (given["count"].as_u64(), given["last"].as_str()) else {
        return "-".to_owned();
    };
    let times = if count == 1 { "once" } else { "times" };
    match count {
        1 => format!("{times}, {}", told(last)),
        count => format!("{count} {times}, last {}", told(last)),
    }
}

/// Says what a domain is on the way to, and what that waits for; a line for each rule.
fn next_step(domain: &Value) -> Vec<(&'static str, String)> {
    let next = &domain["next"];
    let Some(state) = next["state"].as_str() else {
        return match domain["state"].as_str() {
            Some("active") => vec![("next step", stays(domain))],
            _ => Vec::new(),
        };
    };
    let name = cell(domain.get("name"));
    // A released domain is served until nobody can be led to it.
    let state = match state {
        "released" if domain["state"] == "released" => "the zone goes",
        state => state,
    };
    let rules = next["waiting_for"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let verb = command(state).filter(|_| next["by_itself"] != true);
    let say = verb.map(|verb| format!("mxpool domain {verb} {name}"));
    let when = match (rules, next["not_before"].as_str()) {
        ([], None) => None,
        (_, Some(moment)) => Some(format!("not before {}", told(moment))),
        (_, None) => {
            let earliest = latest(rules).map(|at| format!("not before {}, ", told(at)));
            let earliest = earliest.unwrap_or_default();
            Some(format!("{earliest}when all that it waits for holds"))
        }
    };
    let step = match (when, say) {
        (None, Some(say)) => format!("{state}, whenever you say so: {say}"),
        (None, None) => format!("{state}, by itself"),
        (Some(when), Some(say)) => format!("{state}, {when}; then say so: {say}"),
        (Some(when), None) => format!("{state} by itself, {when}"),
    };
    let waits = rules
        .iter()
        .map(|rule| ("it waits for", waits_of(&name, rule)));
    [("next step", step)].into_iter().chain(waits).collect()
}

/// Says that an active domain stays so until somebody takes it out of use.
fn stays(domain: &Value) -> String {
    let (name, pool) = (cell(domain.get("name")), cell(domain.get("pool")));
    format!(
        "draining, whenever you say so: mxpool domain drain {name}, or with another in its place \
         mxpool pool rotate {pool} --burn {name}"
    )
}

/// Returns the command that takes a domain to a state.
fn command(state: &str) -> Option<&'static str> {
    match state {
        "standby" => Some("standby"),
        "active" => Some("activate"),
        "draining" => Some("drain"),
        "retired" => Some("retire"),
        "released" => Some("release"),
        _ => None,
    }
}

/// Says what one rule waits for: the rule's name, in words, and until when.
pub(super) fn waits(rule: &Value) -> String {
    let words = format!("{}: {}", cell(rule.get("rule")), cell(rule.get("what")));
    match rule["not_before"].as_str() {
        Some(moment) => format!("{words}, not before {}", told(moment)),
        None => words,
    }
}

/// Says what one rule waits for of a domain.
pub(super) fn waits_of(name: &str, rule: &Value) -> String {
    with_name(name, &waits(rule))
}

/// Puts a domain's name into the commands that the server's words tell, so that they can be copied.
fn with_name(name: &str, words: &str) -> String {
    words.replace(" NAME", &format!(" {name}"))
}

/// Returns the last of the moments that rules wait for, as far as they are known.
pub(super) fn latest(rules: &[Value]) -> Option<&str> {
    let moments = rules.iter().filter_map(|rule| rule["not_before"].as_str());
    // RFC 3339 in UTC: the order of the texts is that of the times.
    moments.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_that_is_named_twice_is_refused() {
        let names = |names: [&str; 3]| check_once(&names.map(str::to_owned));

        assert!(names(["a.example", "b.example", "a..example"]).is_ok());
        let twice = names(["a.example", "b.example", "A.Example."]).unwrap_err();

        let wanted = "expected each domain once, found a.example twice";
        assert!(
            matches!(&twice, Failure::Usage(why) if why == wanted),
            "{twice:?}"
        );
    }

    #[test]
    fn a_domain_says_what_comes_next_and_what_it_waits_for() {
        let mut domain = json!({
            "name": "a.example", "pool": "main", "state": "draining", "routing": "accept",
            "next": {"state": "retired", "not_before": null, "waiting_for": [
                {"rule": "R1", "what": "the drain", "not_before": "2000-01-01T00:00:00Z"},
                {"rule": "R2", "what": "deferrals", "not_before": null},
            ]},
        });
        let find = |domain: &Value, key: &str| {
            let facts = facts(domain).into_iter();
            let found = facts.filter(|(name, _)| *name == key);
            found.map(|(_, what)| what).collect::<Vec<_>>()
        };

        let step = &find(&domain, "next step")[0];
        assert!(step.starts_with("retired, not before 2000-01-01T00:00:00Z ("));
        let then =
            "), when all that it waits for holds; then say so: mxpool domain retire a.example";
        assert!(step.ends_with(then), "{step}");
        domain["next"]["by_itself"] = json!(true);
        let step = &find(&domain, "next step")[0];
        assert!(step.starts_with("retired by itself, not before"), "{step}");
        assert!(step.ends_with("), when all that it waits for holds"));
        domain["next"]["by_itself"] = json!(false);
        let waits = find(&domain, "it waits for");
        assert!(waits[0].starts_with("R1: the drain, not before 2000-01-01T00:00:00Z ("));
        assert_eq!(waits[1], "R2: deferrals");
        assert_eq!(find(&domain, "mail"), ["accepted"]);
        domain["next"]["waiting_for"] =
            json!([{"rule": "I4", "what": "`mxpool domain unhold NAME`", "not_before": null}]);
        let held = find(&domain, "it waits for");
        assert_eq!(held, ["I4: `mxpool domain unhold a.example`"]);
        let step = find(&domain, "next step");
        let held = "retired, when all that it waits for holds; then say so: mxpool domain retire";
        assert_eq!(step, [format!("{held} a.example")]);
        domain["next"]["waiting_for"] = json!([]);
        let step = find(&domain, "next step");
        assert_eq!(
            step,
            ["retired, whenever you say so: mxpool domain retire a.example"]
        );
        domain["state"] = json!("active");
        domain["next"] = Value::Null;
        let step = &find(&domain, "next step")[0];
        assert!(step.contains("mxpool pool rotate main --burn a.example"));
    }

    #[test]
    fn what_is_scheduled_for_a_domain_is_told_with_it() {
        let domain = json!({"name": "a.example", "pool": "main", "state": "active"});
        let step = |what: &str| json!({"op": "transition", "subject": "x", "what": what});
        let waiting = json!({"items": [
            {"id": 7, "at": "2000-01-01T00:00:00Z", "steps": [
                step("ba.example becomes draining"), step("a.example becomes draining"),
            ]},
            {"id": 9, "at": "2000-01-02T00:00:00Z", "steps": [
                step("the pool main is rotated: 1 domain becomes active; drained: b.example, a.example"),
            ]},
        ]});

        let lines = to_come(&domain, &waiting);

        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].1.starts_with("2000-01-01T00:00:00Z ("));
        assert!(
            lines[0]
                .1
                .ends_with(": a.example becomes draining (change 7)")
        );
        assert!(lines[1].1.ends_with("(change 9)"));
    }
}
