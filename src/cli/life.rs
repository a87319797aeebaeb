//! Domains' lives: rotation, hand-outs, suspension, what is held where, the registrars' work list.

use serde_json::{Value, json};
use ureq::http::Method;

use super::client::{Payload, path, with_query};
use super::command::{Named, Observed, Rotate, SuspensionAnswer, YesNo};
use super::failure::{Failure, warning as told};
use super::output::cell;
use super::pool::items;
use super::run::Desk;

/// Rotates a pool, or shows what that would do.
pub(super) fn rotate(desk: &Desk, rotate: &Rotate) -> Result<(), Failure> {
    // Who names what burns means as many to come after it.
    let activate = rotate.activate.unwrap_or(rotate.burn.len().max(1) as u32);
    let mut body = json!({"burn": rotate.burn, "activate": activate, "dry_run": rotate.dry_run});
    if let Some(reason) = &rotate.reason {
        body["reason"] = json!(reason);
    }
    let path = path(&["v1", "pools", &rotate.pool, "rotate"]);
    let answer = desk
        .client
        .send(Method::POST, &path, Payload::Json(&body))?;
    if desk.output.is_json() {
        return Ok(desk.output.octets(&answer)?);
    }
    let answer = desk.client.json(&answer)?;
    for line in told_rotation(&rotate.pool, &answer, rotate.dry_run) {
        desk.output.text(&line)?;
    }
    Ok(())
}

/// Tells a rotation in words.
fn told_rotation(pool: &str, answer: &Value, dry_run: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let names = |key: &str| {
        let names = answer[key].as_array().into_iter().flatten();
        let names: Vec<String> = names.map(|name| cell(Some(name))).collect();
        names
    };
    let (activated, draining) = (names("activated"), names("draining"));
    let verb = |done: &str, would: &str| {
        if dry_run {
            would.to_owned()
        } else {
            done.to_owned()
        }
    };
    for name in &activated {
        let becomes = verb("is active", "would become active");
        lines.push(format!("{name} {becomes}: it takes mail and is handed out"));
    }
    for name in &draining {
        let drains = verb("drains", "would drain");
        lines.push(format!(
            "{name} {drains}: it goes on taking mail and is not handed out any more"
        ));
    }
    let events = answer["timeline"].as_array().into_iter().flatten();
    for event in events {
        let of = |key: &str| cell(event.get(key));
        lines.push(format!("  {}  {}: {}", of("at"), of("domain"), of("event")));
    }
    if let Some(short) = answer["short"].as_u64().filter(|short| *short > 0) {
        lines.push(format!(
            "{short} fewer than wanted: the other standby domains are not ready; `mxpool domain \
             show NAME` says what each waits for"
        ));
    }
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        lines.push(told(&cell(Some(warning))));
    }
    if activated.is_empty() && draining.is_empty() {
        lines.push(format!("nothing changes in the pool {pool}"));
    }
    let revision = cell(answer.get("revision"));
    lines.push(if dry_run {
        format!("nothing was done (revision {revision})")
    } else {
        format!("rotated the pool {pool} (revision {revision})")
    });
    lines
}

/// Prints the domain that the next new address comes from.
pub(super) fn hand_out(desk: &Desk, pool: &str) -> Result<(), Failure> {
    let path = path(&["v1", "pools", pool, "handout"]);
    let answer = desk.client.send(Method::POST, &path, Payload::Nothing)?;
    if desk.output.is_json() {
        return Ok(desk.output.octets(&answer)?);
    }
    let answer = desk.client.json(&answer)?;
    Ok(desk.output.text(&cell(answer.get("domain")))?)
}

/// Does to a domain what needs no more than a reason.
pub(super) fn post(desk: &Desk, named: &Named, what: &str, words: &str) -> Result<(), Failure> {
    let path = path(&["v1", "domains", &named.name, what]);
    let mut body = json!({});
    if let Some(reason) = &named.reason {
        body["reason"] = json!(reason);
    }
    let answer = desk
        .client
        .send(Method::POST, &path, Payload::Json(&body))?;
    desk.done(&answer, &format!("{} {words}", named.name))
}

