//! `apply`: pools become what manifests say.

use serde_json::{Value, json};
use ureq::http::Method;

use super::change;
use super::client::{Payload, with_query};
use super::command::Apply;
use super::failure::{Failure, FileFault, counted};
use super::manifest::Manifest;
use super::output::{cell, summed};
use super::pool::items;
use super::run::Desk;

/// Makes pools be what manifests say.
///
/// The plan is asked for and shown first. Everything that is wrong, in the files and for the
/// server, is shown at once, with file and line.
pub(super) fn run(desk: &Desk, arguments: &Apply) -> Result<(), Failure> {
    let manifest = Manifest::read(&arguments.files)?;
    if manifest.is_empty() {
        if !manifest.faults().is_empty() {
            return Err(Failure::Files(all_faults(&manifest, None)));
        }
        let files = arguments
            .files
            .iter()
            .map(|file| file.display().to_string());
        return Err(Failure::Usage(format!(
            "no zone, no pool and no domain found in {}",
            files.collect::<Vec<_>>().join(", ")
        )));
    }
    let at = arguments.at.as_deref();
    let planned = post(desk, &manifest, Call::DryRun, at);
    if !manifest.faults().is_empty() {
        return Err(Failure::Files(all_faults(&manifest, planned.err())));
    }
    let plan = planned.map_err(|failure| with_places(&manifest, failure))?;
    let json = desk.output.is_json();
    if !json {
        show_plan(desk, &desk.client.json(&plan)?)?;
        show_unnamed(desk, &manifest)?;
    }
    if arguments.dry_run {
        if json {
            desk.output.octets(&plan)?;
        }
        return Ok(());
    }
    let answer = post(desk, &manifest, Call::Apply(arguments.confirm), at)
        .map_err(|failure| with_places(&manifest, failure))?;
    if json {
        return Ok(desk.output.octets(&answer)?);
    }
    let answer = desk.client.json(&answer)?;
    if at.is_some() {
        return Ok(desk.output.text(&change::accepted(&answer).join("\n"))?);
    }
    Ok(desk.output.text(&applied(&answer))?)
}

/// Says that a change was made, or that there was none to make.
fn applied(answer: &Value) -> String {
    let revision = cell(answer.get("revision"));
    match answer["plan"].as_array() {
        Some(effects) if effects.is_empty() => {
            format!("nothing was changed: all is as the manifests say (revision {revision})")
        }
        _ => format!("applied (revision {revision})"),
    }
}

/// What the server is asked for.
enum Call {
    /// The plan alone.
    DryRun,
    /// The change, with the number of existing domains that it is meant to touch.
    Apply(Option<u64>),
}

/// Sends the manifests as one change, to be made now or at a moment.
fn post(
    desk: &Desk,
    manifest: &Manifest,
    call: Call,
    at: Option<&str>,
) -> Result<Vec<u8>, Failure> {
    let (dry_run, confirm) = match call {
        Call::DryRun => (true, None),
        Call::Apply(confirm) => (false, confirm),
    };
    let confirm = confirm.map(|domains| domains.to_string());
    let path = with_query("/v1/changes".to_owned(), &[("expect_domains", confirm)]);
    let mut change = manifest.change(dry_run);
    if let Some(at) = at {
        change["at"] = json!(at);
    }
    desk.client
        .send(Method::POST, &path, Payload::Json(&change))
}

/// Returns what is wrong with the files, and what the server found beside it.
///
/// Where a file could not be read, the server judged a step that lacks something: what it says of
/// a line that is wrong already is left out, and so is anything but wrong fields.
fn all_faults(manifest: &Manifest, refused: Option<Failure>) -> Vec<FileFault> {
    let mut faults = manifest.faults().to_vec();
    if let Some(Failure::Refused(refusal)) = refused {
        for wrong in &refusal.errors {
            let fault = manifest.locate(&wrong.pointer, &wrong.detail);
            let new = fault.filter(|fault| {
                let same =
                    |known: &FileFault| (&known.file, known.line) == (&fault.file, fault.line);
                !manifest.faults().iter().any(same)
            });
            faults.extend(new);
        }
    }
    faults.sort();
    faults.dedup();
    faults
}

