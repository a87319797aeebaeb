//! `pool rotate` and `pool handout`.

use serde_json::{Value, json};
use ureq::http::Method;

use super::change;
use super::client::{Payload, path};
use super::command::Rotate;
use super::failure::{Failure, counted};
use super::life::waits_of;
use super::moment::told;
use super::output::cell;
use super::run::Desk;

/// Of how many domains that are not ready is told all that they wait for.
const EXPLAINED: usize = 3;

/// Takes domains of a pool out of use and puts others in their place, or says what that would do.
pub(super) fn rotate(desk: &Desk, arguments: &Rotate) -> Result<(), Failure> {
    let mut body = json!({"burn": arguments.burn});
    if let Some(activate) = arguments.activate {
        body["activate"] = json!(activate);
    }
    if let Some(at) = &arguments.at {
        body["op"] = json!("rotate");
        body["pool"] = json!(arguments.pool);
        let reason = arguments.reason.as_deref();
        return change::schedule(desk, body, at, reason, arguments.dry_run);
    }
    body["dry_run"] = json!(arguments.dry_run);
    if let Some(reason) = &arguments.reason {
        body["reason"] = json!(reason);
    }
    let path = path(&["v1", "pools", &arguments.pool, "rotate"]);
    desk.ask(&path, &body, |answer| {
        story(&arguments.pool, answer, arguments.dry_run)
    })
}

/// Tells what a rotation did, or would do, what comes after it and why not more.
fn story(pool: &str, answer: &Value, dry_run: bool) -> Vec<String> {
    let names = |key: &str| cell(answer.get(key));
    let count = |key: &str| answer[key].as_array().map_or(0, Vec::len);
    let (active, draining) = (count("activated"), count("draining"));
    let short = answer["short"].as_u64().unwrap_or(0);
    let idle = active + draining == 0;
    let mut lines = vec![if dry_run {
        format!("rotating the pool {pool} now would do this; nothing has been changed:")
    } else if idle && short > 0 {
        format!("nothing was rotated in the pool {pool}: no standby domain is ready")
    } else if idle {
        format!("nothing was rotated in the pool {pool}: no domain was asked for")
    } else {
        let revision = cell(answer.get("revision"));
        format!("rotated the pool {pool} (revision {revision}):")
    }];
    if dry_run || !idle {
        lines.push(match active {
            0 => "  no domain becomes active".to_owned(),
            _ => format!("  becomes active:   {}", names("activated")),
        });
        lines.push(match draining {
            0 => "  no domain is drained".to_owned(),
            _ => format!("  becomes draining: {}", names("draining")),
        });
    }
    if short > 0 {
        let short = counted(short, "standby domain");
        lines.push(format!("  missing:          {short}: none other is ready"));
    }
    lines.extend(not_ready(answer));
    let events = answer["timeline"].as_array().into_iter().flatten();
    let mut events = events.peekable();
    if events.peek().is_some() {
        let then = if dry_run {
            "what would happen, and when at the earliest:"
        } else {
            "what happens, and when at the earliest:"
        };
        lines.push(then.to_owned());
    }
    let events = events.map(|event| {
        let at = event["at"].as_str();
        let at = at.map_or_else(|| "not known yet".to_owned(), told);
        let (domain, event) = (cell(event.get("domain")), cell(event.get("event")));
        (at, format!("{domain}: {event}"))
    });
    let events: Vec<(String, String)> = events.collect();
    let width = events.iter().map(|(at, _)| at.len()).max().unwrap_or(0);
    lines.extend(
        events
            .iter()
            .map(|(at, event)| format!("  {at:width$}  {event}")),
    );
    lines.extend(change::warnings(answer));
    if dry_run && active + draining > 0 {
        lines.push("the same without --dry-run does it".to_owned());
    }
    lines
}

/// Says of the standby domains that would come next what they wait for; a warning names the others.
fn not_ready(answer: &Value) -> Vec<String> {
    let domains = answer["not_ready"].as_array().into_iter().flatten();
    let mut lines = Vec::new();
    for domain in domains.take(EXPLAINED) {
        let name = cell(domain.get("domain"));
        lines.push(format!("  not ready:        {name}"));
        let rules = domain["waiting_for"].as_array().into_iter().flatten();
        lines.extend(rules.map(|rule| format!("    {}", waits_of(&name, rule))));
    }
    lines
}

/// Names the domain that the next new address should be in.
pub(super) fn hand_out(desk: &Desk, pool: &str) -> Result<(), Failure> {
    let path = path(&["v1", "pools", pool, "handout"]);
    let answer = desk.client.send(Method::POST, &path, Payload::Nothing)?;
    if desk.output.is_json() {
        return Ok(desk.output.octets(&answer)?);
    }
    let answer = desk.client.json(&answer)?;
    Ok(desk.output.text(&cell(answer.get("domain")))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_tells_what_would_happen_and_that_nothing_did() {
        let answer = json!({
            "activated": ["b.example"],
            "draining": ["a.example"],
            "short": 1,
            "not_ready": [{"domain": "c.example", "waiting_for": [
                {"rule": "A1", "what": "say so with `mxpool domain observed NAME --ns yes`",
                 "not_before": null},
                {"rule": "A2", "what": "the records", "not_before": "2000-01-01T00:00:00Z"},
            ]}],
            "timeline": [
                {"at": null, "domain": "a.example", "event": "may be retired"},
            ],
            "warnings": ["one is missing"],
        });

        let lines = story("main", &answer, true);

        assert!(lines[0].contains("nothing has been changed"), "{lines:?}");
        assert!(lines[1].ends_with("b.example"), "{lines:?}");
        assert!(lines[3].contains("1 standby domain:"), "{lines:?}");
        assert_eq!(lines[4], "  not ready:        c.example");
        let said = "    A1: say so with `mxpool domain observed c.example --ns yes`";
        assert_eq!(lines[5], said);
        let until = "    A2: the records, not before 2000-01-01T00:00:00Z (";
        assert!(lines[6].starts_with(until), "{lines:?}");
        assert_eq!(lines[8], "  not known yet  a.example: may be retired");
        assert_eq!(lines[9], "warning: one is missing");
    }

    #[test]
    fn a_rotation_that_finds_nothing_ready_says_so() {
        let mut answer = json!({
            "revision": 7, "activated": [], "draining": [], "short": 1,
            "not_ready": [{"domain": "c.example", "waiting_for": []}],
        });
        let wanted = [
            "nothing was rotated in the pool main: no standby domain is ready",
            "  missing:          1 standby domain: none other is ready",
            "  not ready:        c.example",
        ];
        assert_eq!(story("main", &answer, false), wanted);

        answer["short"] = json!(0);
        answer["not_ready"] = json!([]);
        let wanted = "nothing was rotated in the pool main: no domain was asked for";
        assert_eq!(story("main", &answer, false), [wanted]);

        answer["draining"] = json!(["a.example"]);
        let rotated = story("main", &answer, false);
        assert_eq!(rotated[0], "rotated the pool main (revision 7):");
    }
}