/// Suspends a domain.
pub(super) fn suspend(
    desk: &Desk,
    name: &str,
    answer: SuspensionAnswer,
    reason: &str,
    until: Option<String>,
) -> Result<(), Failure> {
    let path = path(&["v1", "domains", name, "suspend"]);
    let (word, means) = match answer {
        SuspensionAnswer::Later => ("later", "its mail is told to come again"),
        SuspensionAnswer::Never => ("never", "its mail is refused"),
    };
    let mut body = json!({"answer": word, "reason": reason});
    if let Some(until) = until {
        body["until"] = json!(until);
    }
    let answer = desk
        .client
        .send(Method::POST, &path, Payload::Json(&body))?;
    desk.done(&answer, &format!("{name} is suspended: {means}"))
}

/// Says what was seen of a domain.
pub(super) fn observed(desk: &Desk, seen: &Observed) -> Result<(), Failure> {
    let mut body = json!({});
    let words = [
        ("ns", seen.ns),
        ("ds", seen.ds),
        ("ns_gone", seen.ns_gone),
        ("published", seen.published),
        ("mail_ready", seen.mail_ready),
        ("policy_served", seen.policy_served),
    ];
    for (key, word) in words {
        if let Some(word) = word {
            body[key] = json!(word == YesNo::Yes);
        }
    }
    if let Some(queries) = seen.queries {
        body["queries"] = json!(queries);
    }
    if body.as_object().is_none_or(|body| body.is_empty()) {
        let wanted = "expected what was seen (--ns, --ds, --ns-gone, --published, --mail-ready, \
                      --policy-served, --queries), found nothing";
        return Err(Failure::Usage(wanted.to_owned()));
    }
    if let Some(at) = &seen.at {
        body["at"] = json!(at);
    }
    let path = path(&["v1", "domains", &seen.name, "observed"]);
    let answer = desk
        .client
        .send(Method::POST, &path, Payload::Json(&body))?;
    desk.done(&answer, &format!("noted what you saw of {}", seen.name))
}

/// Shows what caches and senders may still hold of a domain.
pub(super) fn caches(desk: &Desk, name: &str, at: Option<String>) -> Result<(), Failure> {
    let path = with_query(path(&["v1", "domains", name, "caches"]), &[("at", at)]);
    let answer = desk.client.get(&path)?;
    if desk.output.is_json() {
        return Ok(desk.output.octets(&answer)?);
    }
    let answer = desk.client.json(&answer)?;
    let rows = items(&answer).iter().map(|held| {
        let of = |key: &str| cell(held.get(key));
        let what = match held["type"].as_str() {
            Some(rtype) => format!("{} {rtype}", of("owner")),
            None => "MTA-STS policy".to_owned(),
        };
        let records = held["records"].as_array().into_iter().flatten();
        let records: Vec<String> = records.map(|record| cell(Some(record))).collect();
        let until = |key: &str| match held["off"].as_str() {
            Some(_) => of(key),
            None => "served".to_owned(),
        };
        vec![
            what,
            records.join("; "),
            of("on"),
            until("cache_until"),
            until("replay_until"),
        ]
    });
    let headings = ["WHAT", "DATA", "SINCE", "IN CACHES UNTIL", "VALID UNTIL"];
    Ok(desk.output.table(&headings, rows.collect())?)
}