/// Shows what the server found wrong where it was written.
fn with_places(manifest: &Manifest, failure: Failure) -> Failure {
    let Failure::Refused(mut refusal) = failure else {
        return failure;
    };
    let (mut located, mut others) = (Vec::new(), Vec::new());
    for mut wrong in refusal.errors {
        match manifest.locate(&wrong.pointer, &wrong.detail) {
            Some(fault) => {
                wrong.found_at(&fault);
                located.push((fault, wrong));
            }
            None => others.push(wrong),
        }
    }
    located.sort_by(|(one, _), (other, _)| one.cmp(other));
    let located = located.into_iter().map(|(_, wrong)| wrong);
    refusal.errors = located.chain(others).collect();
    Failure::Refused(refusal)
}

/// Shows what the change will do.
fn show_plan(desk: &Desk, plan: &Value) -> Result<(), Failure> {
    let effects = plan["plan"].as_array().map_or(&[][..], Vec::as_slice);
    if effects.is_empty() {
        desk.output.text("nothing changes")?;
    }
    let rows = grouped(effects);
    if !rows.is_empty() {
        desk.output.table(&["STEP", "OF", "WHAT"], rows)?;
    }
    for warning in change::warnings(plan) {
        desk.output.text(&warning)?;
    }
    let count = |key: &str| plan[key].as_u64().unwrap_or(0);
    let touched = counted(count("domains"), "existing domain");
    let created = counted(count("created"), "domain");
    Ok(desk
        .output
        .text(&format!("touches {touched}, creates {created}"))?)
}

/// Makes a row of each effect; many of one kind that follow each other are one row.
fn grouped(effects: &[Value]) -> Vec<Vec<String>> {
    let alike = |a: &Value, b: &Value| (&a["op"], &a["what"]) == (&b["op"], &b["what"]);
    let groups = effects.chunk_by(alike);
    let rows = groups.map(|group| {
        let subjects = summed(group.iter().map(|effect| cell(effect.get("subject"))));
        let first = &group[0];
        vec![cell(first.get("op")), subjects, cell(first.get("what"))]
    });
    rows.collect()
}

/// Lists domains of the manifests' pools that no manifest names; nothing is done to them.
fn show_unnamed(desk: &Desk, manifest: &Manifest) -> Result<(), Failure> {
    let pools = desk.client.get_json("/v1/pools")?;
    let pools = items(&pools)
        .iter()
        .filter_map(|pool| pool["name"].as_str());
    let pools: Vec<&str> = pools.collect();
    for pool in manifest.pools() {
        if !pools.contains(&pool) {
            continue;
        }
        let mut unnamed = Vec::new();
        desk.each_domain(&[("pool", Some(pool.to_owned()))], |domain| {
            let name = cell(domain.get("name"));
            if !manifest.names(&name) {
                unnamed.push(name);
            }
        })?;
        if !unnamed.is_empty() {
            let count = counted(unnamed.len(), "domain");
            let unnamed = summed(unnamed.into_iter());
            desk.output.text(&format!(
                "the pool {pool} has {count} that no manifest names: {unnamed}; nothing happens to \
                 what is not named"
            ))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_changed_is_not_called_applied() {
        let did = json!({"plan": [{"op": "put_pool"}], "revision": 7});
        let nothing = json!({"plan": [], "revision": 7});

        assert_eq!(applied(&did), "applied (revision 7)");
        assert!(applied(&nothing).starts_with("nothing was changed: "));
    }

    #[test]
    fn ten_thousand_new_domains_are_one_row_of_the_plan() {
        let effects: Vec<Value> = (0..10_000)
            .map(|n| json!({"op": "add_domain", "subject": format!("d{n}"), "what": "joins"}))
            .chain([json!({"op": "put_pool", "subject": "main", "what": "is created"})])
            .collect();

        let rows = grouped(&effects);

        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0][1], "d0, d1 and 9998 more");
    }
}
