//! `change`: one change, what it did or is to do, and the way back; and changes for a moment.

use serde_json::{Value, json};

use super::change_command::{ChangeCommand, UndoChange};
use super::client::{path, with_query};
use super::failure::{Failure, warning};
use super::moment::told;
use super::output::{cell, summed};
use super::pool::items;
use super::run::Desk;

/// How many steps are told; JSON has all of them.
const SHOWN: usize = 100;

/// Does a command about one change.
pub(super) fn run(desk: &Desk, command: ChangeCommand) -> Result<(), Failure> {
    match command {
        ChangeCommand::List => list(desk),
        ChangeCommand::Show { id } => {
            let answer = desk
                .client
                .get(&path(&["v1", "changes", &id.to_string()]))?;
            if desk.output.is_json() {
                return Ok(desk.output.octets(&answer)?);
            }
            let change = desk.client.json(&answer)?;
            Ok(desk.output.facts(&facts(&change))?)
        }
        ChangeCommand::Undo(arguments) => undo(desk, &arguments),
    }
}

/// Lists the changes that wait for their moment.
fn list(desk: &Desk) -> Result<(), Failure> {
    let answer = desk.client.get("/v1/changes")?;
    if desk.output.is_json() {
        return Ok(desk.output.octets(&answer)?);
    }
    let answer = desk.client.json(&answer)?;
    let rows: Vec<Vec<String>> = items(&answer).iter().map(row).collect();
    if rows.is_empty() {
        return Ok(desk.output.text("no change waits for its moment")?);
    }
    Ok(desk
        .output
        .table(&["CHANGE", "IS MADE AT", "WHO", "WHAT", "WHY"], rows)?)
}

