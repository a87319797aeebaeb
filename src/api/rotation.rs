//! `/v1/pools/{pool}/rotate` and `…/handout`: which domains new addresses come from.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Call, json as answer};
use super::domains::read_name;
use super::problem::Problem;
use super::refusal::{self, waiting};
use super::steps::{Form, Steps, whole};
use crate::document::{Faults, Fields};
use crate::engine::{IfMatch, Op, OpError, Outcome};
use crate::wire::Apex;

/// The most domains that one rotation activates.
const MOST: u64 = 100_000;
/// The keys of a document that rotates a pool.
pub(super) const ROTATE_KEYS: [&str; 2] = ["burn", "activate"];

/// Drains domains of a pool and activates others in their place, or says what that would do.
pub(super) async fn rotate(mut call: Call) -> Result<Response, Problem> {
    let mut wish = call.wish()?;
    let pool = call.segment("pool").to_owned();
    let if_match = call.if_match()?;
    let (document, octets) = call.json().await?;
    wish.id = call.idempotency(&octets)?;
    let faults = Faults::new();
    let known: Vec<&str> = ROTATE_KEYS
        .into_iter()
        .chain(["reason", "dry_run"])
        .collect();
    let op = whole(&document, &faults).fields(&known).and_then(|fields| {
        wish.read(&fields);
        read(&fields, &pool, if_match)
    });
    let op = faults.finish(op).map_err(Problem::invalid)?;
    let dry_run = wish.dry_run;
    let outcome = call.change(Steps::one(op, Form::Plain), wish).await?;
    Ok(answer(StatusCode::OK, &story(&outcome, dry_run)))
}

/// Reads a rotation of a pool: as many are activated as are burned, and at least one, where it does
/// not say how many.
pub(super) fn read(fields: &Fields<'_, '_>, pool: &str, if_match: Option<IfMatch>) -> Option<Op> {
    let burn = fields.optional("burn").map_or(Some(Vec::new()), |burn| {
        burn.each(|name| read_name(&name).map(|(name, _)| name))
    });
    let activate = fields.optional("activate");
    let activate = activate.map(|it| it.number(0, MOST));
    let burn = burn?;
    let activate = match activate {
        Some(number) => number?,
        None => burn.len().max(1) as u64,
    };
    Some(Op::Rotate {
        pool: pool.to_owned(),
        burn,
        activate: u32::try_from(activate).unwrap_or(u32::MAX),
        if_match,
    })
}

/// Returns what a rotation did, or would do, and what comes then.
fn story(outcome: &Outcome, dry_run: bool) -> Value {
    let rotation = outcome.plan.rotation.clone().unwrap_or_default();
    let names = |names: &[Apex]| {
        let names = names.iter().map(|name| json!(name.to_api_text()));
        names.collect::<Value>()
    };
    let timeline = rotation.timeline.iter().map(|milestone| {
        json!({
            "at": milestone.at.map(|at| at.to_string()),
            "domain": milestone.domain.to_api_text(),
            "event": milestone.event,
        })
    });
    let not_ready = rotation.not_ready.iter().map(|not_ready| {
        json!({
            "domain": not_ready.name.to_api_text(),
            "waiting_for": waiting(&not_ready.waiting_for),
        })
    });
    json!({
        "revision": outcome.revision,
        "dry_run": dry_run,
        "activated": names(&rotation.activated),
        "draining": names(&rotation.draining),
        "short": rotation.short,
        "not_ready": not_ready.collect::<Value>(),
        "timeline": timeline.collect::<Value>(),
        "warnings": outcome.plan.warnings,
    })
}

/// Returns the domain that the next new address comes from.
pub(super) async fn hand_out(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    call.refuse_if_match()?;
    let handed = call.api.engine.hand_out(call.segment("pool")).await;
    let name = handed.map_err(|why| refusal::of_path(OpError::whole(why)))?;
    let document = json!({"domain": name.to_api_text()});
    Ok(answer(StatusCode::OK, &document))
}