/// Lists what each registrar must still be told.
pub(super) fn delegations(desk: &Desk, differs: bool) -> Result<(), Failure> {
    let differs = differs.then(|| "true".to_owned());
    let path = with_query("/v1/delegations".to_owned(), &[("differs", differs)]);
    let answer = desk.client.get(&path)?;
    if desk.output.is_json() {
        return Ok(desk.output.octets(&answer)?);
    }
    let answer = desk.client.json(&answer)?;
    let rows = items(&answer).iter().map(|domain| {
        let list = |value: &Value| {
            let names = value.as_array().into_iter().flatten();
            let names: Vec<String> = names.map(|name| cell(Some(name))).collect();
            names.join(" ")
        };
        let ds = domain["want"]["ds"].as_array().into_iter().flatten();
        let ds: Vec<String> = ds
            .map(|ds| {
                let of = |key: &str| cell(ds.get(key));
                let (tag, algorithm) = (of("key_tag"), of("algorithm"));
                format!("{tag} {algorithm} {} {}", of("digest_type"), of("digest"))
            })
            .collect();
        let seen = |key: &str| match domain["seen"][key].as_str() {
            Some(seen) => seen.to_owned(),
            None => "unknown".to_owned(),
        };
        vec![
            cell(domain.get("name")),
            cell(domain.get("registrar")),
            match domain["action"].as_str() {
                Some(action) => action.to_owned(),
                None => "nothing".to_owned(),
            },
            list(&domain["want"]["ns"]),
            ds.join("; "),
            format!("NS {}, DS {}", seen("ns"), seen("ds")),
        ]
    });
    let headings = ["DOMAIN", "REGISTRAR", "TO DO", "NAME SERVERS", "DS", "SEEN"];
    Ok(desk.output.table(&headings, rows.collect())?)
}

/// Returns what is waited for, a line each, with the rule's name.
pub(super) fn waits(waits: &Value, label: &'static str) -> Vec<(&'static str, String)> {
    let waits = waits.as_array().into_iter().flatten();
    let lines = waits.map(|wait| {
        let of = |key: &str| cell(wait.get(key));
        let until = match wait["not_before"].as_str() {
            Some(moment) => format!(" (until {moment})"),
            None => String::new(),
        };
        (label, format!("{}: {}{until}", of("rule"), of("what")))
    });
    lines.collect()
}

/// Returns what stands beside a domain's state: suspension, hold, hand-outs, its end.
pub(super) fn marks(domain: &Value) -> Vec<(&'static str, String)> {
    let mut marks = Vec::new();
    let suspended = &domain["suspended"];
    if suspended.is_object() {
        let of = |key: &str| cell(suspended.get(key));
        let until = match suspended["until"].as_str() {
            Some(until) => format!(", until {until}"),
            None => String::new(),
        };
        let (answer, since, reason) = (of("answer"), of("since"), of("reason"));
        let what = format!("mail is answered {answer} since {since}{until}: {reason}");
        marks.push(("suspended", what));
    }
    let hold = &domain["hold"];
    if hold.is_object() {
        let of = |key: &str| cell(hold.get(key));
        marks.push(("held", format!("since {}: {}", of("since"), of("reason"))));
    }
    let handed_out = &domain["handed_out"];
    if handed_out.is_object() {
        let of = |key: &str| cell(handed_out.get(key));
        let what = format!(
            "{} times, first {}, last {}",
            of("count"),
            of("first"),
            of("last")
        );
        marks.push(("handed out", what));
    }
    if let Some(dropped) = domain["dropped"].as_str() {
        marks.push(("not served", format!("since {dropped}; delete the domain")));
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_says_what_would_happen_and_that_nothing_did() {
        let answer = json!({
            "activated": ["b.example"], "draining": ["a.example"], "short": 1, "revision": 7,
            "timeline": [{"at": "2026-12-25T00:00:00Z", "domain": "a.example",
                          "event": "may be retired"}],
            "warnings": [],
        });

        let text = told_rotation("main", &answer, true).join("\n");

        assert!(text.contains("b.example would become active"), "{text}");
        assert!(text.contains("a.example would drain"), "{text}");
        assert!(text.contains("2026-12-25T00:00:00Z  a.example: may be retired"));
        assert!(text.contains("1 fewer than wanted"), "{text}");
        assert!(text.ends_with("nothing was done (revision 7)"), "{text}");
    }

    #[test]
    fn what_a_step_waits_for_is_told_with_its_rule_and_moment() {
        let waits = waits(
            &json!([{"rule": "R1", "what": "promised", "not_before": "2026-12-01T00:00:00Z"},
                    {"rule": "S9", "what": "not served", "not_before": null}]),
            "waits for",
        );

        assert_eq!(waits[0].1, "R1: promised (until 2026-12-01T00:00:00Z)");
        assert_eq!(waits[1].1, "S9: not served");
    }
}