/// Returns the row of a change that waits for its moment.
fn row(change: &Value) -> Vec<String> {
    let of = |key: &str| cell(change.get(key));
    let steps = change["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let steps = summed(steps.iter().map(|step| cell(step.get("what"))));
    vec![of("id"), told(&of("at")), of("actor"), steps, of("reason")]
}

/// Takes a change back, or says what that would do.
fn undo(desk: &Desk, arguments: &UndoChange) -> Result<(), Failure> {
    let mut body = json!({"dry_run": arguments.dry_run});
    if let Some(reason) = &arguments.reason {
        body["reason"] = json!(reason);
    }
    let id = arguments.id;
    let path = path(&["v1", "changes", &id.to_string(), "undo"]);
    let confirm = arguments.confirm.map(|domains| domains.to_string());
    let path = with_query(path, &[("expect_domains", confirm)]);
    desk.ask(&path, &body, |answer| undone(id, answer, arguments.dry_run))
}

/// Tells what an undo did, or would do.
fn undone(id: u64, answer: &Value, dry_run: bool) -> Vec<String> {
    let revision = cell(answer.get("revision"));
    let mut lines = vec![if dry_run {
        format!("undoing the change {id} now would do this; nothing has been changed:")
    } else {
        format!("undid the change {id} (revision {revision}):")
    }];
    lines.extend(effects(answer));
    lines.extend(warnings(answer));
    if dry_run {
        lines.push("the same without --dry-run does it".to_owned());
    }
    lines
}

/// Tells what is doubtful in a plan, but not refused.
pub(super) fn warnings(answer: &Value) -> impl Iterator<Item = String> {
    let warnings = answer["warnings"].as_array().into_iter().flatten();
    warnings.map(|text| warning(&cell(Some(text))))
}

/// Tells the steps of a plan, a line for each.
fn effects(answer: &Value) -> Vec<String> {
    let effects = answer["plan"].as_array().into_iter().flatten();
    let lines = effects.map(|effect| {
        let (subject, what) = (cell(effect.get("subject")), cell(effect.get("what")));
        match effect["op"].as_str() {
            Some("undo") => format!("  the change {subject} {what}"),
            _ => format!("  {subject}: {what}"),
        }
    });
    shortened(lines.collect())
}

/// Cuts a list that nobody reads to its end: a change may have ten thousand steps.
fn shortened(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(SHOWN);
    if more > 0 {
        lines.truncate(SHOWN);
        lines.push(format!("… and {more} more"));
    }
    lines
}

/// Returns what is known of a change, a line for each.
fn facts(change: &Value) -> Vec<(&'static str, String)> {
    let text = |key: &str| cell(change.get(key));
    let time = |value: &Value| value.as_str().map_or_else(|| "-".to_owned(), told);
    let whats = |steps: &Value| {
        let steps = steps.as_array().into_iter().flatten();
        shortened(steps.map(|step| cell(step.get("what"))).collect())
    };
    let moment = match change["state"].as_str() {
        Some("scheduled") => "is made at",
        _ => "scheduled for",
    };
    let mut facts = vec![
        ("change", text("id")),
        ("state", state(change)),
        (moment, time(&change["at"])),
        ("accepted", time(&change["accepted"])),
        ("by", text("actor")),
        ("reason", text("reason")),
    ];
    let wished = whats(&change["steps"]).into_iter();
    facts.extend(wished.map(|what| ("it is to do", what)));
    let applied = &change["applied"];
    facts.push(("made", time(&applied["at"])));
    facts.push(("revision", cell(applied.get("revision"))));
    let did = whats(&applied["steps"]).into_iter();
    facts.extend(did.map(|what| ("it did", what)));
    let failed = &change["failed"];
    facts.push(("refused", time(&failed["at"])));
    let why = failed["why"].as_array().into_iter().flatten();
    facts.extend(why.map(|why| ("because", cell(Some(why)))));
    let back = &change["undo"];
    let steps = whats(&back["steps"]).into_iter();
    facts.extend(steps.map(|what| ("undo would do", what)));
    let why = back["why_not"].as_array().into_iter().flatten();
    facts.extend(why.map(|why| ("no way back", cell(Some(why)))));
    facts
}

/// Says in words what became of a change.
fn state(change: &Value) -> String {
    let by = cell(change.get("undone_by"));
    match change["state"].as_str() {
        Some("scheduled") => "scheduled: it waits for its moment".to_owned(),
        Some("applied") => "applied: it was made".to_owned(),
        Some("failed") => "failed: it was refused at its moment, and nothing was done".to_owned(),
        Some("undone") if change["applied"].is_null() => {
            format!("undone: it was called off by the change {by}")
        }
        Some("undone") => format!("undone: it was taken back by the change {by}"),
        _ => cell(change.get("state")),
    }
}

/// Asks for one step at a moment, and says what was accepted; `step` is that of `/v1/changes`.
pub(super) fn schedule(
    desk: &Desk,
    step: Value,
    at: &str,
    reason: Option<&str>,
    dry_run: bool,
) -> Result<(), Failure> {
    let mut body = json!({"at": at, "changes": [step], "dry_run": dry_run});
    if let Some(reason) = reason {
        body["reason"] = json!(reason);
    }
    let tell = |answer: &Value| {
        if !dry_run {
            return warnings(answer).chain(accepted(answer)).collect();
        }
        let at = told(&cell(answer.get("at")));
        let mut lines = vec![format!(
            "at {at} this would be done, if all is then as it is now:"
        )];
        lines.extend(effects(answer));
        lines.extend(warnings(answer));
        lines.push("the same without --dry-run schedules it".to_owned());
        lines
    };
    desk.ask("/v1/changes", &body, tell).map_err(of_the_step)
}

/// Says that a change was accepted for its moment, and how to look at it and call it off.
pub(super) fn accepted(answer: &Value) -> [String; 2] {
    let (id, at) = (cell(answer.get("id")), told(&cell(answer.get("at"))));
    let revision = cell(answer.get("revision"));
    [
        format!("the change {id} is made at {at} (revision {revision})"),
        format!("look at it: mxpool change show {id}; call it off: mxpool change undo {id}"),
    ]
}

/// Names the fields of the one step as they were typed: without the place of the step.
fn of_the_step(failure: Failure) -> Failure {
    let Failure::Refused(mut refusal) = failure else {
        return failure;
    };
    refusal.detail = refusal.detail.replace("/changes/0/", "/");
    for wrong in &mut refusal.errors {
        if let Some(rest) = wrong.pointer.strip_prefix("/changes/0") {
            wrong.pointer = rest.to_owned();
        }
    }
    Failure::Refused(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_what_became_of_it_and_how_to_take_it_back() {
        let step = |what: &str| json!({"op": "transition", "subject": "a.example", "what": what});
        let change = json!({
            "id": 7, "state": "applied", "accepted": "2026-11-25T09:00:00Z", "at": null,
            "actor": "admin", "reason": null, "steps": [], "failed": null, "undone_by": null,
            "applied": {"at": "2026-11-25T09:00:00Z", "revision": 7,
                        "steps": [step("a.example became draining; it was active")]},
            "undo": {"possible": true, "why_not": [],
                     "steps": [step("a.example: draining becomes active")]},
        });

        let facts = facts(&change);

        let find = |key: &str| {
            let mut facts = facts.iter();
            facts
                .find(|(name, _)| *name == key)
                .map(|(_, what)| what.as_str())
        };
        assert_eq!(find("state"), Some("applied: it was made"));
        assert_eq!(
            find("it did"),
            Some("a.example became draining; it was active")
        );
        assert_eq!(
            find("undo would do"),
            Some("a.example: draining becomes active")
        );
        assert_eq!(find("no way back"), None);
        let off = json!({"state": "undone", "undone_by": 9, "applied": null});
        assert_eq!(state(&off), "undone: it was called off by the change 9");
    }
}
